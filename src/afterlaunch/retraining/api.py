from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema

from afterlaunch.estate.actions import system_by_id
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.retraining import actions, deciding, live
from afterlaunch.retraining.models import Policy, Run

router = Router(tags=["retraining"])


class Put(Schema):
    """`spec`: as docs/retraining.md tells. `name`: of the model that it trains."""

    name: str
    spec: dict[str, Any]


class Ask(Schema):
    """`key`: the same one again is the same run."""

    why: str = ""
    key: str = ""


def run_document(run: Run) -> dict[str, Any]:
    return {
        "run": run.number,
        "policy": run.policy.name,
        "state": run.state,
        "reason": run.reason,
        "reason_why": run.reason_why,
        "trigger": run.trigger,
        "why": run.why,
        "author": run.author,
        "approved_by": run.approved_by or None,
        "pipeline": run.pipeline.get("kind"),
        "noticed_at": run.noticed_at,
        "decided_at": run.decided_at,
        "cut_off": run.cut_off,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "attempts": run.attempts,
        "external": run.external or None,
        "url": run.address or None,
        "message": run.message,
        "cost": str(run.cost) if run.cost is not None else None,
        "version": run.registration.label if run.registration else None,
        "change": run.change_id,
    }


def policy_document(row: Policy) -> dict[str, Any]:
    return {"name": row.name, "spec": row.spec, "vouched_for": row.trusted, "made_by": row.made_by}


@router.get("/systems/{system_id}/retraining")
def retraining(request: Request, system_id: int, limit: int = 50, cursor: int | None = None) -> dict[str, Any]:
    """The policies of a system, and its runs with why each fired or did not, the newest first."""
    system = system_by_id(request.actor, system_id)
    rows = Run.objects.select_related("policy", "registration").filter(policy__system=system)
    rows = rows.filter(pk__lt=cursor) if cursor is not None else rows
    limit = max(1, min(limit, 500))
    found = list(rows[: limit + 1])
    return {
        "system": system.key,
        "client": system.client.slug,
        "policies": [policy_document(one) for one in actions.policies_of(system)],
        "runs": [run_document(one) for one in found[:limit]],
        "cursor": found[limit - 1].pk if len(found) > limit else None,
    }


@router.post("/systems/{system_id}/retraining")
def put(request: Request, system_id: int, given: Put) -> dict[str, Any]:
    """Put a policy. What is the same changes nothing."""
    system = system_by_id(request.actor, system_id)
    return policy_document(actions.put_policy(request.actor, system, given.name, given.spec))


@router.post("/systems/{system_id}/retraining/{name}/end")
def end(request: Request, system_id: int, name: str) -> dict[str, Any]:
    """End a policy; what runs is followed to its end."""
    actions.end_policy(request.actor, actions.policy_by_name(request.actor, system_id, name))
    return {"status": "ended"}


@router.post("/systems/{system_id}/retraining/{name}/runs")
def ask(request: Request, system_id: int, name: str, given: Ask) -> dict[str, Any]:
    """Ask for a run now. The cool-down does not bind a person; budget, data quality and approval do."""
    policy = actions.policy_by_name(request.actor, system_id, name)
    return run_document(deciding.ask_for(request.actor, policy, given.why, given.key))


@router.post("/systems/{system_id}/retraining/{name}/runs/{number}/approve")
def approve(request: Request, system_id: int, name: str, number: int) -> dict[str, Any]:
    """Approve a run that waits; in governed production not one's own."""
    policy = actions.policy_by_name(request.actor, system_id, name)
    return run_document(actions.approve(request.actor, actions.run_by_number(policy, number)))


@router.post("/systems/{system_id}/retraining/{name}/runs/{number}/decline")
def decline(request: Request, system_id: int, name: str, number: int) -> dict[str, Any]:
    policy = actions.policy_by_name(request.actor, system_id, name)
    return run_document(actions.decline(request.actor, actions.run_by_number(policy, number)))


@router.get("/systems/{system_id}/live")
def was_live(
    request: Request, system_id: int, at: datetime | None = None, environment: str = "", kind: str = ""
) -> dict[str, Any]:
    """What was live at an instant (now, when none is given): versions of every part as they were seen, with what each
    was made of, and what routes served by their changes."""
    system = system_by_id(request.actor, system_id)
    if at is not None and at.tzinfo is None:
        raise Invalid("'at' has no zone.", "For example 2026-03-01T00:00:00Z")
    then = at or clock.now()
    return {
        "system": system.key,
        "at": then,
        "parts": live.live_at(system, then, environment, kind),
        "routes": live.routes_at(system, then),
    }


@router.get("/systems/{system_id}/versions")
def versions(request: Request, system_id: int) -> dict[str, Any]:
    """Versions that were made and registered, with their lineage, the newest first."""
    system = system_by_id(request.actor, system_id)
    rows = actions.registrations_of(system)[:200]
    return {"system": system.key, "versions": [live.registration_document(one) for one in rows]}
