"""What changed before an incident, and where it concentrates: asked of rows and rollups when somebody looks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from afterlaunch.changes.actions import changes_seen_by
from afterlaunch.changes.models import Change
from afterlaunch.diagnosis.rules import Answer, concentrate
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Unavailable
from afterlaunch.incidents.models import Incident
from afterlaunch.telemetry.queries import windows

LOOK_BACK = timedelta(hours=24)
BEFORE, LONGEST = timedelta(minutes=15), timedelta(hours=6)
DIMENSIONS = ("arm", "version", "route", "model", "provider", "tenant", "service")


@dataclass(frozen=True)
class Diagnosis:
    """`start` to `end`: the minutes whose calls were counted."""

    start: datetime
    end: datetime
    answer: Answer
    changes: tuple[Change, ...]


def diagnose(actor: Actor, incident: Incident) -> Diagnosis:
    """The caller has checked that the actor may see the incident."""
    began = incident.occurred_at or incident.detected_at
    start = began - BEFORE
    end = incident.contained_at or incident.resolved_at or clock.now()
    end = min(max(end, began) + timedelta(minutes=1), start + LONGEST)
    clients = frozenset({incident.system.client.slug})
    place = {"system": incident.system.key, "environment": incident.environment or None}
    try:
        answer = concentrate({name: windows(start, end, [name], clients, **place) for name in DIMENSIONS})
    except Unavailable as problem:  # the incident's page must open all the same, and says so
        answer = Answer("telemetry_unavailable", f"Not assessed: {problem}")
    recent = Q(proposed_at__gte=began - LOOK_BACK) | Q(started_at__gte=began - LOOK_BACK)
    before = Q(proposed_at__lte=incident.detected_at) & recent
    changes = changes_seen_by(actor).filter(before, system=incident.system, environment=incident.environment)
    return Diagnosis(start, end, answer, tuple(changes.order_by("-started_at", "-proposed_at")[:10]))


def panel(actor: Actor, incident: Incident) -> dict[str, Any]:
    return {"diagnosis": diagnose(actor, incident)}
