"""Decisions of the pipeline, each with its named reason. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

STAGES = (1000, 5000, 10_000)  # candidate's share in 1/10,000


def next_share(share: int) -> int | None:
    """The stage after this one; None after the last: what follows is completion."""
    return next((stage for stage in STAGES if stage > share), None)


@dataclass(frozen=True)
class Decision:
    yes: bool
    reason: str


def may_approve(posture: str, author: str, approver: str) -> Decision:
    """In governed production the author never approves alone."""
    if posture == "governed" and author == approver:
        return Decision(False, "author_never_approves_alone")
    return Decision(True, "another_person" if author != approver else "pilot")


@dataclass(frozen=True)
class ArmVerdict:
    """The latest verdict of a judge on one arm of a route."""

    judge: str
    arm: str
    status: str
    severity: str


def concentrated_on_candidate(verdicts: Iterable[ArmVerdict]) -> Decision:
    """Whether a breach is the candidate's alone: the same judge does not find the baseline in breach.

    A breach of both arms is somebody else's fault, and a rollback would not help.
    """
    rows = list(verdicts)
    candidate = {
        row.judge for row in rows if row.arm == "candidate" and row.status == "breach" and row.severity != "P3"
    }
    if not candidate:
        return Decision(False, "no_breach_on_candidate")
    baseline = {row.judge for row in rows if row.arm == "baseline" and row.status == "breach"}
    alone = sorted(candidate - baseline)
    if not alone:
        return Decision(False, "baseline_breaches_too")
    return Decision(True, f"breach_on_candidate_only:{alone[0]}")


def contain_automatically(allowed: bool, share: int, concentrated: Decision) -> Decision:
    if not allowed:
        return Decision(False, "owner_did_not_allow_it")
    if not share:
        return Decision(False, "candidate_serves_nobody")
    return concentrated


def rollback_verified(baseline_calls: int, candidate_calls: int) -> Decision:
    """From the gateway's own telemetry after the flip and its two seconds of grace."""
    if candidate_calls:
        return Decision(False, "candidate_still_served")
    if not baseline_calls:
        return Decision(False, "no_traffic_since")
    return Decision(True, "baseline_serves_all")
