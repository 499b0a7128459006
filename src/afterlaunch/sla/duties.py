from __future__ import annotations

from datetime import datetime

from afterlaunch.sla import handovers, hours, watch


def watch_clocks(now: datetime) -> bool:
    """Warnings, predictions, breaches and pauses of running clocks. True: there is more."""
    return watch.look_after(now)


def take_over(now: datetime) -> None:
    """Windows of internal teams that have ended: the tier takes over."""
    handovers.hand_over_due(now)


def look_at_hours(now: datetime) -> None:
    """Calendars that have come to have no open time ahead."""
    hours.look_at_hours(now)
