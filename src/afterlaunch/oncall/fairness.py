"""How on-call time and pages fall on people. Pure.

Balance is the mean over all pairs of people of the smaller hours over the larger; one person gives 1, a pair without
any hours counts 1. Nights, weekends and holidays are those of each person's own zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.calendars.wall import date_of, start_of_date
from afterlaunch.calendars.windows import ALL_DAYS, Interval, Window, cut, merged, window, within

NIGHT = (window(ALL_DAYS, "22:00", "06:00"),)
WEEKEND = (window((6, 7), "00:00", "24:00"),)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVEN = 0.95  # from here on it counts as even


@dataclass
class Load:
    """One person's share of a period; hours are hours."""

    person: Any
    hours: float = 0.0
    night_hours: float = 0.0
    weekend_hours: float = 0.0
    holiday_hours: float = 0.0
    pages: int = 0
    night_pages: int = 0
    nights_woken: int = 0
    consecutive_days: int = 0
    overloaded: bool = False


@dataclass(frozen=True)
class Balance:
    """Shares from 0 to 1. `coverage` is the time that somebody covered; `total` the mean of it and `hours`."""

    coverage: float
    hours: float
    nights: float
    weekends: float
    total: float
    loads: tuple[Load, ...] = field(default=())


def pair_balance(amounts: Sequence[float]) -> float:
    pairs = list(combinations(amounts, 2))
    if not pairs:
        return 1.0
    return sum(1.0 if not max(a, b) else min(a, b) / max(a, b) for a, b in pairs) / len(pairs)


def shown_balance(share: float) -> float:
    """95 % and more is shown as 100 %."""
    return 1.0 if share >= EVEN else share


def balance(
    shifts: Iterable[tuple[Any, datetime, datetime]],
    pages: Iterable[tuple[Any, datetime]],
    zones: Mapping[Any, str],
    start: datetime,
    end: datetime,
    holiday: Callable[[date], bool] = lambda _: False,
) -> Balance:
    """Everybody in `zones` is counted, also with no hours. Two shifts of one person at once count once."""
    held: dict[Any, list[Interval]] = {person: [] for person in zones}
    for person, since, until in shifts:
        if person in held and max(since, start) < min(until, end):
            held[person].append((max(since, start), min(until, end)))
    told: dict[Any, list[datetime]] = {person: [] for person in zones}
    for person, at in pages:
        if person in told and start <= at < end:
            told[person].append(at)
    loads = [_load(one, merged(held[one]), told[one], ZoneInfo(zones[one]), holiday) for one in zones]
    covered = sum(((b - a) / HOUR for a, b in merged(span for spans in held.values() for span in spans)), 0.0)
    coverage = covered / ((end - start) / HOUR)
    hours = pair_balance([one.hours for one in loads])
    average = sum(one.hours for one in loads) / len(loads) if loads else 0.0
    for one in loads:
        one.overloaded = hours < EVEN and one.hours > average
    nights = pair_balance([one.night_hours for one in loads])
    weekends = pair_balance([one.weekend_hours for one in loads])
    total = (min(1.0, coverage) + shown_balance(hours)) / 2
    return Balance(min(1.0, coverage), hours, nights, weekends, total, tuple(loads))


def _hours(spans: Iterable[Interval]) -> float:
    return sum(((until - since) / HOUR for since, until in spans), 0.0)


def _load(
    person: Any, spans: list[Interval], pages: list[datetime], zone: ZoneInfo, holiday: Callable[[date], bool]
) -> Load:
    made = Load(person, _hours(spans))
    days: set[date] = set()
    for since, until in spans:
        made.night_hours += _hours(_inside(NIGHT, zone, since, until))
        made.weekend_hours += _hours(_inside(WEEKEND, zone, since, until))
        day = date_of(since, zone)
        while (begins := start_of_date(day, zone)) < until:
            days.add(day)
            if holiday(day):
                made.holiday_hours += _hours(cut([(begins, start_of_date(day + DAY, zone))], since, until))
            day += DAY
    at_night = [at for at in pages if _inside(NIGHT, zone, at, at + timedelta(seconds=1))]
    made.pages, made.night_pages = len(pages), len(at_night)
    made.nights_woken = len({date_of(at - timedelta(hours=12), zone) for at in at_night})
    made.consecutive_days = _longest_run(days)
    return made


def _inside(windows: tuple[Window, ...], zone: ZoneInfo, since: datetime, until: datetime) -> list[Interval]:
    return list(cut(within(windows, zone, since, until), since, until))


def _longest_run(days: set[date]) -> int:
    longest = 0
    for day in days:
        if day - DAY not in days:
            length = 1
            while day + length * DAY in days:
                length += 1
            longest = max(longest, length)
    return longest
