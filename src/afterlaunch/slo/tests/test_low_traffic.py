"""Little traffic: a simulation with another seed than the published one's, and what an SLO shows of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction as F

import pytest
from tests.real_input import real

from afterlaunch.slo.durations import DAY, exact
from afterlaunch.slo.pairs import standard
from afterlaunch.slo.traffic import detection, expected, false_pages, healthy_rate, probes_needed, rounded_up

TARGET = exact("0.999")
FAST = standard(30 * DAY)[0]
SEED = 20261121


@pytest.mark.parametrize("per_hour", [10, 50, 100, 300, 1000, 5000])
def test_three_bad_events_keep_a_healthy_service_quiet(per_hour: int) -> None:
    assert false_pages([FAST], TARGET, per_hour, 0.0005, seed=SEED) <= 0.2


def test_the_outage_is_seen_within_45_minutes_at_ten_requests_an_hour() -> None:
    minutes, share = detection([FAST], TARGET, 10, 0.0005, seed=SEED)
    assert minutes is not None
    assert minutes <= 45
    assert share > 0.95


def test_without_the_guard_the_published_false_pages_come_out() -> None:
    raw, two = replace(FAST, least_bad=1), replace(FAST, least_bad=2)
    for row in json.loads(real("vectors/incidents/lowtraffic_simulation.json").read_text()):
        many, told = row["req_per_h"], row["false_pages_per_30d"]
        for pair, name in ((raw, "raw"), (two, "min_bad2"), (FAST, "min_bad3")):
            chance = 4 * (2 * told[name] / 40) ** 0.5  # of two means of 40 counted runs
            assert abs(false_pages([pair], TARGET, many, 0.0005, seed=SEED) - told[name]) <= chance + 0.3
        median = row["median_detect_min_and_hit_rate_for_50pct_outage_2h"]
        for pair, name in ((raw, "raw"), (two, "min_bad2"), (FAST, "min_bad3")):
            minutes, _ = detection([pair], TARGET, many, 0.0005, seed=SEED)
            assert minutes == pytest.approx(median[name][0], rel=0.35, abs=1.5)


def test_an_slo_shows_what_to_expect_at_its_own_traffic() -> None:
    found = expected(standard(30 * DAY), TARGET, 50, 0.0005)
    assert found is not None
    assert found.false_pages < 0.5
    assert found.detection is not None
    assert expected(standard(30 * DAY), TARGET, 0, 0.0005) is None
    idle = expected(standard(30 * DAY), TARGET, 0.2, 0.0005)
    assert idle is not None
    assert idle.detection is None
    assert healthy_rate(TARGET, None) == 0.0005
    assert healthy_rate(TARGET, F(2, 10_000)) == 0.0002
    assert healthy_rate(TARGET, F(1, 2)) == 0.0005


def test_how_many_probes_make_up_for_missing_traffic() -> None:
    assert rounded_up(probes_needed(FAST, exact("0.99"), 60)) == 7
    assert rounded_up(probes_needed(FAST, exact("0.99"), 10)) == 36
