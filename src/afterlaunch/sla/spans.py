"""Spans of time and instants, as people write and read them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from afterlaunch.calendars.wall import first_instant
from afterlaunch.ground.errors import Invalid

MOST = 366 * 86_400
_UNITS = {"d": 86_400, "h": 3600, "m": 60, "min": 60, "s": 1}
_WRITTEN = re.compile(r"(?:\d+\s*(?:d|h|min|m|s)\s*)+\Z")
_PART = re.compile(r"(\d+)\s*(d|h|min|m|s)")


def read_span(given: object) -> int:
    """Seconds of a text such as "30m", "2h", "1h 30m" or "2d". Raises Invalid."""
    text = given.strip().lower() if isinstance(given, str) else ""
    if not _WRITTEN.match(text):
        raise Invalid(f"{given!r} is no span of time.", "Write it with its unit, such as 30m, 2h or 1h 30m.")
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if not 0 < seconds <= MOST:
        raise Invalid(f"{given!r} is too short or too long.", "From 1s to 366d.")
    return seconds


def written(seconds: float) -> str:
    """What `read_span` reads: "1h 30m"."""
    left, parts = int(seconds), []
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return " ".join(parts) or "0s"


def words(seconds: float) -> str:
    """ "30 min", "2 h", "1 h 30 min", "45 s"; whole minutes from two minutes on."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s" if whole != 60 else "1 min"
    hours, minutes = whole // 3600, whole % 3600 // 60
    parts = [f"{hours} h"] if hours else []
    return " ".join([*parts, f"{minutes} min"] if minutes else parts)


def at_words(at: datetime, zone: ZoneInfo) -> str:
    """On the wall clock of `zone`: "Tue 9 Jun 2026 07:55", with seconds where there are any."""
    local = at.astimezone(zone)
    shown = "%H:%M:%S" if local.second else "%H:%M"
    return f"{local:%a} {local.day} {local:%b %Y} {local.strftime(shown)}"


def read_instant(given: object, zone: ZoneInfo) -> datetime:
    """RFC 3339, in UTC; a time without a zone is read on the wall clock of `zone`, at its first occurrence. Raises
    Invalid."""
    try:
        at = datetime.fromisoformat(given) if isinstance(given, str) and "T" in given.upper() else None
    except ValueError:
        at = None
    if at is None or not 1970 <= at.year <= 2100:
        raise Invalid(f"{given!r} is no time.", "Write it as 2026-06-09T07:55:00+02:00, from 1970 to 2100.")
    return at.astimezone(UTC) if at.tzinfo else first_instant(at, zone)


def until(now: datetime, at: datetime) -> str:
    """ "in 9 min" or "9 min ago"."""
    left = at - now
    return f"in {words(left.total_seconds())}" if left >= timedelta() else f"{words(-left.total_seconds())} ago"
