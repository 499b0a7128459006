"""Why somebody is being paged, or was paged again, in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

WORDS = {  # of an escalation's named reasons
    "acknowledged": "somebody took it",
    "acknowledged_and_still_open": "somebody took it, and it is neither contained nor healthy",
    "acknowledged_by_machine": "another tool acknowledged it, which counts for nobody",
    "duplicate": "it was merged into another incident",
    "resolved": "it was resolved",
    "false_alarm": "it was a false alarm",
    "handed_back": "it was handed back",
    "nobody_reachable": "nobody on the path has a verified contact method",
    "catch_all_paged": "nobody on the path could be reached, so the catch-all was paged",
    "nobody_acknowledged": "every step was paged and nobody took it",
    "no_step_holds": "no step of the policy holds at this time",
}


@dataclass(frozen=True)
class Paging:
    """How the paging of an incident stands. `again`: why it came back after somebody had it, as the timeline says."""

    live: bool
    reason: str
    taken_at: datetime | None
    taken_by: str = ""
    again: str = ""


def words(reason: str) -> str:
    return WORDS.get(reason, reason.replace("_", " "))


def why_again(paging: Paging, now: datetime) -> str:
    """A sentence for who is asked to answer once more; empty when it is the first time, or nobody is paged."""
    if paging.taken_at is None:
        return f"It was paged again: {paging.again}" if paging.again else ""
    if not paging.live:
        return ""
    minutes = max(0, round((now - paging.taken_at).total_seconds() / 60))
    if paging.reason == "acknowledged_and_still_open":
        return (
            f"It pages again: {paging.taken_by} took it {minutes} min ago, and it is neither contained nor healthy."
            " Say that somebody is still on it."
        )
    return f"It pages on although {paging.taken_by} has it: others who were paged have not answered yet."
