"""What travels with an incident when the escalation tier takes it over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.incidents.models import Incident, TimelineEntry
from afterlaunch.sla.handovers import seen_by
from afterlaunch.sla.postures import lacks, support_of

TRIED = ("containment.started", "contained", "relapsed", "runbook", "fix", "note", "phase")
HYPOTHESES = ("cause", "diagnosis")
EVIDENCE = ("evidence", "diagnosis.frozen", "alert")
MOST = 12


@dataclass(frozen=True)
class Package:
    """The timeline itself stands on the incident's page. Lists are newest first; empty means nobody wrote it down."""

    impact: str
    tried: list[TimelineEntry]
    hypotheses: list[TimelineEntry]
    evidence: list[TimelineEntry]
    people: list[str]
    contacts: str
    owner: str
    address: str


def package_of(incident: Incident) -> Package:
    """Gathered from what was written down, so that nothing has to be told again."""
    entries = list(incident.timeline.all())[::-1]
    support = support_of(incident.system)
    people = [
        f"{row.person} ({row.get_role_display().lower()})" for row in incident.assignments.select_related("person")
    ]
    return Package(
        impact=incident.impact or incident.summary,
        tried=_of(entries, TRIED),
        hypotheses=_of(entries, HYPOTHESES),
        evidence=_of(entries, EVIDENCE),
        people=list(dict.fromkeys(people)),
        contacts=support.contacts,
        owner=str(incident.system.owner or ""),
        address=support.address,
    )


def _of(entries: list[TimelineEntry], kinds: tuple[str, ...]) -> list[TimelineEntry]:
    return [one for one in entries if one.kind.startswith(kinds)][:MOST]


def panel(actor: Actor, incident: Incident) -> dict[str, Any] | None:
    """The window, the deeds on it, and the package. None: the primary team owns it to the end."""
    row = seen_by(actor).filter(topic=incident.topic).first()
    if row is None:
        return None
    return {
        "handover": row,
        "package": package_of(incident),
        "lacks": lacks(incident.system, support_of(incident.system)),
        "may": actor.may(Role.RESPONDER, incident.system.client.slug) and incident.status == "open",
        "left": row.due_at - clock.now() if row.due_at else None,
    }
