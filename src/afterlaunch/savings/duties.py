from __future__ import annotations

from datetime import datetime

from afterlaunch.ground.actors import automation
from afterlaunch.savings import actions, shadows, watching

MEASURE = automation("savings.measure")


def find(now: datetime) -> None:
    """Look at everything anew."""
    actions.work(now)


def measure(now: datetime) -> None:
    """What was accepted, and the end of shadows whose question is answered."""
    actions.measure_accepted(now)
    watching.measure(now)
    shadows.stop_shown(MEASURE)
    watching.stop_shown(MEASURE)
