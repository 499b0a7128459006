from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from ninja import Router, Schema
from pydantic import Field

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import User
from afterlaunch.contracts import guard_counts
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.guard import counting, holding
from afterlaunch.guard.actions import (
    end_bypass,
    end_policy,
    grant_bypass,
    hold_by_id,
    holds_seen_by,
    policies_seen_by,
    policy_by_id,
    put_policy,
    put_queue,
    queues_seen_by,
)
from afterlaunch.guard.models import Hold, Queue
from afterlaunch.look.requests import Request
from afterlaunch.routes.actions import route_by_name
from afterlaunch.routes.models import GuardBypass, GuardPolicy

router = Router(tags=["guard"])


def as_document(row: GuardPolicy) -> dict[str, Any]:
    return {
        "id": row.pk,
        "route": row.route.name,
        "client": row.route.system.client.slug,
        "name": row.name,
        "position": row.position,
        "policy": row.spec,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
    }


class PolicyIn(Schema):
    """`policy`: `where`, `check`, `action`, `fail` and what else docs/guard.md tells. `position`: smaller ones are
    asked first; a new one comes last."""

    route: str
    name: str
    policy: dict[str, Any]
    position: int | None = Field(default=None, ge=0, le=10_000)


class End(Schema):
    reason: str = ""


class BypassIn(Schema):
    who: str
    value: str
    reason: str
    until: datetime


class QueueIn(Schema):
    """`owner`: an e-mail address; empty: the administrators of the client are told. `tell_after`: seconds."""

    client: str
    name: str
    owner: str = ""
    tell_after: int = 900


class Decision(Schema):
    approve: bool
    reason: str


