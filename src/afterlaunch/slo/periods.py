"""The period that an error budget is for: the last so many seconds, or the present one of a calendar. Pure."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from afterlaunch.slo.openslo.objects import Period

MONTHS = {"M": 1, "Q": 3, "Y": 12}


def bounds(period: Period, now: datetime) -> tuple[datetime, datetime]:
    """(start, end) of the period that holds `now`; a rolling one ends now."""
    if period.rolling:
        return now - timedelta(seconds=period.seconds), now
    zone, first = ZoneInfo(period.zone), datetime.fromisoformat(period.start)
    number = _guess(period, first, now.astimezone(zone).replace(tzinfo=None))
    while number > 0 and _begin(period, first, number, zone) > now:
        number -= 1
    while _begin(period, first, number + 1, zone) <= now:
        number += 1
    return _begin(period, first, number, zone), _begin(period, first, number + 1, zone)


def seconds(period: Period, now: datetime) -> int:
    """How long the present one is: a month has 28 to 31 days, a day 23 to 25 hours."""
    start, end = bounds(period, now)
    return int((end - start).total_seconds())


def _guess(period: Period, first: datetime, local: datetime) -> int:
    length = period.duration
    if length.calendar:
        months = (local.year - first.year) * 12 + local.month - first.month
        return max(0, months // (MONTHS[length.unit] * length.number) - 1)
    return max(0, int((local - first).total_seconds() // length.seconds) - 1)


def _begin(period: Period, first: datetime, number: int, zone: ZoneInfo) -> datetime:
    """The instant at which the period of this number begins; days and weeks are of the wall clock."""
    length = period.duration
    if length.calendar:
        wall = _months(first, MONTHS[length.unit] * length.number * number)
    else:
        wall = first + timedelta(seconds=length.seconds * number)
    return instant(wall, zone)


def _months(first: datetime, months: int) -> datetime:
    """The same day of a later month, or its last one."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return first.replace(year=year, month=month + 1, day=min(first.day, monthrange(year, month + 1)[1]))


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Of a wall time: in a gap the first instant after it, of a repeated time the first."""
    early = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None) == wall:
        return early
    late = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    low, high = sorted((early, late))
    while high - low > timedelta(seconds=1):  # the gap's instant lies between the two readings
        middle = low + (high - low) / 2
        before = middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset()
        low, high = (middle, high) if before else (low, middle)
    return high.replace(microsecond=0)
