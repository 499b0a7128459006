"""Business hours: weekly windows of a zone, cut by holidays and closures, counted as intervals of UTC. Pure.

What a date has, the first that fits: a closure closes it; a half day or an extra open day gives it windows of its own,
also on a holiday; a holiday closes it; else its weekday's windows. Seconds are counted after the windows were turned
into UTC, so that an all-day calendar has days of 23 and 25 hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from afterlaunch.calendars.holiday_sets import holiday
from afterlaunch.calendars.wall import DAY, date_of, start_of_date
from afterlaunch.calendars.windows import ALL_DAYS, Hours, Interval, Window, merged, on_date, window

HORIZON = timedelta(days=400)
WEEKDAYS_8_TO_18 = (window((1, 2, 3, 4, 5), "08:00", "18:00"),)
AROUND_THE_CLOCK = (window(ALL_DAYS, "00:00", "24:00"),)


@dataclass(frozen=True)
class SpecialDay:
    """The windows of one date, in place of its weekday's."""

    date: date
    hours: tuple[Hours, ...]


@dataclass(frozen=True)
class Calendar:
    """`version` 0: it was never stored."""

    zone: str
    windows: tuple[Window, ...]
    country: str = ""
    subdivision: str = ""
    closures: tuple[date, ...] = ()
    half_days: tuple[SpecialDay, ...] = ()
    extra_days: tuple[SpecialDay, ...] = ()
    name: str = "business-hours"
    version: int = 0

    @cached_property
    def zone_info(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @cached_property
    def special(self) -> dict[date, tuple[Hours, ...]]:
        return {one.date: one.hours for one in (*self.half_days, *self.extra_days)}

    @cached_property
    def closed(self) -> frozenset[date]:
        return frozenset(self.closures)

    @cached_property
    def by_weekday(self) -> tuple[tuple[Window, ...], ...]:
        return tuple(tuple(one for one in self.windows if number in one.days) for number in range(8))


class NeverOpen(ValueError):
    """The calendar has no open second within 400 days."""


def why_closed(calendar: Calendar, day: date) -> str | None:
    """ "closure", the holiday's name, or None: the date is not taken out."""
    if day in calendar.closed:
        return "closure"
    return None if day in calendar.special else holiday(calendar.country, calendar.subdivision, day)


def hours_on(calendar: Calendar, day: date) -> Sequence[Hours]:
    """The windows that begin on `day`."""
    if why_closed(calendar, day) is not None:
        return ()
    return calendar.special.get(day, calendar.by_weekday[day.isoweekday()])


def _opened_on(calendar: Calendar, day: date) -> list[Interval]:
    """The intervals of windows that begin on `day`."""
    zone = calendar.zone_info
    whole = [on_date(hours, day, zone) for hours in hours_on(calendar, day)]
    return [piece for one in whole for piece in _without_closed(calendar, day, one)]


def _without_closed(calendar: Calendar, day: date, interval: Interval) -> Iterator[Interval]:
    """A date that is taken out closes from its first instant to the next date's, so a night window is cut there."""
    start, end = interval
    while start < end:
        day += DAY
        midnight = start_of_date(day, calendar.zone_info)
        if midnight >= end:
            yield start, end
            return
        if why_closed(calendar, day) is not None:
            if start < midnight:
                yield start, midnight
            start = max(start, start_of_date(day + DAY, calendar.zone_info))


def pieces(calendar: Calendar, since: datetime, until: datetime | None = None) -> Iterator[Interval]:
    """Open time from `since` on in order, as pieces that don't overlap; they may touch, since they are cut at every
    midnight, so that whoever asks for an hour does not pay for a year. Ends at `until`, or after 400 closed days."""
    day, last = date_of(since, calendar.zone_info) - 2 * DAY, since
    held: list[Interval] = []
    while True:
        held = merged([*held, *_opened_on(calendar, day)])
        day += DAY
        bound = start_of_date(day, calendar.zone_info)
        for start, end in held:
            begin = max(start, since)
            stop = min(end, bound) if until is None else min(end, bound, until)
            if begin < stop:
                yield begin, stop
                last = stop
        held = [(max(start, bound), end) for start, end in held if end > bound]
        if (until is not None and bound >= until) or bound - last > HORIZON:
            return


def intervals(calendar: Calendar, since: datetime, until: datetime) -> list[Interval]:
    """Open time in [since, until): those that touch are one."""
    return merged(pieces(calendar, since, until))


def is_open(calendar: Calendar, at: datetime) -> bool:
    """A window's end is outside of it."""
    return next(pieces(calendar, at, at + timedelta(microseconds=1)), None) is not None


def next_open(calendar: Calendar, at: datetime) -> datetime | None:
    """The first open instant at or after `at`; None when there is none within 400 days."""
    return next((start for start, _ in pieces(calendar, at)), None)


def add(calendar: Calendar, start: datetime, seconds: float) -> datetime:
    """The first instant at which so many open seconds have passed; the end of a window rather than the next opening.
    Raises NeverOpen."""
    left = timedelta(seconds=seconds)
    if not left:
        return start
    for begin, end in pieces(calendar, start):
        if left <= end - begin:
            return begin + left
        left -= end - begin
    raise NeverOpen(f"the calendar {calendar.name} has no open second within 400 days")


def between(calendar: Calendar, a: datetime, b: datetime) -> float:
    """Open seconds in [a, b); zero when b is not after a."""
    return sum(((end - start) for start, end in pieces(calendar, a, b)), timedelta()).total_seconds() if a < b else 0.0


def is_business_date(calendar: Calendar, day: date) -> bool:
    """A local date with at least one open second."""
    zone = calendar.zone_info
    return next(pieces(calendar, start_of_date(day, zone), start_of_date(day + DAY, zone)), None) is not None


def end_of_business_date(calendar: Calendar, day: date) -> datetime:
    """The end of the last window that begins on `day`; where only a night of the day before reaches into it, the end
    of that."""
    ends = [end for _, end in _opened_on(calendar, day)]
    if ends:
        return max(ends)
    zone = calendar.zone_info
    start, midnight = start_of_date(day, zone), start_of_date(day + DAY, zone)
    return max((end for _, end in pieces(calendar, start, midnight)), default=midnight)


def business_date_after(calendar: Calendar, day: date, count: int) -> date:
    """The count-th business date strictly after `day`. Raises NeverOpen."""
    closed_for = 0
    while closed_for <= HORIZON.days:
        day += DAY
        closed_for += 1
        if is_business_date(calendar, day):
            closed_for, count = 0, count - 1
            if count <= 0:
                return day
    raise NeverOpen(f"the calendar {calendar.name} has no open second within 400 days")


def local_date(calendar: Calendar, at: datetime) -> date:
    return date_of(at, calendar.zone_info)