@router.get("/guard/policies")
def list_policies(
    request: Request, route: str = "", ended: bool = False, limit: int = 100, cursor: int = 0
) -> dict[str, Any]:
    """Policies by id; with `ended`, those that have ended as well."""
    limit = max(1, min(limit, 500))
    rows = policies_seen_by(request.actor).filter(pk__gt=cursor)
    rows = rows.filter(route__name=route) if route else rows
    rows = rows if ended else rows.filter(ended_at=None)
    found = list(rows.order_by("pk")[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"policies": [as_document(row) for row in found[:limit]], "cursor": more}


@router.get("/guard/policies/{policy_id}")
def show_policy(request: Request, policy_id: int, hours: int = 24) -> dict[str, Any]:
    """A policy with what gateways counted of it in the last `hours`."""
    row, now = policy_by_id(request.actor, policy_id), clock.now()
    since = now - timedelta(hours=max(1, min(hours, 24 * 90)))
    found = counting.sums([row.pk], since, now + timedelta(seconds=1)).get(row.pk, guard_counts.Counts())
    bypasses = [_bypass(one) for one in row.bypasses.all()[:200]]
    return {**as_document(row), "since": since, "counts": asdict(found), "bypasses": bypasses}


def _bypass(row: GuardBypass) -> dict[str, Any]:
    return {
        "id": row.pk, "who": row.who, "value": row.value, "reason": row.reason, "approved_by": row.approved_by,
        "created_at": row.created_at, "until": row.until, "ended_at": row.ended_at,
    }  # fmt: skip


@router.post("/guard/policies")
def make_policy(request: Request, body: PolicyIn) -> dict[str, Any]:
    """Make a policy, or alter the route's of this name. In force within a second. For operators of the route's client;
    one that asks a service takes an administrator."""
    route = route_by_name(request.actor, body.route)
    return as_document(put_policy(request.actor, route, body.name, body.policy, body.position))


@router.post("/guard/policies/{policy_id}/end")
def end(request: Request, policy_id: int, body: End) -> dict[str, Any]:
    """It is asked no more; what was counted stays."""
    return as_document(end_policy(request.actor, policy_by_id(request.actor, policy_id), body.reason))


@router.post("/guard/policies/{policy_id}/bypasses")
def bypass(request: Request, policy_id: int, body: BypassIn) -> dict[str, Any]:
    """Whom the policy does not stop, until when; every match is still counted. For administrators of the client."""
    if body.until.tzinfo is None:
        raise Invalid("`until` has a time zone.", "For example 2027-01-31T12:00:00Z")
    row = policy_by_id(request.actor, policy_id)
    return _bypass(grant_bypass(request.actor, row, body.who, body.value, body.reason, body.until))


@router.post("/guard/policies/{policy_id}/bypasses/{bypass_id}/end")
def end_a_bypass(request: Request, policy_id: int, bypass_id: int) -> dict[str, Any]:
    row = policy_by_id(request.actor, policy_id).bypasses.filter(pk=bypass_id).select_related(
        "policy__route__system__client"
    ).first()  # fmt: skip
    if row is None:
        raise Invalid("There is no such bypass of this policy.")
    end_bypass(request.actor, row)
    row.refresh_from_db()
    return _bypass(row)


# ---- queues and what waits in them


def _queue(row: Queue, waiting: list[Hold], now: datetime) -> dict[str, Any]:
    mine = [one for one in waiting if one.queue_id == row.pk]
    oldest = min((one.asked_at for one in mine), default=None)
    return {
        "id": row.pk,
        "client": row.client.slug,
        "name": row.name,
        "owner": row.owner.email if row.owner else None,
        "tell_after": row.tell_after,
        "waiting": len(mine),
        "oldest_seconds": int((now - oldest).total_seconds()) if oldest else None,
    }


def held_as_document(request: Request, row: Hold) -> dict[str, Any]:
    """The content only for those who may decide."""
    found = {
        "id": row.pk, "queue": row.queue.name, "client": row.queue.client.slug, "policy": row.policy.name,
        "route": row.policy.route.name, "state": row.state, "why": row.why, "digest": row.digest, "size": row.size,
        "asked_at": row.asked_at, "until": row.until, "fallback": row.fallback, "decided_at": row.decided_at,
        "decided_by": row.decided_by or None, "reason": row.reason, "used_at": row.taken_at, "call": row.call,
        "tenant": row.tenant or None, "agent": row.agent or None, "key": row.key,
    }  # fmt: skip
    if holding.may_see(request.actor, row):
        found |= {"content": row.content, "content_cut": row.cut, "content_policy": row.capture}
    return found


@router.get("/guard/queues")
def list_queues(request: Request) -> dict[str, Any]:
    """Approval queues with their load, the age of what waits longest, and who answers for them."""
    now = clock.now()
    waiting = list(holds_seen_by(request.actor).filter(state="waiting", until__gt=now).defer("content"))
    return {"queues": [_queue(row, waiting, now) for row in queues_seen_by(request.actor)]}


@router.post("/guard/queues")
def make_queue(request: Request, body: QueueIn) -> dict[str, Any]:
    """Make a queue, or alter the client's of this name. For operators of the client."""
    owner = User.objects.filter(email=body.owner.lower(), is_active=True).first() if body.owner else None
    if body.owner and owner is None:
        raise Invalid(f"There is no person {body.owner!r}.")
    row = put_queue(request.actor, client_by_slug(request.actor, body.client), body.name, owner, body.tell_after)
    return _queue(row, [], clock.now())


@router.get("/guard/holds")
def list_holds(request: Request, state: str = "waiting", limit: int = 100, cursor: int = 0) -> dict[str, Any]:
    """Held requests by id. `state`: waiting, approved, denied, expired, or all."""
    limit = max(1, min(limit, 200))
    rows = holds_seen_by(request.actor).filter(pk__gt=cursor)
    rows = rows if state == "all" else rows.filter(state=state)
    found = list(rows.order_by("pk")[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"holds": [held_as_document(request, row) for row in found[:limit]], "cursor": more}


@router.get("/guard/holds/{hold_id}")
def show_hold(request: Request, hold_id: int) -> dict[str, Any]:
    return held_as_document(request, hold_by_id(request.actor, hold_id))


@router.post("/guard/holds/{hold_id}/decide")
def decide(request: Request, hold_id: int, body: Decision) -> dict[str, Any]:
    """Approve or deny, with a reason. By a person who may respond for the client and did not ask; never by a token."""
    row = holding.decide(request.actor, hold_by_id(request.actor, hold_id), body.approve, body.reason)
    return held_as_document(request, row)


# ---- what gateways tell and ask


class Counts(Schema):
    """`counts`: objects with policy, slot and amounts."""

    gateway: str
    counts: list[Any]


class Asked(Schema):
    policy: str
    digest: str
    why: str = ""
    content: str = ""
    size: int = 0
    call: str = ""
    path: str = ""
    tenant: str = ""
    agent: str = ""
    user: str = ""
    key: str = ""


class Ids(Schema):
    ids: list[int]


@router.post("/gateway/guard/counts", tags=["gateway"])
def take_counts(request: Request, body: Counts) -> dict[str, Any]:
    """What a gateway counted of policies in stretches of five minutes. Telling again changes nothing. For gateways:
    role ingest for all clients."""
    taken = counting.take(request.actor, body.gateway, body.counts)
    return {"taken": taken.taken, "refused": [{"place": at, "reason": why} for at, why in taken.refused]}


def _answer(row: Hold) -> dict[str, Any]:
    reason = row.reason if row.state == "denied" else ""
    return {"id": str(row.pk), "state": row.state, "fallback": row.fallback, "reason": reason, "until": row.until}


@router.post("/gateway/guard/holds", tags=["gateway"])
def hold(request: Request, body: Asked) -> dict[str, Any]:
    """Hold a request for a person, or learn what became of the same one before. For gateways."""
    return _answer(holding.ask(request.actor, holding.Question(**body.dict())))


@router.get("/gateway/guard/holds", tags=["gateway"])
def look(request: Request, ids: str = "") -> dict[str, Any]:
    """What became of holds that calls wait for. For gateways: role ingest for all clients."""
    request.actor.require(Role.INGEST, None)
    wanted = [int(one) for one in ids.split(",") if one.isascii() and one.isdigit() and len(one) < 19]
    return {"holds": [_answer(row) for row in holding.look(request.actor, wanted)]}


@router.post("/gateway/guard/holds/take", tags=["gateway"])
def take(request: Request, body: Ids) -> dict[str, Any]:
    """Use approvals, all or none: each is good for one call. For gateways: role ingest for all clients."""
    return {"taken": holding.take(request.actor, body.ids)}
