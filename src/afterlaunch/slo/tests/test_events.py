"""Provisional labels, probes in the denominator, slices of time, and counts that corrections moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction as F

import pytest

from afterlaunch.slo import periods
from afterlaunch.slo.burning import Counts, burn, judge_pair
from afterlaunch.slo.durations import DAY, duration, exact
from afterlaunch.slo.events import FLOOR, MIXED, SEPARATE, Judge, Labelled, lower_bound, may_page, slices, with_probes
from afterlaunch.slo.openslo.objects import Period
from afterlaunch.slo.pairs import standard


def test_three_numbers_tell_how_sure_labels_are() -> None:
    found = Labelled(of=1000, final=100, final_bad=5, provisional=300, provisional_bad=60)
    assert (found.final_counts.rate, found.counts.rate) == (F(5, 100), F(65, 400))
    assert found.coverage == F(2, 5)
    assert found.is_provisional
    assert not Labelled(of=100, final=80, final_bad=1, provisional=0, provisional_bad=0).is_provisional
    assert Labelled(of=100, final=79, final_bad=1, provisional=0, provisional_bad=0).is_provisional
    assert not Labelled(1000, 100, 1, 0, 0, sampling=F(1, 10)).is_provisional
    assert Labelled(0, 0, 0, 0, 0).coverage is None


def test_a_provisional_indicator_pages_only_if_it_is_bad_in_both_views() -> None:
    sure, wrong = Judge(), Judge(F(1, 10), F(1, 10))
    mostly_bad = Labelled(of=100, final=0, final_bad=0, provisional=100, provisional_bad=40)
    assert may_page(mostly_bad, F(1, 5), sure)
    assert not may_page(mostly_bad, F(1, 4), wrong)
    assert not may_page(Labelled(100, 0, 0, 2, 1), F(1, 5), sure)
    assert may_page(Labelled(100, 90, 1, 0, 0), F(1, 5), wrong)
    assert not may_page(mostly_bad, F(1, 5), Judge(F(1, 2), F(1, 2)))
    assert Judge(F(1, 10), F(1, 10)).calibrated(F(5, 10)) == F(1, 2)
    assert 0.309 < lower_bound(40, 100) < 0.31
    assert lower_bound(0, 0) == 0


def test_probes_fill_the_denominator_only_as_told() -> None:
    user, probe = Counts(4, 1), Counts(60, 6)
    assert with_probes(user, probe, SEPARATE) == user
    assert with_probes(user, probe, FLOOR, floor=34) == Counts(34, 4)
    assert with_probes(Counts(50, 1), probe, FLOOR, floor=34) == Counts(50, 1)
    assert with_probes(user, probe, MIXED, weight=F(1, 2)) == Counts(34, 4)
    assert with_probes(user, Counts(0, 0), MIXED) == user


def test_bad_slices_are_of_the_expected_ones() -> None:
    assert slices([Counts(10, 5)], expected=60, target=F(9, 10)) == Counts(60, 1)
    assert slices([], expected=60, target=F(9, 10)).total == 0
    assert slices([Counts(10, 1)], expected=60, target=F(9, 10)) == Counts(60, 0)
    assert slices([Counts(10, 5), Counts(2, 1)], expected=4, target=None) == Counts(4, F(1))


@pytest.mark.parametrize("counts", [Counts.of(-3, 5), Counts.of(0, 0), Counts.of(2, -9), Counts.of(-1, -1)])
def test_corrections_and_restarts_page_nobody_by_arithmetic(counts: Counts) -> None:
    assert not any(judge_pair(pair, exact("0.999"), lambda _: counts).fires for pair in standard(30 * DAY))
    assert burn(counts, exact("0.999")) in (None, 0)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("length", "start", "zone", "now", "begins", "ends"),
    [
        ("1M", "2022-01-31T00:00:00", "UTC", "2026-02-28T01:00+00:00", "2026-02-28T00:00Z", "2026-03-31T00:00Z"),
        (
            "1M",
            "2022-01-01T12:00:00",
            "America/New_York",
            "2026-03-20T00:00Z",
            "2026-03-01T17:00Z",
            "2026-04-01T16:00Z",
        ),
        ("1w", "2022-01-01T00:00:00", "Europe/Berlin", "2026-03-30T00:00Z", "2026-03-27T23:00Z", "2026-04-03T22:00Z"),
        ("1d", "2026-03-01T02:30:00", "Europe/Berlin", "2026-03-29T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"),
        ("1Q", "2024-02-29T00:00:00", "UTC", "2026-03-01T00:00Z", "2026-02-28T00:00Z", "2026-05-29T00:00Z"),
        ("1Y", "2022-01-01T00:00:00", "UTC", "2022-01-01T00:00Z", "2022-01-01T00:00Z", "2023-01-01T00:00Z"),
    ],
)
def test_calendar_periods_begin_by_the_wall_clock(
    length: str, start: str, zone: str, now: str, begins: str, ends: str
) -> None:
    assert periods.bounds(Period(duration(length), start, zone), at(now)) == (at(begins), at(ends))


def test_a_rolling_period_ends_now() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert periods.bounds(Period(duration("30d")), now) == (now - timedelta(days=30), now)
