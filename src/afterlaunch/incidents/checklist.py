"""The facts of an incident that decide about its steps, gathered from rows."""

from __future__ import annotations

from django.db.models import Prefetch

from afterlaunch.ground import clock
from afterlaunch.incidents.kinds import kind_named
from afterlaunch.incidents.lifecycle import Facts, Took, took
from afterlaunch.incidents.models import Assignment, Incident, Tick
from afterlaunch.incidents.reviews.models import Review
from afterlaunch.incidents.rules import STABILITY
from afterlaunch.incidents.updates import promises
from afterlaunch.incidents.updates.rules import overdue
from afterlaunch.incidents.updates.sending import audiences_waiting_for_the_end

HELD = Prefetch("assignments", Assignment.objects.filter(until=None).select_related("person"))
"""For lists: who holds which role, in one question for all incidents."""


def facts_of(incident: Incident) -> Facts:
    """A fixed number of questions to the database."""
    now = clock.now()
    evidence = kind_named(incident.kind).evidence
    keys = {f"{incident.kind}/{one.key}" for one in evidence}
    healthy = incident.recovered_at
    return Facts(
        severity=incident.severity,
        peak_severity=incident.peak_severity,
        status=incident.status,
        phase=incident.phase,
        outcome=incident.outcome,
        severity_unsure=incident.severity_unsure,
        acknowledged=incident.acknowledged_at is not None,
        commander=incident.assignments.filter(role="commander", until=None).exists(),
        impact=bool(incident.impact),
        cause=bool(incident.cause),
        evidence_done=Tick.objects.filter(incident=incident, list="evidence", key__in=keys).count(),
        evidence=len(evidence),
        skipped=tuple(one["phase"] for one in incident.skipped),
        containment_started=incident.containment_started_at is not None,
        contained=incident.contained_at is not None,
        recovered=healthy is not None,
        fix=bool(incident.fix),
        stable=healthy is not None and (incident.resolved_at or now) - healthy >= STABILITY,
        updates_overdue=_overdue(incident),
        review_approved=Review.objects.filter(incident=incident, state="approved").exists(),
        told_without_end=incident.status != "open" and bool(audiences_waiting_for_the_end(incident)),
    )


def _overdue(incident: Incident) -> bool:
    promise = promises.standing(incident)
    return promise is not None and overdue(promise.due_at, promise.kept_at, clock.now())


def took_of(incident: Incident) -> Took:
    """How long each step took."""
    return took(
        incident.occurred_at,
        incident.detected_at,
        incident.acknowledged_at,
        incident.contained_at,
        incident.recovered_at,
        incident.resolved_at,
    )
