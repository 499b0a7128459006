from __future__ import annotations

from typing import Any

from ninja import Router, Schema

from afterlaunch.incidents.actions import acknowledge, incident_by_id, incidents_seen_by, resolve
from afterlaunch.incidents.checklist import HELD, facts_of, took_of
from afterlaunch.incidents.clocks import load, response_of
from afterlaunch.incidents.lifecycle import needs
from afterlaunch.incidents.models import Assignment, Incident
from afterlaunch.look.requests import Request
from afterlaunch.notify.outbox import pages_about
from afterlaunch.sla.models import Clock

router = Router(tags=["incidents"])


class ResolveIn(Schema):
    text: str = ""


def _clock(row: Clock | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "id": row.pk,
        "kind": row.kind,
        "party": row.party or None,
        "deadline": row.deadline,
        "started_at": row.started_at,
        "reason": row.reason,
        "candidates": row.candidates,
        "severity": row.severity,
        "tier": row.tier,
        "policy": row.policy,
        "met_at": row.met_at,
        "breached_at": row.breached_at,
        "cause": row.cause or None,
    }


def _role(row: Assignment) -> dict[str, Any]:
    return {"role": row.role, "person": row.person_id, "name": str(row.person), "since": row.since}


def out(incident: Incident) -> dict[str, Any]:
    """An incident as the API shows it in lists."""
    times = took_of(incident)
    return {
        "id": incident.pk,
        "client": incident.system.client.slug,
        "system": incident.system.key,
        "environment": incident.environment,
        "route": incident.route or None,
        "arm": incident.arm or None,
        "title": incident.title,
        "summary": incident.summary,
        "kind": incident.kind,
        "severity": incident.severity,
        "severity_unsure": incident.severity_unsure,
        "peak_severity": incident.peak_severity,
        "phase": incident.phase,
        "status": incident.status,
        "outcome": incident.outcome or None,
        "recurrence_of": incident.recurrence_of_id,
        "occurred_at": incident.occurred_at,
        "detected_at": incident.detected_at,
        "acknowledged_at": incident.acknowledged_at,
        "acknowledged_by": incident.acknowledged_by or None,
        "contained_at": incident.contained_at,
        "recovered_at": incident.recovered_at,
        "resolved_at": incident.resolved_at,
        "closed_at": incident.closed_at,
        "detect_seconds": times.detect,
        "acknowledge_seconds": times.acknowledge,
        "contain_seconds": times.contain,
        "recover_seconds": times.recover,
        "resolve_seconds": times.resolve,
        "skipped": incident.skipped,
        "duplicate_of": incident.survivor_id,
        "impact": incident.impact,
        "cause": incident.cause,
        "cause_key": incident.cause_key or None,
        "fix": incident.fix,
        "roles": [_role(row) for row in incident.assignments.all() if row.until is None],
        "clock": _clock(response_of(incident)),
    }


def whole(incident: Incident) -> dict[str, Any]:
    pages = [
        {
            "key": page.key,
            "person": str(page.person) if page.person else None,
            "kind": page.kind,
            "to": page.to,
            "state": page.state,
            "attempts": page.attempts,
            "created_at": page.created_at,
            "accepted_at": page.accepted_at,
            "error": page.error or None,
        }
        for page in pages_about(incident.topic)
    ]
    timeline = [
        {
            "sequence": entry.sequence,
            "at": entry.at,
            "kind": entry.kind,
            "text": entry.text,
            "details": entry.details,
            "actor": entry.actor,
            "hash": entry.hash,
        }
        for entry in incident.timeline.all()
    ]
    return {
        **out(incident),
        "clocks": [_clock(row) for row in incident.promises if row.superseded_at is None],
        "needs": [vars(need) for need in needs(facts_of(incident))],
        "timeline": timeline,
        "pages": pages,
    }


@router.get("/incidents")
def list_incidents(
    request: Request,
    status: str = "",
    severity: str = "",
    system: int | None = None,
    kind: str = "",
    phase: str = "",
    limit: int = 100,
    cursor: int | None = None,
) -> dict[str, Any]:
    """Incidents that the actor may see, the newest first; `cursor` is the id of the last one of the page before."""
    limit = max(1, min(limit, 500))
    rows = incidents_seen_by(request.actor).prefetch_related(HELD).order_by("-pk")
    equals = {"status": status, "severity": severity, "system_id": system, "kind": kind, "phase": phase}
    rows = rows.filter(**{name: value for name, value in equals.items() if value})
    found = list((rows.filter(pk__lt=cursor) if cursor is not None else rows)[: limit + 1])
    load(found)
    return {
        "incidents": [out(row) for row in found[:limit]],
        "cursor": found[limit - 1].pk if len(found) > limit else None,
    }


@router.get("/incidents/{incident_id}")
def one_incident(request: Request, incident_id: int) -> dict[str, Any]:
    """The incident with its clock, timeline and pages."""
    return whole(incident_by_id(request.actor, incident_id))


@router.post("/incidents/{incident_id}/acknowledge")
def acknowledge_incident(request: Request, incident_id: int) -> dict[str, Any]:
    """Take it: stops the paging and meets the clock. Repeating it changes nothing."""
    acknowledge(request.actor, incident_by_id(request.actor, incident_id), " over the API")
    return whole(incident_by_id(request.actor, incident_id))


@router.post("/incidents/{incident_id}/resolve")
def resolve_incident(request: Request, incident_id: int, body: ResolveIn | None = None) -> dict[str, Any]:
    """End it. Repeating it changes nothing."""
    resolve(request.actor, incident_by_id(request.actor, incident_id), body.text if body else "")
    return whole(incident_by_id(request.actor, incident_id))
