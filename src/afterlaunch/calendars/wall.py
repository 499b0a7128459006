"""Wall-clock times in a zone as instants. Pure.

A time inside a spring gap is the first instant after the gap; a repeated time is its first occurrence for a start
and its last for an end, so that two neighbours overlap rather than leave a hole.
"""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zoneinfo import ZoneInfo

from afterlaunch.ground.errors import Invalid

DAY = timedelta(days=1)
_CLOCK = re.compile(r"(?:([01]\d|2[0-3]):([0-5]\d)|24:00)\Z")


def zone_named(name: object) -> ZoneInfo:
    """The IANA zone of that name. Raises Invalid."""
    try:
        return ZoneInfo(str(name))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"{name!r} is no IANA time zone.", "For example: Europe/Berlin") from None


@lru_cache(maxsize=1)
def zone_data_version() -> str:
    """Which edition of the time-zone data this process reads: the machine's own is found before the package's."""
    for folder in zoneinfo.TZPATH:
        for name in ("tzdata.zi", "+VERSION"):
            file = Path(folder, name)
            if file.is_file():
                with file.open() as lines:
                    return f"system {lines.readline().removeprefix('# version').strip()}"
        if Path(folder, "Europe/Berlin").is_file():
            return "system, unknown edition"
    try:
        return f"package {version('tzdata')}"
    except PackageNotFoundError:
        return "unknown"


def clock_time(text: object) -> timedelta:
    """ "HH:MM", also "24:00", as the span since the wall clock's midnight. Raises Invalid."""
    found = _CLOCK.match(text) if isinstance(text, str) else None
    if found is None:
        raise Invalid(f"{text!r} is no time of day.", "Write it as HH:MM, from 00:00 to 24:00.")
    return timedelta(hours=int(found[1]), minutes=int(found[2])) if found[1] else DAY


def wall(day: date, since_midnight: timedelta) -> datetime:
    """The naive wall time so long after the midnight of `day`, which itself may not exist."""
    return datetime.combine(day, time()) + since_midnight


def first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant, in UTC, at which clocks in `zone` show the naive `local`."""
    return _instant(local, zone, fold=0)


def last_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The last instant, in UTC, at which clocks in `zone` show the naive `local`."""
    return _instant(local, zone, fold=1)


def start_of_date(day: date, zone: ZoneInfo) -> datetime:
    """The first instant whose local date is `day`; some dates have no midnight. For a date that a zone left out, the
    start of the next one."""
    return first_instant(datetime.combine(day, time()), zone)


def date_of(instant: datetime, zone: ZoneInfo) -> date:
    """The date whose first instant came last. It differs from what calendars show only where clocks are set back over
    midnight: the hour that repeats belongs to the date that had begun."""
    day = local_of(instant, zone).date()
    return day + DAY if start_of_date(day + DAY, zone) <= instant else day


def local_of(instant: datetime, zone: ZoneInfo) -> datetime:
    """What clocks in `zone` show, naive."""
    return instant.astimezone(zone).replace(tzinfo=None)


def add_clock(instant: datetime, move: timedelta, zone: ZoneInfo) -> datetime:
    """So far on, or back, on the wall clock: the first instant with that wall time, or the first after a gap."""
    return first_instant(local_of(instant, zone) + move, zone)


def hours_between(a: datetime, b: datetime, zone: ZoneInfo) -> float:
    """Hours from `a` to `b` on the wall clock: elapsed time plus the change of the UTC offset."""
    return (local_of(b, zone) - local_of(a, zone)) / timedelta(hours=1)


def clock_change(day: date, zone: ZoneInfo) -> tuple[time, timedelta] | None:
    """The wall time at which clocks change on `day`, as they show it just before, and by how much; None: they don't."""
    start, end = start_of_date(day, zone), start_of_date(day + DAY, zone)
    old, new = _offset(start - timedelta(seconds=1), zone), _offset(end - timedelta(seconds=1), zone)
    if old == new:
        return None
    change = _change_between(start - timedelta(seconds=1), end, zone)
    return (change.astimezone(UTC) + old).time(), new - old


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _instant(local: datetime, zone: ZoneInfo, fold: int) -> datetime:
    guess = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    if local_of(guess, zone) == local:
        return guess
    # In a gap fold 1 reads the new offset and lies before the change, fold 0 reads the old one and lies after it.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return _change_between(before, after, zone)


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The second at which the offset of `before` ends: the span is halved until it is found."""
    old = _offset(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if _offset(middle, zone) == old:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
