"""Months on a wall clock. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from afterlaunch.calendars.wall import start_of_date
from afterlaunch.ground.errors import Invalid

MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
NAMES = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
         "December")  # fmt: skip


@dataclass(frozen=True)
class Period:
    """A month in a zone: [start, end) in UTC, its local dates, and the instants at which they begin. `until` is the
    end of what can be known: `end`, or the present, to the minute, while the month is not over."""

    month: str
    zone: str
    start: datetime
    end: datetime
    until: datetime
    days: tuple[date, ...]
    begins: tuple[datetime, ...]

    @property
    def over(self) -> bool:
        return self.until == self.end

    @property
    def label(self) -> str:
        return label(self.month)

    @property
    def bounds(self) -> tuple[datetime, ...]:
        """The begins of the days so far, and `until`."""
        return (*(begin for begin in self.begins if begin < self.until), self.until)

    def local(self, instant: datetime) -> datetime:
        return instant.astimezone(ZoneInfo(self.zone))

    def day_of(self, instant: datetime) -> date:
        return self.local(instant).date()


def label(month: str) -> str:
    """2026-11 as November 2026."""
    year, number = month.split("-")
    return f"{NAMES[int(number) - 1]} {year}"


def zone_by_name(name: str) -> ZoneInfo:
    """Raises Invalid."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"{name!r} is no IANA time zone.", "For example: Europe/Berlin") from None


def _first(month: str) -> date:
    found = MONTH.fullmatch(month)
    if found is None or not (1 <= int(found[2]) <= 12 and 1971 <= int(found[1]) <= 9998):
        raise Invalid(f"{month!r} is no month.", "Write it as year and month, for example 2026-11")
    return date(int(found[1]), int(found[2]), 1)


def month_of(instant: datetime, zone: str) -> str:
    return f"{instant.astimezone(zone_by_name(zone)):%Y-%m}"


def following(month: str) -> str:
    return f"{_first(month) + timedelta(days=31):%Y-%m}"


def preceding(month: str) -> str:
    return f"{_first(month) - timedelta(days=1):%Y-%m}"


def period(month: str, zone: str, now: datetime) -> Period:
    """Raises Invalid for what is no month, no zone, or a month that has not begun."""
    wall, first = zone_by_name(zone), _first(month)
    count = (_first(following(month)) - first).days
    days = tuple(first + timedelta(days=number) for number in range(count))
    begins = tuple(start_of_date(day, wall) for day in days)
    end = start_of_date(first + timedelta(days=count), wall)
    if begins[0] >= now:
        raise Invalid(f"{label(month)} has not begun in {zone}.", "Ask for a month that has.")
    minute = now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    return Period(month, zone, begins[0], end, min(end, minute), days, begins)
