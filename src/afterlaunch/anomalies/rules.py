"""Judge of unusual volume. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from afterlaunch.verdicts.words import Finding, Status, View

LEARNED_MINUTES = 180


@dataclass(frozen=True)
class Volume:
    """Calls per minute against the last day: silence, a fall to a quarter, or a rise to four times."""

    per: tuple[str, ...] = ()
    name: str = "anomalies.volume"
    title: str = "Request volume"
    explanation: str = "There are far fewer or far more calls than on the day before."
    severity: str = "P2"

    def assess(self, view: View) -> Finding:
        past_minutes = view.past.minutes
        minutes = max((view.recent.end - view.recent.start).total_seconds() / 60, 1)
        usual, now = view.past.calls / max(past_minutes, 1), view.recent.calls / minutes
        expected = usual * minutes
        if past_minutes < LEARNED_MINUTES or expected < 10:
            said = "There is too little history to know what volume is usual."
            return Finding(
                self.name, Status.NOT_ASSESSED, "no_baseline", said, now, None, "calls/min", view.recent.calls
            )
        said = f"{now:.1f} calls a minute; the last day had {usual:.1f} on average."
        noise = 4 * sqrt(expected)
        if view.recent.calls == 0:
            said = f"No call at all; the last day had {usual:.1f} a minute."
            return Finding(self.name, Status.BREACH, "no_telemetry", said, 0.0, usual, "calls/min", 0)
        if now < usual / 4 and view.recent.calls < expected - noise:
            reason, status = "volume_fell", Status.WARNING
        elif now > usual * 4 and view.recent.calls > expected + noise:
            reason, status = "volume_rose", Status.WARNING
        else:
            reason, status = "volume_usual", Status.OK
        return Finding(self.name, status, reason, said, now, usual, "calls/min", view.recent.calls)
