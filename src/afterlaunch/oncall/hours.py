"""Weekly windows as intervals of UTC. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from afterlaunch.calendars.wall import first_instant, last_instant, local_of

Interval = tuple[datetime, datetime]


@dataclass(frozen=True)
class Window:
    days: tuple[int, ...]
    start: str
    end: str


def _wall(day: datetime, text: str) -> datetime:
    hours, minutes = (int(part) for part in text.split(":"))
    return day + timedelta(hours=hours, minutes=minutes)


def spans(windows: tuple[Window, ...], zone_name: str, start: datetime, end: datetime) -> list[Interval]:
    zone = ZoneInfo(zone_name)
    day = datetime.combine(local_of(start, zone).date(), time()) - timedelta(days=1)
    raw = []
    while day <= local_of(end, zone):
        for window in windows:
            if day.isoweekday() in window.days:
                opens, closes = _wall(day, window.start), _wall(day, window.end)
                closes += timedelta(days=1) if closes <= opens else timedelta()
                raw.append((first_instant(opens, zone), last_instant(closes, zone)))
        day += timedelta(days=1)
    merged: list[Interval] = []
    for opens, closes in sorted(raw):
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(closes, merged[-1][1]))
        else:
            merged.append((opens, closes))
    return [(max(a, start), min(b, end)) for a, b in merged if a < end and b > start]
