from __future__ import annotations

from typing import Any

from ninja import Router, Schema

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.containment import actions
from afterlaunch.incidents.containment.models import Measure
from afterlaunch.incidents.containment.rows import policy_of
from afterlaunch.incidents.kinds import kind_named
from afterlaunch.incidents.models import Incident
from afterlaunch.look.requests import Request

router = Router(tags=["containment"])


class MeasureIn(Schema):
    """For what the product does: `plan`, the digest of the dry run, and `reason`. For what is done by hand: `text`, the
    share of the traffic it touches (absent: unknown) and how it is undone."""

    plan: str = ""
    reason: str = ""
    text: str = ""
    reach_percent: float | None = None
    undo: str = ""


class UndoIn(Schema):
    reason: str = ""


class PolicyIn(Schema):
    cap_percent: float
    show_minutes: int


def measure_out(row: Measure) -> dict[str, Any]:
    return {
        "id": row.pk,
        "key": row.key or None,
        "run": row.run or None,
        "text": row.text,
        "reason": row.reason,
        "reach_percent": None if row.reach is None else row.reach / 100,
        "undo": row.undo,
        "by": row.by,
        "started_at": row.started_at,
        "show_by": row.show_by,
        "state": row.state,
        "settled_at": row.settled_at,
    }


def dry_out(look: actions.Dry) -> dict[str, Any]:
    plan = look.plan
    return {
        "key": look.item.key,
        "title": look.item.title,
        "by_hand": not look.item.run,
        "possible": plan.possible,
        "text": plan.text,
        "reach_percent": None if plan.reach is None else plan.reach / 100,
        "undo": plan.undo or look.item.undo,
        "cap_percent": look.cap / 100,
        "allowed": look.decision.yes,
        "reason": look.decision.reason,
        "needs": look.decision.needs,
        "plan": plan.digest,
    }


def whole(request: Request, incident: Incident) -> dict[str, Any]:
    cap, within = policy_of(incident.system.client_id)
    menu = [actions.dry_run(request.actor, incident, item.key) for item in kind_named(incident.kind).containment]
    return {
        "cap_percent": cap / 100,
        "show_minutes": within.total_seconds() / 60,
        "menu": [dry_out(look) for look in menu],
        "measures": [measure_out(row) for row in incident.measures.all()],
    }


@router.get("/incidents/{incident_id}/containment")
def menu(request: Request, incident_id: int) -> dict[str, Any]:
    """Ways to stop the harm, each with its dry run, and what was done so far. Changes nothing."""
    return whole(request, incident_by_id(request.actor, incident_id))


@router.post("/incidents/{incident_id}/containment/{key}")
def act(request: Request, incident_id: int, key: str, body: MeasureIn) -> dict[str, Any]:
    """Perform a line of the menu as its dry run told, or write down what was done by hand."""
    found = incident_by_id(request.actor, incident_id)
    if actions.item_of(found, key).run:
        actions.act(request.actor, found, key, body.plan, body.reason)
    else:
        reach = None if body.reach_percent is None else round(body.reach_percent * 100)
        actions.by_hand(request.actor, found, key, body.text or body.reason, reach, body.undo)
    return whole(request, found)


@router.post("/incidents/{incident_id}/measures/{measure}/undo")
def undo(request: Request, incident_id: int, measure: int, body: UndoIn) -> dict[str, Any]:
    """Take a measure back, with a reason."""
    found = incident_by_id(request.actor, incident_id)
    done = actions.undo(request.actor, found, measure, body.reason)
    return {**whole(request, found), "done": {"text": done.text, "address": done.address}}


@router.get("/containment-policy/{client}")
def policy(request: Request, client: str) -> dict[str, Any]:
    """What the client's responders may do alone, and how soon a measure must show recovery."""
    cap, within = policy_of(client_by_slug(request.actor, client).pk)
    return {"client": client, "cap_percent": cap / 100, "show_minutes": within.total_seconds() / 60}


@router.post("/containment-policy/{client}")
def put_policy(request: Request, client: str, body: PolicyIn) -> dict[str, Any]:
    """Set both."""
    found = client_by_slug(request.actor, client)
    row = actions.put_policy(request.actor, found, round(body.cap_percent * 100), body.show_minutes)
    return {"client": client, "cap_percent": row.cap / 100, "show_minutes": row.show_minutes}
