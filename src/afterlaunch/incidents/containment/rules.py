"""Who may stop harm by what, and whether it helped. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Decision:
    """`reason` is a named one; `needs` the role it takes."""

    yes: bool
    reason: str
    needs: str = "responder"


def may_contain(possible: bool, reach: int | None, cap: int, operator: bool, machine: bool = False) -> Decision:
    """A responder may touch up to `cap` basis points of the traffic; above it, or where nobody knows how much, it takes
    an operator. A machine never goes above the cap."""
    if not possible:
        return Decision(False, "nothing_to_do")
    if reach is not None and reach <= cap:
        return Decision(True, "within_cap")
    reason = "reach_unknown" if reach is None else "above_cap"
    return Decision(operator and not machine, reason, "operator")


def recovery(
    started: datetime, show_by: datetime, contained: datetime | None, recovered: datetime | None, now: datetime
) -> str:
    """Named: "shown" when the measurements confirmed it after the start, "not_shown" past the time, else "pending"."""
    if any(at is not None and at >= started for at in (contained, recovered)):
        return "shown"
    return "not_shown" if now >= show_by else "pending"
