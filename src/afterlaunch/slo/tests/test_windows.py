"""Windows, factors, dead pairs and burn rates, against the published values."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from tests.real_input import real

from afterlaunch.slo.burning import (
    COUNT_RULES,
    Counts,
    budget_left,
    burn,
    exhaustion,
    judge_count,
    judge_pair,
)
from afterlaunch.slo.durations import DAY, HOUR, duration, exact, lookback, percent, short, written
from afterlaunch.slo.pairs import Pair, dead_up_to, life, pyrra, refusal, smallest_total, standard

MONTH = 30 * DAY
NAMES = {
    "page_quick": "page fast",
    "page_slow": "page slow",
    "ticket_quick": "ticket fast",
    "ticket_slow": "ticket slow",
}
F = Fraction


def vectors() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(real("vectors/incidents/burn_rate_windows.json").read_text())
    return found


def test_factors_thresholds_and_dead_limits_are_the_published_ones() -> None:
    rows = vectors()["sloth"]
    assert rows
    for row in rows:
        pairs = {pair.label: pair for pair in standard(row["slo_days"] * DAY)}
        pair = pairs[NAMES[row["alert"]]]
        assert (short(pair.short), short(pair.long)) == (row["short"], row["long"])
        assert float(pair.factor) == pytest.approx(row["factor"], abs=1e-6)
        assert pair.share(row["slo_days"] * DAY) == exact(row["budget_pct"]) / 100
        for objective, threshold in row["thresholds"].items():
            assert float(pair.threshold(exact(objective))) == pytest.approx(threshold, abs=5e-9)
        limit = dead_up_to(pair.factor)
        known = row["max_slo_at_which_it_can_never_fire"]
        assert (limit is None) == (known is None)
        if limit is not None:
            assert float(limit) == pytest.approx(known, abs=5e-7)
            assert life(pair, limit, MONTH).dead
            assert not life(pair, limit + F(1, 10_000), MONTH).dead


def test_windows_that_scale_with_the_period_are_the_published_ones() -> None:
    words = {"critical": "page", "warning": "ticket"}
    for row in vectors()["pyrra"]:
        found = [(p.severity, p.hold, p.long, p.short, p.factor) for p in pyrra(row["slo_days"] * DAY)]
        told = [(words[w["severity"]], w["for_s"], w["long_s"], w["short_s"], w["factor"]) for w in row["windows"]]
        assert found == told


def test_worked_examples_come_out() -> None:
    for row in vectors()["examples"]:
        counts, target = Counts(row["total"], row["bad"]), exact(row["slo"])
        assert counts.rate == exact(row["error_rate"])
        assert burn(counts, target) == exact(row["burn_rate"])


def always(total: int, bad: int) -> Any:
    return lambda window: Counts(total, bad)


def test_equality_does_not_fire() -> None:
    pair = Pair("ticket", "slow", 3 * DAY, 6 * HOUR, F(1), 1)
    assert judge_pair(pair, exact("0.999"), always(1000, 1)).reason == "burn_within_factor"
    assert judge_pair(pair, exact("0.999"), always(999, 1)).fires


def test_a_page_needs_three_bad_events_in_its_long_window() -> None:
    fast = standard(MONTH)[0]
    assert judge_pair(fast, exact("0.999"), always(10, 2)).reason == "guarded"
    assert judge_pair(fast, exact("0.999"), always(10, 3)).fires


def test_nothing_fires_without_events_and_a_recovered_service_pages_nobody() -> None:
    fast = standard(MONTH)[0]
    assert judge_pair(fast, exact("0.99"), always(0, 0)).reason == "no_events"
    recovered = judge_pair(fast, exact("0.99"), lambda w: Counts(1000, 900) if w == HOUR else Counts(100, 0))
    assert recovered.reason == "short_window_recovered"
    silent = judge_pair(fast, exact("0.99"), lambda w: Counts(1000, 900) if w == HOUR else Counts(0, 0))
    assert silent.reason == "no_events"
    assert burn(Counts(0, 0), exact("0.99")) is None
    assert budget_left(Counts(0, 0), exact("0.99")) is None


def test_one_sample_in_a_window_that_has_just_begun_pages_nobody() -> None:
    eager = Pair("page", "fast", HOUR, 300, F(144, 10), 1)
    assert judge_pair(eager, exact("0.999"), lambda w: Counts(1, 1, partial=True)).reason == "guarded"


@pytest.mark.parametrize(
    ("target", "bounds"),
    [("0.999", (70, 167, 334, 1000)), ("0.99", (7, 17, 34, 100))],
)
def test_how_many_events_make_a_single_bad_one_harmless(target: str, bounds: tuple[int, ...]) -> None:
    assert tuple(smallest_total(pair.factor, exact(target)) for pair in standard(MONTH)) == bounds


def test_a_dead_pair_is_refused_with_the_largest_factor_that_can_fire() -> None:
    fast = standard(MONTH)[0]
    found = life(fast, exact("0.9"), MONTH)
    assert found.state == "dead"
    assert found.offer is not None
    assert found.offer.factor == 5
    assert percent(found.offer.share) == "0.694444 %"
    assert "largest usable factor is 5" in refusal(fast, exact("0.9"), MONTH)
    assert life(fast, exact("0.94"), MONTH).state == "nearly_dead"
    assert life(fast, exact("0.95"), MONTH).state == "alive"
    assert [pair.label for pair in standard(MONTH) if life(pair, exact("0.9"), MONTH).dead] == ["page fast"]


def test_little_traffic_that_nearly_all_fails_is_seen_by_counts() -> None:
    page, ticket = COUNT_RULES
    assert judge_count(ticket, always(5, 5)).fires
    assert judge_count(page, always(5, 5)).reason == "too_few_bad"
    assert judge_count(page, always(20, 10)).fires
    assert judge_count(page, always(21, 10)).reason == "share_below"
    assert judge_count(page, always(0, 0)).reason == "no_events"


def test_time_to_exhaustion() -> None:
    assert exhaustion(F(1, 2), MONTH, F(10)) == F(MONTH, 20)
    assert exhaustion(F(1, 2), MONTH, F(0)) is None
    assert exhaustion(None, MONTH, F(2)) is None
    assert exhaustion(F(-1), MONTH, F(2)) == 0
    assert budget_left(Counts(1000, 15), exact("0.99")) == F(-1, 2)


def test_durations_are_read_as_they_are_meant() -> None:
    assert duration("1M").calendar
    assert duration("1m").seconds == 60
    assert lookback("2w") == 14 * DAY
    for wrong in ("", "0d", "5 m", "1H", "-1d", "1.5h", "٣d", 5, None, "9999Y"):
        with pytest.raises(ValueError, match=r"duration|longer"):
            duration(wrong)
    with pytest.raises(ValueError, match="no fixed length"):
        lookback("1M")


def test_numbers_are_exact() -> None:
    assert 1 - exact(0.999) == F(1, 1000)
    assert written(F(14, 15)) == "0.933333"
    assert written(F(144, 10)) == "14.4"
    assert written(F(100)) == "100"
    for wrong in ("nan", "inf", True, "1e999", "x", None):
        with pytest.raises(ValueError, match="number"):
            exact(wrong)
