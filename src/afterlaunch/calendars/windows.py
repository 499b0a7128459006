"""Weekly windows on the wall clock of a zone. Pure.

[start, end), "24:00" is a legal end. start < end: the same day. start > end: begins on an enabled weekday, ends the
next day. start == end: blocks of 24 hours from start, which join on consecutive days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.calendars.wall import DAY, clock_time, date_of, first_instant, last_instant, wall
from afterlaunch.ground.errors import Invalid

Interval = tuple[datetime, datetime]
WEEK = timedelta(days=7)
NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ALL_DAYS = (1, 2, 3, 4, 5, 6, 7)


@dataclass(frozen=True)
class Hours:
    """A window on a date that is told elsewhere: "HH:MM" to "HH:MM"."""

    start: str
    end: str

    def document(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end}


@dataclass(frozen=True)
class Window(Hours):
    """`days` are ISO weekdays (1 Monday … 7 Sunday) on which it begins."""

    days: tuple[int, ...] = ALL_DAYS

    def document(self) -> dict[str, Any]:
        return {"days": list(self.days), **super().document()}


def window(days: Iterable[int], start: str, end: str) -> Window:
    return Window(start, end, tuple(days))


def weekday(value: object) -> int:
    """An ISO weekday of a number from 1 to 7 or of a name, at least its first three letters. Raises Invalid."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 7:
        return value
    if isinstance(value, str) and len(value) >= 3:
        for number, name in enumerate(NAMES, 1):
            if name.startswith(value.lower()):
                return number
    raise Invalid(f"{value!r} is no weekday.", "Write 1 (Monday) to 7 (Sunday), or mon … sun.")


def read_hours(given: object) -> Hours:
    """{start, end}. Raises Invalid."""
    if not isinstance(given, Mapping) or set(given) != {"start", "end"}:
        raise Invalid(f"{given!r} are no hours.", "Write start and end, such as 08:00 and 18:00.")
    if clock_time(given["start"]) == DAY:
        raise Invalid("A window can't start at 24:00.", "Write 00:00 of the next day.")
    clock_time(given["end"])
    return Hours(given["start"], given["end"])


def read_window(given: object) -> Window:
    """{days, start, end}. Raises Invalid."""
    if not isinstance(given, Mapping) or "days" not in given:
        raise Invalid(f"{given!r} is no weekly window.", "Write days, start and end.")
    hours = read_hours({name: value for name, value in given.items() if name != "days"})
    if isinstance(given["days"], str) or not isinstance(given["days"], Sequence) or not given["days"]:
        raise Invalid("A weekly window needs at least one day.", "For example: [mon, tue, wed, thu, fri]")
    return Window(hours.start, hours.end, tuple(sorted({weekday(one) for one in given["days"]})))


@lru_cache(maxsize=8192)
def on_date(hours: Hours, day: date, zone: ZoneInfo) -> Interval:
    """The UTC interval of a window that begins on `day`; empty where a gap swallows it."""
    start, end = clock_time(hours.start), clock_time(hours.end)
    return first_instant(wall(day, start), zone), last_instant(wall(day, end if end > start else end + DAY), zone)


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """In order, without empty ones; those that touch or overlap are one."""
    found: list[Interval] = []
    for start, end in sorted(one for one in intervals if one[0] < one[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def within(windows: Sequence[Window], zone: ZoneInfo, since: datetime, until: datetime) -> list[Interval]:
    """The merged open intervals that touch [since, until), whole: not cut at its ends."""
    raw, day = [], date_of(since, zone) - 8 * DAY
    last = date_of(until, zone) + 8 * DAY
    while day <= last:
        raw += [on_date(one, day, zone) for one in windows if day.isoweekday() in one.days]
        day += DAY
    return [(start, end) for start, end in merged(raw) if start < until and end > since]


def is_open(windows: Sequence[Window], zone: ZoneInfo, at: datetime) -> bool:
    """A window's end is outside of it."""
    return bool(within(windows, zone, at, at + timedelta(microseconds=1)))


def current_or_next(windows: Sequence[Window], zone: ZoneInfo, at: datetime) -> Interval | None:
    """The window that is open at `at`, else the next one. One that never closes is told from a week and a day before
    to a week and a day after. None: there is none."""
    return next(iter(within(windows, zone, at, at + WEEK + DAY)), None)


def cut(intervals: Iterable[Interval], since: datetime, until: datetime) -> Iterator[Interval]:
    """What of each lies in [since, until)."""
    for start, end in intervals:
        begin, stop = max(start, since), min(end, until)
        if begin < stop:
            yield begin, stop
