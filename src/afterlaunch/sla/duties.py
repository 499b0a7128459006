from __future__ import annotations

from datetime import datetime

from afterlaunch.sla import watch


def watch_clocks(now: datetime) -> None:
    """Warnings, predictions, breaches and pauses of running clocks."""
    watch.look_after(now)
