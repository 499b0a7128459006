"""Wall-clock times in a zone as instants. Pure.

A time inside a spring gap is the first instant after the gap; a repeated time is its first occurrence for a start
and its last for an end, so that two neighbours overlap rather than leave a hole.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant, in UTC, at which clocks in `zone` show the naive `local`."""
    return _instant(local, zone, fold=0)


def last_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The last instant, in UTC, at which clocks in `zone` show the naive `local`."""
    return _instant(local, zone, fold=1)


def start_of_date(day: date, zone: ZoneInfo) -> datetime:
    """The first instant whose local date is `day`; some dates have no midnight."""
    return first_instant(datetime.combine(day, time()), zone)


def local_of(instant: datetime, zone: ZoneInfo) -> datetime:
    """What clocks in `zone` show, naive."""
    return instant.astimezone(zone).replace(tzinfo=None)


def _instant(local: datetime, zone: ZoneInfo, fold: int) -> datetime:
    guess = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    if local_of(guess, zone) == local:
        return guess
    # 1. In a gap fold 1 reads the new offset and lies before the change, fold 0 reads the old one and lies after it.
    # 2. Halve that span until the second of the change is found.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
