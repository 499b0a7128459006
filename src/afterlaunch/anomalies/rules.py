"""Judge of unusual volume. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import median

from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.words import Finding, Status, View, usual, with_sample

DAYS = 3  # days of the same hour that a daily rhythm needs
KNOWN_HOURS = 3  # hours that a wide band needs
ENOUGH = 10.0  # calls that must be expected before their absence says anything
FACTOR, SPREADS = 4.0, 4.0


@dataclass(frozen=True)
class Band:
    """Calls an hour: what is usual lies between `low` and `high`; `known_as` says how that is known."""

    low: float
    middle: float
    high: float
    known_as: str


def band(hours: Mapping[int, Window]) -> Band | None:
    """1. The same hour of earlier days, when three of them are known: its median, give or take four robust spreads.
    2. Else from the least to the most of the last day's hours. 3. Else None.

    `hours`: as in `View`. Hours before the first call are not known; later ones without a call held none.
    """
    known = max(hours, default=0)
    same = usual([_calls(hours, back - 1) for back in range(24, known + 2, 24)])
    if same is not None and same.count >= DAYS:
        room = SPREADS * max(same.spread, sqrt(max(same.median, 1.0)))
        return Band(same.median - room, same.median, same.median + room, f"this hour of the last {same.count} days")
    last = [_calls(hours, back) for back in range(1, min(known, 24) + 1)]
    if len(last) < KNOWN_HOURS:
        return None
    room = SPREADS * sqrt(max(*last, 1.0))
    return Band(min(last) - room, median(last), max(last) + room, f"the median of the last {len(last)} hours")


def _calls(hours: Mapping[int, Window], back: int) -> float:
    row = hours.get(back)
    return float(row.calls) if row else 0.0


@dataclass(frozen=True)
class Volume:
    """Calls an hour against the same hour of earlier days: silence, a fall to a quarter, or a rise to four times."""

    per: tuple[str, ...] = ()
    name: str = "anomalies.volume"
    title: str = "Request volume"
    explanation: str = "There are far fewer or far more calls than at this hour of the days before."
    severity: str = "P2"

    def assess(self, view: View) -> Finding:
        return with_sample(self._assessed(view), view.recent)

    def _assessed(self, view: View) -> Finding:
        minutes = max((view.recent.end - view.recent.start).total_seconds() / 60, 1)
        calls, now = view.recent.calls, view.recent.calls / minutes * 60
        known = band(view.hours)
        if known is None:
            said = "There is too little history to know what volume is usual."
            return Finding(self.name, Status.NOT_ASSESSED, "no_baseline", said, now, None, "calls/h", calls)
        if calls == 0:
            return self._silent(known)
        said = f"{now:,.0f} calls an hour; {known.known_as}: {known.middle:,.0f}."
        expected = known.middle * minutes / 60
        noise = SPREADS * sqrt(max(expected, 1.0))
        reason, status = "volume_usual", Status.OK
        if now < min(known.low, known.middle / FACTOR) and calls < expected - noise:
            reason, status = "volume_fell", Status.WARNING
        elif now > max(known.high, known.middle * FACTOR) and calls > expected + noise:
            reason, status = "volume_rose", Status.WARNING
        return Finding(self.name, status, reason, said, now, known.middle, "calls/h", calls)

    def _silent(self, known: Band) -> Finding:
        """No call for an hour is a breach where calls were sure to come, and says nothing where it may be quiet."""
        if known.middle >= ENOUGH and known.low > 0:
            said = f"No call at all for an hour; {known.known_as}: {known.middle:,.0f}."
            return Finding(self.name, Status.BREACH, "no_telemetry", said, 0.0, known.middle, "calls/h", 0)
        said = f"No call for an hour, as may be; {known.known_as}: {known.middle:,.0f}."
        return Finding(self.name, Status.NOT_ASSESSED, "quiet_hour", said, 0.0, known.middle, "calls/h", 0)
