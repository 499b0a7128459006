"""Which moves an incident may make, what each step needs, and what still stands in the way of its end. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

PHASES = ("detection", "triage", "diagnosis", "containment", "resolution", "review", "closed")
WORKING = PHASES[:5]
EARLY = ("detection", "triage")
OVER = {  # forward moves that pass over phases: what must be said, and which phases count as skipped
    ("triage", "containment"): ("diagnosis",),
    ("triage", "resolution"): ("diagnosis", "containment"),
    ("diagnosis", "resolution"): ("containment",),
}


@dataclass(frozen=True)
class Move:
    """`reason` is a named one; `hint` a sentence for the person. `skipped`: phases that were passed over."""

    yes: bool
    reason: str
    hint: str = ""
    skipped: tuple[str, ...] = ()
    back: bool = False


def may_move(now: str, to: str, said: str, machine: bool = False) -> Move:
    """From phase `now` to phase `to`, with the reason that the person gave. Ends of an incident are no moves: they are
    resolve, close, false alarm and duplicate."""
    if to not in WORKING or now not in WORKING:
        return Move(False, "no_working_phase", "Resolve, reopen or close it instead.")
    if machine and to != "containment":
        return Move(False, "person_only", "Only a person moves it there.")
    if to == now:
        return Move(False, "there_already", "It is in this phase.")
    here, there = WORKING.index(now), WORKING.index(to)
    if there < here:
        if not said.strip():
            return Move(False, "needs_reason", "Say why it goes back.")
        return Move(True, "back", back=True)
    if there == here + 1:
        return Move(True, "next")
    skipped = OVER.get((now, to))
    if skipped is None:
        return Move(False, "too_far", "One phase at a time; only diagnosis and containment may be passed over.")
    if not said.strip():
        what = "stop the harm first" if to == "containment" else "it recovered by itself"
        return Move(False, "needs_reason", f"Say why: for example, {what}.")
    return Move(True, "over", skipped=skipped)


def may_go(now: str) -> list[str]:
    """Phases that a person may move it to from here, the next one first."""
    reachable = [to for to in WORKING if may_move(now, to, "a reason").yes]
    here = WORKING.index(now) if now in WORKING else 0
    return sorted(reachable, key=lambda to: (WORKING.index(to) < here, abs(WORKING.index(to) - here)))


@dataclass(frozen=True)
class Facts:
    """What of an incident decides about its steps."""

    severity: str
    peak_severity: str
    status: str
    phase: str
    outcome: str
    severity_unsure: bool
    acknowledged: bool
    commander: bool
    impact: bool
    cause: bool
    evidence_done: int
    evidence: int
    skipped: tuple[str, ...]
    containment_started: bool
    contained: bool
    recovered: bool
    fix: bool
    stable: bool
    updates_overdue: bool
    review_approved: bool
    told_without_end: bool


@dataclass(frozen=True)
class Need:
    """Something that a step needs. `blocks`: the incident can't be closed without it. `place`: an anchor on the page
    where it is done."""

    key: str
    phase: str
    text: str
    done: bool
    blocks: bool = False
    place: str = ""


def needs_review(peak_severity: str) -> bool:
    """The gravest severity ever held decides; a later downgrade does not lift the duty."""
    return peak_severity in ("P1", "P2")


def needs(facts: Facts) -> list[Need]:
    """What each step needs, in order; what does not apply is left out."""
    p1 = facts.peak_severity == "P1"
    found = [
        Need("acknowledged", "triage", "Somebody has taken it", facts.acknowledged, place="deeds"),
        Need(
            "severity", "triage", "A person has said how grave it is", not facts.severity_unsure, True, place="severity"
        ),
        Need("commander", "triage", "It has a commander", facts.commander, p1, place="roles"),
        Need("impact", "triage", "Who and what is affected is written down", facts.impact, place="story"),
        Need(
            "evidence",
            "diagnosis",
            f"Evidence is looked at ({facts.evidence_done} of {facts.evidence})",
            facts.evidence_done >= facts.evidence,
            place="evidence",
        ),
        Need("cause", "diagnosis", _cause_text(facts), facts.cause, "diagnosis" in facts.skipped, place="story"),
    ]
    if facts.containment_started:
        found.append(
            Need(
                "contained",
                "containment",
                "The measurements confirm that harm has stopped",
                facts.contained or facts.recovered,
                place="containment",
            )
        )
    found += [
        Need("fix", "resolution", "What mended it is written down", facts.fix, place="story"),
        Need("recovered", "resolution", "The measurements are healthy", facts.recovered, place="panel-alerts"),
        Need("stable", "resolution", "Healthy for the stability window of 30 min", facts.stable),
    ]
    if facts.told_without_end:
        found.append(
            Need("told", "resolution", "Everybody who got an update is told of its end", False, place="updates")
        )
    if facts.updates_overdue:
        found.append(Need("update", facts.phase, "The promised update is sent", False, place="updates"))
    if needs_review(facts.peak_severity):
        found.append(Need("review", "review", "The review is approved", facts.review_approved, True, place="review"))
    return found


def _cause_text(facts: Facts) -> str:
    if "diagnosis" in facts.skipped and not facts.cause:
        return "Diagnosis was passed over: the probable cause is still to be named"
    return "A probable cause is named"


def blockers(facts: Facts) -> list[Need]:
    """What must be done before it can be closed."""
    return [need for need in needs(facts) if need.blocks and not need.done]


@dataclass(frozen=True)
class Took:
    """Derived times in seconds; None is unknown, never zero. Detection counts from when it began, all else from when it
    was detected."""

    detect: float | None
    acknowledge: float | None
    contain: float | None
    recover: float | None
    resolve: float | None


def took(
    occurred: datetime | None,
    detected: datetime,
    acknowledged: datetime | None,
    contained: datetime | None,
    recovered: datetime | None,
    resolved: datetime | None,
) -> Took:
    def seconds(since: datetime | None, until: datetime | None) -> float | None:
        return (until - since).total_seconds() if since and until else None

    return Took(
        seconds(occurred, detected),
        *(seconds(detected, at) for at in (acknowledged, contained, recovered, resolved)),
    )
