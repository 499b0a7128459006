"""What each audience is told, who must agree, and when the next update is due. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from afterlaunch.calendars.business import Calendar, add

CADENCE = {"P1": (30, False), "P2": (240, True), "P3": (0, False)}  # minutes, counted in business hours
LONGEST_PROMISE = timedelta(days=7)


def next_due(calendar: Calendar, minutes: int, business: bool, now: datetime) -> datetime | None:
    """When an update is due that was promised at `now`; None for a severity without a cadence."""
    if minutes <= 0:
        return None
    return add(calendar, now, minutes * 60) if business else now + timedelta(minutes=minutes)


@dataclass(frozen=True)
class Source:
    """What an update says, before it is put into the words of an audience. Times as they are to be read."""

    system: str
    severity: str
    title: str
    affected: str
    since: str
    doing: str
    next_at: str
    no_change: bool = False
    final: bool = False
    ended: str = ""


def written_for(audience: str, one: Source) -> str:
    """A draft; a person may alter it. Customers and executives read no title, which may hold internals."""
    lines: list[str] = []
    if one.final:
        lines.append(f"Resolved{f' at {one.ended}' if one.ended else ''}.")
    elif one.no_change:
        lines.append("Nothing has changed since the last update; we are still working on it.")
    if audience in ("responders", "internal"):
        lines.insert(0, f"{one.severity} {one.title}")
    if audience == "executives":
        lines.insert(0, f"{one.severity}, {one.system}.")
    if one.affected:
        lines.append(f"Affected: {one.affected}")
    lines.append(f"Since: {one.since}")
    if one.doing and audience != "executives":
        lines.append(f"{'What was done' if one.final else 'What is being done'}: {one.doing}")
    if one.next_at and not one.final:
        lines.append(f"Next update: {one.next_at}")
    return "\n".join(lines)


def needs_approval(audience: str, severity: str, peak_severity: str) -> bool:
    """Customers of a P1 read nothing that nobody has approved."""
    return audience == "customers" and "P1" in (severity, peak_severity)


def may_approve(posture: str, author: str, approver: str) -> str:
    """A named reason. In governed production nobody approves their own words."""
    if author != approver:
        return "another_person"
    return "author" if posture == "pilot" else "own_words"


def overdue(due_at: datetime, kept_at: datetime | None, now: datetime) -> bool:
    """An update at its time is in time."""
    return kept_at is None and now > due_at
