"""Which hours of the week differ, and what is the same hour where the clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from afterlaunch.drift import rhythms
from afterlaunch.profiles.hashing import Array

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 3, 16, tzinfo=UTC)


def counts(random: np.random.Generator, weeks: int, amplitude: float, rows: int = 200, noise: float = 0.0) -> Array:
    """Ten cells whose shares tilt with the hour of the day, and from hour to hour by chance."""
    hours = np.arange(weeks * 168)
    tilt = amplitude * np.sin(2 * np.pi * hours / 24) + noise * random.normal(size=len(hours))
    shares = 1 + tilt[:, None] * np.linspace(-1, 1, 10)
    shares = np.maximum(shares, 0.01) / np.maximum(shares, 0.01).sum(1, keepdims=True)
    return random.multinomial(rows, shares)


def share(table: Array) -> float:
    return rhythms.explained(table, np.arange(len(table)) % 168)


def test_a_rhythm_is_told_from_chance_and_from_what_differs_otherwise() -> None:
    random = np.random.default_rng(1)
    nothing = [share(counts(random, 3, 0.0)) for _ in range(40)]
    assert max(nothing) < rhythms.SHARE / 2
    assert min(share(counts(random, 3, 0.5)) for _ in range(10)) > 0.5
    assert max(share(counts(random, 3, 0.0, noise=0.5)) for _ in range(40)) < 0.25
    assert share(counts(random, 3, 0.5, noise=0.5)) < share(counts(random, 3, 0.5))


def test_missing_values_and_categories_have_rhythms_too() -> None:
    random = np.random.default_rng(2)
    night = (np.arange(504) % 24 < 6)[:, None]
    table = np.where(night, [180, 10, 10], [195, 5, 0]) + random.poisson(3, (504, 3))
    assert share(table) > 0.3


@pytest.mark.parametrize("table", [np.zeros((504, 3)), np.full((504, 1), 9), np.ones((168, 3)), np.ones((1, 2))])
def test_where_nothing_can_be_told_there_is_no_rhythm(table: Array) -> None:
    assert rhythms.explained(table, np.arange(len(table)) % 168) == 0.0


def test_hours_are_those_of_the_clock_there() -> None:
    before, after = datetime(2026, 3, 23, 8, tzinfo=UTC), datetime(2026, 3, 30, 7, tzinfo=UTC)  # it changed on the 29th
    assert rhythms.hour_of_week(before, BERLIN) == rhythms.hour_of_week(after, BERLIN) == 9
    assert rhythms.hour_of_week(before, ZoneInfo("UTC")) == 8
    twice = [datetime(2026, 10, 25, hour, tzinfo=UTC) for hour in (0, 1)]
    assert {rhythms.hour_of_week(one, BERLIN) for one in twice} == {6 * 24 + 2}
    assert rhythms.hour_of_week(MONDAY, ZoneInfo("Asia/Kolkata")) == 5  # at 05:30
    assert rhythms.said(rhythms.hour_of_week(before, BERLIN)) == "Mondays from 09:00"


def test_a_week_with_a_change_of_the_clock_is_whole() -> None:
    end = rhythms.after_weeks(MONDAY, 3, BERLIN)
    assert end == MONDAY + timedelta(days=21) - timedelta(hours=1)
    assert rhythms.whole_weeks(MONDAY, end, BERLIN) == 3
    assert rhythms.whole_weeks(MONDAY, end - timedelta(hours=1), BERLIN) == 2


def test_a_stray_hour_is_no_start_and_weeks_with_nights_off_are_weeks() -> None:
    busy = [MONDAY + timedelta(hours=at) for at in range(24 * 22) if 6 <= at % 24 < 20]
    stray = MONDAY - timedelta(days=200)
    assert rhythms.first_of_weeks([stray, *busy]) == busy[0]
    assert rhythms.first_of_weeks(busy[: 14 * 20]) is None
    assert rhythms.first_of_weeks([stray]) is None
