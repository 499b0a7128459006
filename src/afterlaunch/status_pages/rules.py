"""What a component shows, and what may be published by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """From best to worst."""

    OPERATIONAL = "operational"
    MAINTENANCE = "maintenance"
    DEGRADED = "degraded"
    PARTIAL = "partial_outage"
    MAJOR = "major_outage"


RANK = {state: rank for rank, state in enumerate(State)}
TITLES = {
    State.OPERATIONAL: "Operational",
    State.MAINTENANCE: "Maintenance",
    State.DEGRADED: "Degraded",
    State.PARTIAL: "Partial outage",
    State.MAJOR: "Major outage",
}
TONES = {
    State.OPERATIONAL: "ok",
    State.MAINTENANCE: "plain",
    State.DEGRADED: "warning",
    State.PARTIAL: "breach",
    State.MAJOR: "breach",
}
OF_SEVERITY = {"P1": State.MAJOR, "P2": State.PARTIAL, "P3": State.DEGRADED}
HEADLINES = {
    State.OPERATIONAL: "All systems are operational",
    State.MAINTENANCE: "Maintenance is under way",
    State.DEGRADED: "Some systems are degraded",
    State.PARTIAL: "Some systems are partly down",
    State.MAJOR: "There is a major outage",
}
PHASES = ("investigating", "identified", "monitoring", "resolved")
FALLBACK_TEXT = {
    "investigating": "We have noticed a problem and are looking into it.",
    "identified": "Somebody is working on it.",
    "monitoring": "It looks well again; we are watching it.",
    "resolved": "It is over.",
}


@dataclass(frozen=True)
class Override:
    """A person says what the state is, since when; an incident that opened after it counts again."""

    state: State
    at: datetime


@dataclass(frozen=True)
class Trouble:
    severity: str
    since: datetime
    recovered: bool = False


def worst(states: Iterable[State]) -> State:
    return max(states, key=RANK.__getitem__, default=State.OPERATIONAL)


def state_of(troubles: Iterable[Trouble], maintained: bool, override: Override | None) -> State:
    """Never better than its worst open incident, unless a person says so. What has recovered and is only watched
    counts as degraded at most."""
    counted = [one for one in troubles if override is None or one.since > override.at]
    shown = [_shown(one) for one in counted]
    if maintained:
        shown.append(State.MAINTENANCE)
    if override is not None:
        shown.append(override.state)
    return worst(shown)


def _shown(one: Trouble) -> State:
    found = OF_SEVERITY.get(one.severity, State.PARTIAL)
    return State.DEGRADED if one.recovered else found


def automatic(policy: str, security: bool, severity: str) -> str:
    """What happens by itself when an incident opens: "publish", "draft" or "nothing". Of security nothing ever does."""
    if security:
        return "nothing"
    return policy if policy in ("publish", "draft") and severity in OF_SEVERITY else "nothing"


def phase_of(acknowledged: bool, recovered: bool, ended: bool) -> str:
    """How far an incident is, in words for outsiders."""
    if ended:
        return "resolved"
    if recovered:
        return "monitoring"
    return "identified" if acknowledged else "investigating"
