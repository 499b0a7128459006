"""When a breach becomes an alert, and which alerts are one incident. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HOLDS = timedelta(minutes=2)  # a breach that lasts shorter wakes nobody
HEALTHY = timedelta(minutes=10)  # the judge must find ok for so long before the alert ends
WITHDRAWN = timedelta(minutes=61)  # so long do judges still see calls of a scope that serves nobody any more
GRAVEST = ("P1", "P2", "P3")


def fires(status: str, since: datetime, now: datetime, withdrawn_at: datetime | None = None) -> str:
    """The named reason for which a verdict fires, or does not. `withdrawn_at`: since when its scope serves nobody."""
    if status != "breach":
        return "no_breach"
    if withdrawn_at is not None and now - withdrawn_at < WITHDRAWN:
        return "scope_withdrawn"
    return "breach_holds" if now - since >= HOLDS else "too_short_yet"


def ends(status: str, since: datetime, now: datetime) -> str:
    """The named reason for which an alert ends, or stays open. Only ok, held, is recovery: a scope that went silent
    tells nothing, so its alert stays open until it is ok, is withdrawn, or a person ends it."""
    if status == "not_assessed":
        return "no_data"
    if status != "ok":
        return f"still_{status}"
    return "ok_long_enough" if now - since >= HEALTHY else "ok_not_long_enough"


def page_again(rejoined_at: datetime, now: datetime, window: timedelta) -> str:
    """An alert that came back within the window rejoined its incident without a page. Flapping ends by itself; what
    still fires after the same while is broken, and pages again."""
    return "still_firing" if now - rejoined_at >= window else "perhaps_flapping"


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
