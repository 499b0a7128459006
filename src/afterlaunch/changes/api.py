from __future__ import annotations

from typing import Any

from ninja import Router, Schema

from afterlaunch.changes import actions
from afterlaunch.changes.models import Change
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.look.requests import Request
from afterlaunch.routes.actions import route_by_name

router = Router(tags=["changes"])


class Proposal(Schema):
    """What is left out stays as the baseline has it."""

    route: str
    title: str
    description: str = ""
    upstream: str | None = None
    model: str | None = None
    prompt_version: str | None = None


class Reason(Schema):
    reason: str = ""


def as_document(change: Change) -> dict[str, Any]:
    return {
        "id": change.pk,
        "client": change.system.client.slug,
        "system": change.system.key,
        "environment": change.environment,
        "route": change.route.name if change.route else None,
        "kind": change.kind,
        "title": change.title,
        "description": change.description,
        "author": change.author,
        "before": change.before,
        "after": change.after,
        "state": change.state,
        "share": change.share,
        "parent": change.parent_id,
        "proposed_at": change.proposed_at,
        "started_at": change.started_at,
        "finished_at": change.finished_at,
        "verified_at": change.verified_at,
        "verification": change.verification,
        "url": change.get_absolute_url(),
    }


@router.get("/changes")
def list_changes(
    request: Request, system: str | None = None, state: str | None = None, limit: int = 100, cursor: int | None = None
) -> dict[str, Any]:
    """Changes, newest first."""
    limit = max(1, min(limit, 500))
    rows = actions.changes_seen_by(request.actor).order_by("-pk")
    rows = rows.filter(system__key=system) if system else rows
    rows = rows.filter(state=state) if state else rows
    found = list((rows.filter(pk__lt=cursor) if cursor else rows)[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"changes": [as_document(row) for row in found[:limit]], "cursor": more}


@router.post("/changes")
def propose(request: Request, body: Proposal) -> dict[str, Any]:
    """Propose other values for a route."""
    route = route_by_name(request.actor, body.route)
    values = actions.altered(route, body.upstream, body.model, body.prompt_version)
    return as_document(actions.propose(request.actor, route, body.title, values, body.description))


@router.get("/changes/{change_id}")
def one_change(request: Request, change_id: int) -> dict[str, Any]:
    change = actions.change_by_id(request.actor, change_id)
    events = [{"at": e.at, "kind": e.kind, "text": e.text, "actor": e.actor} for e in change.events.all()]
    return {**as_document(change), "events": events}


@router.post("/changes/{change_id}/approve")
def approve(request: Request, change_id: int) -> dict[str, Any]:
    return as_document(actions.approve(request.actor, actions.change_by_id(request.actor, change_id)))


@router.post("/changes/{change_id}/advance")
def advance(request: Request, change_id: int) -> dict[str, Any]:
    return as_document(actions.advance(request.actor, actions.change_by_id(request.actor, change_id)))


@router.post("/changes/{change_id}/rollback")
def rollback(request: Request, change_id: int, body: Reason) -> dict[str, Any]:
    """Answers with the rollback, a change of its own."""
    change = actions.change_by_id(request.actor, change_id)
    return as_document(actions.rollback(request.actor, change, body.reason or "By hand."))


@router.post("/incidents/{incident_id}/contain")
def contain(request: Request, incident_id: int, body: Reason) -> dict[str, Any]:
    """Put the last good version back: the newest change that rolls out where the incident is."""
    return as_document(actions.contain(request.actor, incident_by_id(request.actor, incident_id), body.reason))
