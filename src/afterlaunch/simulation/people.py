"""Responders: asleep, awake, slow, certain. What one does about a page depends on the seed and the page alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from afterlaunch.simulation.plan import PersonPlan

AWAKE = range(7, 23)  # hours of the wall clock
NEVER = timedelta.max


def asleep(person: PersonPlan, at: datetime) -> bool:
    return at.astimezone(ZoneInfo(person.zone)).hour not in AWAKE


def reaction(seed: int, person: PersonPlan, key: str, severity: str, at: datetime) -> timedelta | None:
    """How long until they press the button; None: they don't."""
    rng = Random(f"{seed} {person.name} {key}")
    if asleep(person, at):
        if rng.random() > person.wakes * (1.0 if severity == "P1" else 0.7):
            return None
        return timedelta(seconds=round(30 + rng.lognormvariate(5.5, 0.6), 3))
    if rng.random() > 0.85:
        return None
    return timedelta(seconds=round(15 + rng.lognormvariate(4.9, 0.9), 3))


def presses_twice(seed: int, key: str) -> bool:
    return Random(f"{seed} twice {key}").random() < 0.05


def previews(seed: int, key: str) -> bool:
    """Something that reads the mail before they do follows the link."""
    return Random(f"{seed} preview {key}").random() < 0.2


def repair(seed: int, incident: int) -> timedelta:
    return timedelta(seconds=round(300 + Random(f"{seed} repair {incident}").lognormvariate(7.6, 0.8), 3))
