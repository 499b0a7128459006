"""Business hours: windows on the wall clock of a zone, cut by holidays, as intervals of UTC. Pure.

Seconds are counted after the windows were turned into UTC, so a day with a clock change has 23 or 25 hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib.metadata import version as package_version
from typing import Any
from zoneinfo import ZoneInfo

import holidays

from afterlaunch.ground.wall import first_instant, last_instant, local_of, start_of_date

HORIZON_DAYS = 400
Interval = tuple[datetime, datetime]


@dataclass(frozen=True)
class Window:
    """`days` are ISO weekdays (1 Monday … 7 Sunday) on which it begins; times are "HH:MM", "24:00" is a legal end.
    start < end: the same day; start > end: ends on the next day; start == end: 24 hours."""

    days: tuple[int, ...]
    start: str
    end: str


@dataclass(frozen=True)
class Calendar:
    zone: str
    windows: tuple[Window, ...]
    country: str = ""
    subdivision: str = ""
    closures: tuple[str, ...] = ()  # ISO dates, in the calendar's zone
    version: int = 0

    def frozen(self) -> dict[str, Any]:
        """What a clock stores of it, with the versions of the data that it leans on."""
        return {
            "zone": self.zone,
            "windows": [{"days": list(w.days), "start": w.start, "end": w.end} for w in self.windows],
            "country": self.country,
            "subdivision": self.subdivision,
            "closures": list(self.closures),
            "version": self.version,
            "holidays_package": package_version("holidays"),
            "tzdata_package": package_version("tzdata"),
        }


def thawed(stored: dict[str, Any]) -> Calendar:
    """The calendar that a clock was computed with."""
    windows = tuple(Window(tuple(w["days"]), w["start"], w["end"]) for w in stored["windows"])
    closures = tuple(stored.get("closures", ()))
    return Calendar(stored["zone"], windows, stored["country"], stored["subdivision"], closures, int(stored["version"]))


WEEKDAYS_8_TO_18 = (Window((1, 2, 3, 4, 5), "08:00", "18:00"),)


@lru_cache(maxsize=64)
def _holidays(country: str, subdivision: str, year: int) -> frozenset[date]:
    """Observed days count as well as the days themselves."""
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year, observed=True))


def is_closed_date(calendar: Calendar, day: date) -> bool:
    if day.isoformat() in calendar.closures:
        return True
    return bool(calendar.country) and day in _holidays(calendar.country, calendar.subdivision, day.year)


def _wall(day: date, text: str) -> datetime:
    hours, minutes = (int(part) for part in text.split(":"))
    return datetime.combine(day, time()) + timedelta(hours=hours, minutes=minutes)


def _opened_on(calendar: Calendar, day: date) -> list[Interval]:
    """UTC intervals of the windows that begin on `day`, before holidays are cut out."""
    zone, found = ZoneInfo(calendar.zone), []
    for window in calendar.windows:
        if day.isoweekday() not in window.days:
            continue
        start, end = _wall(day, window.start), _wall(day, window.end)
        if end <= start:
            end += timedelta(days=1)
        found.append((first_instant(start, zone), last_instant(end, zone)))
    return found


def _without_holidays(calendar: Calendar, interval: Interval) -> Iterator[Interval]:
    """A holiday closes [first instant of its date, first instant of the next), so a night window is cut there."""
    zone = ZoneInfo(calendar.zone)
    start, end = interval
    day = local_of(start, zone).date()
    while start < end:
        midnight = start_of_date(day + timedelta(days=1), zone)
        piece = min(end, midnight)
        if start < piece and not is_closed_date(calendar, day):
            yield start, piece
        start, day = max(start, piece), day + timedelta(days=1)


def intervals(calendar: Calendar, since: datetime, days: int) -> list[Interval]:
    """Open intervals that touch `days` local dates from the date of `since`, merged, in order."""
    first = local_of(since, ZoneInfo(calendar.zone)).date() - timedelta(days=1)
    raw: list[Interval] = []
    for offset in range(days + 2):
        for interval in _opened_on(calendar, first + timedelta(days=offset)):
            raw += _without_holidays(calendar, interval)
    merged: list[Interval] = []
    for start, end in sorted(raw):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def is_open(calendar: Calendar, at: datetime) -> bool:
    """A window's end is outside of it."""
    return any(start <= at < end for start, end in intervals(calendar, at, 1))


def next_open(calendar: Calendar, at: datetime) -> datetime | None:
    """The first open instant at or after `at`; None when there is none within 400 days."""
    for days in (10, HORIZON_DAYS):
        for start, end in intervals(calendar, at, days):
            if end > at:
                return max(start, at)
    return None


def add(calendar: Calendar, start: datetime, seconds: float) -> datetime | None:
    """The first instant at which so many open seconds have passed; the end of a window rather than the next opening."""
    left = timedelta(seconds=seconds)
    for days in (14, HORIZON_DAYS):
        rest = left
        for begin, end in intervals(calendar, start, days):
            begin = max(begin, start)
            if end <= begin:
                continue
            if rest <= end - begin:
                return begin + rest
            rest -= end - begin
    return None


def between(calendar: Calendar, a: datetime, b: datetime) -> float:
    """Open seconds in [a, b); never negative for a <= b."""
    days = (b - a).days + 2
    spans = ((max(start, a), min(end, b)) for start, end in intervals(calendar, a, days))
    return sum((end - start).total_seconds() for start, end in spans if end > start)


def is_business_date(calendar: Calendar, day: date) -> bool:
    """A local date with at least one open second."""
    zone = ZoneInfo(calendar.zone)
    start, end = start_of_date(day, zone), start_of_date(day + timedelta(days=1), zone)
    return between(calendar, start, end) > 0


def end_of_business_date(calendar: Calendar, day: date) -> datetime:
    """The end of the last window that begins on `day`."""
    pieces = [piece for one in _opened_on(calendar, day) for piece in _without_holidays(calendar, one)]
    return max((end for _, end in pieces), default=start_of_date(day + timedelta(days=1), ZoneInfo(calendar.zone)))


def business_date_after(calendar: Calendar, day: date, count: int) -> date | None:
    """The count-th business date strictly after `day`; None when there is none within 400 days."""
    for _ in range(HORIZON_DAYS):
        day += timedelta(days=1)
        if is_business_date(calendar, day):
            count -= 1
            if count == 0:
                return day
    return None


def local_date(calendar: Calendar, at: datetime) -> date:
    return local_of(at.astimezone(UTC), ZoneInfo(calendar.zone)).date()
