"""Recurring times in the form of Alertmanager's time intervals. Pure.

    {"times": [{"start_time": "22:00", "end_time": "24:00"}], "weekdays": ["monday:friday", "sunday"],
     "days_of_month": ["1:5", "-3:-1"], "months": ["january:march", "12"], "years": ["2026:2028"],
     "location": "Europe/Berlin"}

Ranges include both ends; times are [start, end). Days of the month may count from its end (-1 is the last) and are
clamped to the month. An empty field fits everything. Without a location it is UTC.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.calendars.wall import DAY, clock_time, date_of, start_of_date, zone_named
from afterlaunch.calendars.windows import NAMES, Hours, Interval, cut, merged, on_date, read_hours
from afterlaunch.ground.errors import Invalid

HORIZON = timedelta(days=366 * 8 + 1)  # longer than from one 29 February to the next
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
FIELDS = ("times", "weekdays", "days_of_month", "months", "years", "location")
_RANGE = re.compile(r"(-?\w+)(?::(-?\w+))?\Z")
Range = tuple[int, int]


@dataclass(frozen=True)
class Recurrence:
    """Weekdays count from 1 Monday to 7 Sunday; ranges as they were written."""

    times: tuple[Hours, ...] = ()
    weekdays: tuple[Range, ...] = ()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    location: str = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.location)


def read_recurrence(given: object) -> Recurrence:
    """Raises Invalid, which says what is wrong."""
    if not isinstance(given, Mapping):
        raise Invalid("A recurrence is an object.", f"It may have: {', '.join(FIELDS)}")
    unknown = sorted(map(str, set(given) - set(FIELDS)))
    if unknown:
        raise Invalid(f"A recurrence has no {', '.join(unknown)}.", f"It may have: {', '.join(FIELDS)}")
    return Recurrence(
        tuple(_time(one) for one in _list(given, "times")),
        _ranges(given, "weekdays", _named(NAMES), 1, 7),
        _ranges(given, "days_of_month", _number, -31, 31),
        _ranges(given, "months", _named(MONTHS), 1, 12),
        _ranges(given, "years", _number, 1970, 2200),
        zone_named(given.get("location") or "UTC").key,
    )


def document(one: Recurrence) -> dict[str, Any]:
    """What `read_recurrence` reads; empty fields are left out."""

    def words(ranges: Iterable[Range], names: tuple[str, ...] = ()) -> list[str]:
        def word(number: int) -> str:
            return names[number - 1] if names else str(number)

        return [word(a) if a == b else f"{word(a)}:{word(b)}" for a, b in ranges]

    told = {
        "times": [{"start_time": hours.start, "end_time": hours.end} for hours in one.times],
        "weekdays": words(one.weekdays, NAMES),
        "days_of_month": words(one.days_of_month),
        "months": words(one.months, MONTHS),
        "years": words(one.years),
    }
    return {**{name: value for name, value in told.items() if value}, "location": one.location}


def fits_date(one: Recurrence, day: date) -> bool:
    """Whether times of this local date count."""
    return (
        _any(one.weekdays, day.isoweekday())
        and _any(one.months, day.month)
        and _any(one.years, day.year)
        and (not one.days_of_month or any(_fits_day(ends, day) for ends in one.days_of_month))
    )


def within(one: Recurrence, since: datetime, until: datetime) -> list[Interval]:
    """Where it holds in [since, until): UTC intervals in order; those that touch are one."""
    return list(cut(merged(_raw(one, since, until)), since, until))


def holds(one: Recurrence, at: datetime) -> bool:
    """An interval's end is outside of it."""
    return bool(within(one, at, at + timedelta(microseconds=1)))


def following(one: Recurrence, at: datetime) -> Interval | None:
    """The interval that holds at `at`, from `at` on, else the next one; None: it never holds again. One that never
    ends is told up to where the search ended."""
    span = timedelta(days=32)
    while True:
        found = within(one, at, at + span)
        if span == HORIZON or (found and found[0][1] < at + span):
            return found[0] if found else None
        span = min(span * 3, HORIZON)


def _raw(one: Recurrence, since: datetime, until: datetime) -> Iterator[Interval]:
    zone = one.zone
    day, last = date_of(since, zone) - 2 * DAY, date_of(until, zone) + DAY
    while day <= last:
        if fits_date(one, day):
            for hours in one.times:
                yield on_date(hours, day, zone)
            if not one.times:
                yield start_of_date(day, zone), start_of_date(day + DAY, zone)
        day += DAY


def _any(ranges: tuple[Range, ...], value: int) -> bool:
    return not ranges or any(first <= value <= last for first, last in ranges)


def _fits_day(ends: Range, day: date) -> bool:
    """Clamped to the month: 31 in April is no day, 25:31 is 25 to 30."""
    length = monthrange(day.year, day.month)[1]
    first, last = (end if end > 0 else length + 1 + end for end in ends)
    return max(first, 1) <= day.day <= min(last, length) and first <= length


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    value = given.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Invalid(f"{name} is a list.")
    return value


def _time(given: object) -> Hours:
    if not isinstance(given, Mapping) or set(given) != {"start_time", "end_time"}:
        raise Invalid(f"{given!r} is no time range.", "Write start_time and end_time, such as 22:00 and 24:00.")
    hours = read_hours({"start": given["start_time"], "end": given["end_time"]})
    if clock_time(hours.start) >= clock_time(hours.end):
        raise Invalid(f"The time range {hours.start} to {hours.end} ends before it starts.", "Split it at 24:00.")
    return hours


def _number(text: str) -> int:
    return int(text)


def _named(names: tuple[str, ...]) -> Callable[[str], int]:
    def read(text: str) -> int:
        return names.index(text.lower()) + 1 if text.lower() in names else int(text)

    return read


def _ranges(
    given: Mapping[str, Any], name: str, read: Callable[[str], int], least: int, most: int
) -> tuple[Range, ...]:
    return tuple(_range(name, one, read, least, most) for one in _list(given, name))


def _range(name: str, given: object, read: Callable[[str], int], least: int, most: int) -> Range:
    found = _RANGE.match(given if isinstance(given, str) else str(given))
    try:
        if found is None:
            raise ValueError
        first = read(found[1])
        last = read(found[2]) if found[2] else first
    except ValueError:
        raise Invalid(f"{given!r} in {name} can't be read.", "Write one value, or two with a colon between.") from None
    if not (least <= first <= most and least <= last <= most) or 0 in (first, last) or not _in_order(first, last):
        raise Invalid(f"{given!r} in {name} is no range.", f"From {least} to {most}, the smaller first.")
    return first, last


def _in_order(first: int, last: int) -> bool:
    """A positive and a negative day are compared in each month; a range from the end to a positive day never is."""
    return first <= last if (first > 0) == (last > 0) else first > 0
