"""When a breach becomes an alert, and which alerts are one incident. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HOLDS = timedelta(minutes=2)  # a breach that lasts shorter wakes nobody
HEALTHY = timedelta(minutes=10)  # the judge must find no breach for so long before the alert ends
GRAVEST = ("P1", "P2", "P3")


def fires(status: str, since: datetime, now: datetime) -> str:
    """The named reason for which a verdict fires, or does not."""
    if status != "breach":
        return "no_breach"
    return "breach_holds" if now - since >= HOLDS else "too_short_yet"


def ends(status: str, since: datetime, now: datetime) -> str:
    """Not assessed is never taken for recovery while nothing is known: it ends an alert only like ok, after a while,
    because the scope (an arm that was rolled back, say) may have no traffic any more."""
    if status == "breach":
        return "still_breach"
    return "healthy_long_enough" if now - since >= HEALTHY else "healthy_not_long_enough"


@dataclass(frozen=True)
class Firing:
    judge: str
    title: str
    severity: str
    explanation: str
    route: str
    arm: str
    since: datetime


def gravest(severities: Sequence[str]) -> str:
    return min(severities, key=GRAVEST.index)


@dataclass(frozen=True)
class Story:
    """What an incident's head says: the gravest finding first, route and arm if all that name one agree."""

    title: str
    severity: str
    summary: str
    route: str | None
    arm: str | None
    since: datetime


def tell(system: str, environment: str, firing: Sequence[Firing]) -> Story:
    """`firing` holds at least one."""
    ordered = sorted(firing, key=lambda one: (GRAVEST.index(one.severity), one.arm != "candidate", one.since))
    first = ordered[0]
    routes, arms = {one.route for one in firing if one.route}, {one.arm for one in firing if one.arm}
    arm = arms.pop() if len(arms) == 1 else None
    where = f"{system}, {environment}" + (f", {arm} arm" if arm else "")
    return Story(
        f"{first.title} in breach: {where}",
        gravest([one.severity for one in firing]),
        " ".join(
            dict.fromkeys(f"{one.title}{f' ({one.arm})' if one.arm else ''}: {one.explanation}" for one in ordered)
        ),
        routes.pop() if len(routes) == 1 else None,
        arm,
        min(one.since for one in firing),
    )
