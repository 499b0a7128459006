"""How near to its limit a counter is, when it will be there, and what that is worth telling. Pure.

Pace: what was used since `back` ago, over that time. Spent at: now + (limit - used) / pace, where that is before the
window ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from afterlaunch.contracts.budgets import Window

BACK = {
    "hour": timedelta(minutes=15),
    "day": timedelta(hours=3),
    "week": timedelta(days=1),
    "month": timedelta(days=3),
    "quarter": timedelta(days=7),
    "once": timedelta(days=7),
}
"""How far back the pace is measured, by window."""
LEAST_PART = 6  # of it: a shorter measurement tells no pace
LEAST_USED = 0.1  # of the limit, before a forecast alerts: early in a window a burst says little


@dataclass(frozen=True)
class Forecast:
    """`kind`: reached, reaches (at `at`), holds, idle, unknown. `pace`: per hour; `ends_at`: used by the window's end
    at this pace."""

    kind: str
    at: datetime | None = None
    pace: float | None = None
    ends_at: int | None = None


def forecast(used: int, then: int, since: datetime, limit: int, window: Window, kind: str, now: datetime) -> Forecast:
    """`then`: what had been used at `since`. `kind`: of the window."""
    if used >= limit:
        return Forecast("reached")
    measured = now - since
    if measured < BACK[kind] / LEAST_PART:
        return Forecast("unknown")
    pace = max(0, used - then) / measured.total_seconds()
    if not pace:
        return Forecast("idle", pace=0.0, ends_at=used)
    left = (limit - used) / pace
    rest = (window.end - now).total_seconds() if window.end is not None else None
    ends = None if rest is None else used + int(pace * rest)
    if (rest is not None and left >= rest) or left > 10 * 366 * 86_400:
        return Forecast("holds", pace=pace * 3600, ends_at=ends)
    return Forecast("reaches", now + timedelta(seconds=left), pace * 3600, ends)


def passed(used: int, limit: int, thresholds: Sequence[int]) -> int | None:
    """The highest threshold, in percent, that has been reached. In whole numbers."""
    return max((one for one in thresholds if used * 100 >= limit * one), default=None)


@dataclass(frozen=True)
class Level:
    """What is told of a counter: `what` is a percentage or "forecast"; severity "" keeps an alert without incident."""

    what: str
    severity: str


def level(used: int, limit: int, thresholds: Sequence[int], foreseen: Forecast | None, mode: str) -> Level | None:
    """None: nothing to tell. The limit's end, then a forecast that reaches it, then the thresholds below."""
    highest = passed(used, limit, thresholds)
    if highest is not None and highest >= 100:
        return Level(str(highest), "P3" if mode == "observe" else "P2")
    if foreseen is not None and foreseen.kind == "reaches" and used >= limit * LEAST_USED and (highest or 0) < 80:
        return Level("forecast", "P3" if mode != "observe" else "")
    if highest is None:
        return None
    return Level(str(highest), "P3" if highest >= 80 and mode != "observe" else "")
