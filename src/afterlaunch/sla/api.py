from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.calendars.actions import newest, of_row, set_calendar
from afterlaunch.calendars.documents import document
from afterlaunch.estate.actions import system_by_id
from afterlaunch.estate.models import TIERS, System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.look.requests import Request
from afterlaunch.sla import actions, clocks, handovers
from afterlaunch.sla.models import Clock, Handover
from afterlaunch.sla.policies import policy_of, set_policy
from afterlaunch.sla.postures import document as support_document
from afterlaunch.sla.postures import lacks, set_support, support_of
from afterlaunch.sla.shown import outlook, shown, steps_of

router = Router(tags=["sla"])


class PauseIn(Schema):
    reason: str
    resume_at: datetime | None = None
    by_hand: bool = False
    note: str = ""


class ReasonIn(Schema):
    reason: str = ""


class TierIn(Schema):
    tier: str
    reason: str = ""


class CalendarIn(Schema):
    client: str
    name: str = "business-hours"
    document: Any = None


class SupportIn(Schema):
    posture: str = "primary"
    handover: dict[str, Any] | None = None
    policy: str = ""
    contacts: str = ""
    address: str = ""
    security_at_once: bool = True


class PolicyIn(Schema):
    client: str
    tier: str
    document: Any = None


def out(row: Clock) -> dict[str, Any]:
    """A clock as the API shows it in lists."""
    now = clock.now()
    return {
        "id": row.pk,
        "topic": row.topic,
        "client": row.client.slug,
        "system": row.system.key if row.system else None,
        "kind": row.kind,
        "party": row.party or None,
        "tier": row.tier,
        "severity": row.severity,
        "verdict": shown(row, now).verdict,
        "started_at": row.started_at,
        "promised_at": row.promised,
        "deadline": row.deadline,
        "reason": row.reason,
        "candidates": row.candidates,
        "policy": row.policy,
        "met_at": row.met_at,
        "breached_at": row.breached_at,
        "noticed_at": row.noticed_at,
        "cause": row.cause or None,
        "paused_at": row.paused_at,
        "superseded_at": row.superseded_at,
        "superseded_why": row.superseded_why or None,
        "warned_percent": row.warned,
        "predicted": row.predicted or None,
    }


def _whole(row: Clock) -> dict[str, Any]:
    now = clock.now()
    found = outlook(row, now)
    pauses = [
        {
            "reason": one.reason,
            "note": one.note,
            "from": one.started_at,
            "to": one.ended_at,
            "resume_at": one.resume_at,
            "cap_at": one.cap_at,
            "ended_why": one.ended_why or None,
            "by": one.by,
        }
        for one in row.pauses.all()
    ]
    told = {"at": found.at, "late": found.late, "reason": found.reason, "why": found.why} if found else None
    return {
        **out(row),
        "target": row.target,
        "calendar": row.calendar,
        "steps": steps_of(row, now),
        "pauses": pauses,
        "prediction": told,
    }


@router.get("/sla/clocks")
def list_clocks(
    request: Request, status: str = "running", topic: str = "", limit: int = 100, offset: int = 0
) -> dict[str, Any]:
    """Clocks that the actor may see, the nearest due time first. `status`: running, breached or all; `topic`:
    incident/ID."""
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    rows = clocks.seen_by(request.actor)
    if status == "running":
        rows = rows.filter(met_at=None, superseded_at=None)
    elif status == "breached":
        rows = rows.filter(breached_at__isnull=False)
    rows = rows.filter(topic=topic) if topic else rows
    found = list(rows.order_by("deadline", "pk")[offset : offset + limit + 1])
    return {
        "clocks": [out(row) for row in found[:limit]],
        "offset": offset + limit if len(found) > limit else None,
    }


@router.get("/sla/clocks/{clock_id}")
def one_clock(request: Request, clock_id: int) -> dict[str, Any]:
    """The clock with its frozen inputs, every step of the count, its pauses, and whether it will hold."""
    return _whole(actions.clock_by_id(request.actor, clock_id))


@router.post("/sla/clocks/{clock_id}/pause")
def pause_clock(request: Request, clock_id: int, body: PauseIn) -> dict[str, Any]:
    """Let it stand still until `resume_at`, or until somebody resumes it (`by_hand`). A first response can't be."""
    row = actions.clock_by_id(request.actor, clock_id)
    actions.pause(request.actor, row, body.reason, body.resume_at, body.note, body.by_hand)
    return _whole(actions.clock_by_id(request.actor, clock_id))


@router.post("/sla/clocks/{clock_id}/resume")
def resume_clock(request: Request, clock_id: int) -> dict[str, Any]:
    """Let it run again. Repeating it changes nothing."""
    actions.resume(request.actor, actions.clock_by_id(request.actor, clock_id))
    return _whole(actions.clock_by_id(request.actor, clock_id))


@router.post("/sla/clocks/{clock_id}/recalculate")
def recalculate_clock(request: Request, clock_id: int, body: ReasonIn) -> dict[str, Any]:
    """Count it anew by today's policy and calendar. Answers with the new clock; the old one stays beside it."""
    made = actions.recalculate(request.actor, actions.clock_by_id(request.actor, clock_id), body.reason)
    return _whole(actions.clock_by_id(request.actor, made.pk))


@router.post("/sla/clocks/{clock_id}/tier")
def change_clock_tier(request: Request, clock_id: int, body: TierIn) -> dict[str, Any]:
    """Count every clock of its topic by another tier, from the original start. Answers with the new clocks."""
    row = actions.clock_by_id(request.actor, clock_id)
    made = actions.change_tier(request.actor, row, body.tier, body.reason)
    return {"clocks": [out(actions.clock_by_id(request.actor, one.pk)) for one in made]}


@router.get("/sla/policies")
def list_policies(request: Request) -> dict[str, Any]:
    """The SLA matrix of each client and tier, in the version that counts for new clocks; version 0 is the shipped."""
    rows = []
    for client in _clients(request):
        for tier, _ in TIERS:
            held = policy_of(client, tier)
            version = held.row.version if held.row else 0
            told = {"client": client.slug, "tier": tier, "version": version}
            rows.append({**told, "document": held.policy.document()})
    return {"policies": rows}


@router.post("/sla/policies")
def put_policy(request: Request, body: PolicyIn) -> dict[str, Any]:
    """A new version of a client's matrix for a tier. The same again makes none."""
    client = client_by_slug(request.actor, body.client)
    request.actor.require(Role.OPERATOR, client.slug)
    row = set_policy(request.actor, client, body.tier, body.document)
    return {"client": client.slug, "tier": row.tier, "version": row.version, "document": row.document}


@router.get("/sla/calendars")
def list_calendars(request: Request) -> dict[str, Any]:
    """Calendars of business hours, in the version that counts for new clocks."""
    rows = []
    for client in _clients(request):
        for name, row in newest(client).items():
            told = {"client": client.slug, "name": name, "version": row.version, "created_at": row.created_at}
            rows.append({**told, "document": document(of_row(row))})
    return {"calendars": rows}


@router.post("/sla/calendars")
def put_calendar(request: Request, body: CalendarIn) -> dict[str, Any]:
    """A new version of a client's calendar. The same again makes none."""
    client = client_by_slug(request.actor, body.client)
    request.actor.require(Role.OPERATOR, client.slug)
    row = set_calendar(request.actor, client, body.name, body.document)
    return {"client": client.slug, "name": row.name, "version": row.version, "document": document(of_row(row))}


@router.get("/systems/{system_id}/support")
def show_support(request: Request, system_id: int) -> dict[str, Any]:
    """Who is in front for a system, and what it lacks: a named owner, an address to page."""
    return _support(system_by_id(request.actor, system_id))


@router.post("/systems/{system_id}/support")
def put_support(request: Request, system_id: int, body: SupportIn) -> dict[str, Any]:
    """Set posture, handover, contacts and address. What runs keeps its window."""
    system = system_by_id(request.actor, system_id)
    set_support(request.actor, system, body.dict(exclude_unset=True))
    return _support(system)


def _support(system: System) -> dict[str, Any]:
    row = support_of(system)
    owner = str(system.owner) if system.owner else None
    return {"system": system.pk, "owner": owner, **support_document(row), "lacks": lacks(system, row)}


@router.get("/sla/handovers")
def list_handovers(request: Request, state: str = "waiting", limit: int = 100) -> dict[str, Any]:
    """Windows of internal teams, the nearest end first. `state`: waiting, done, off, back or all."""
    rows = handovers.seen_by(request.actor)
    rows = rows if state == "all" else rows.filter(state=state)
    return {"handovers": [_handover(row) for row in rows.order_by("due_at", "pk")[: max(1, min(limit, 500))]]}


@router.post("/sla/handovers/{handover_id}/now")
def hand_over(request: Request, handover_id: int, body: ReasonIn) -> dict[str, Any]:
    """Hand it to the tier before the window ends."""
    row = handovers.handover_by_id(request.actor, handover_id)
    return _handover(handovers.hand_over_now(request.actor, row, body.reason))


@router.post("/sla/handovers/{handover_id}/ask-back")
def ask_back(request: Request, handover_id: int, body: ReasonIn) -> dict[str, Any]:
    """Ask the internal team to take it back; a person of theirs has to accept."""
    row = handovers.handover_by_id(request.actor, handover_id)
    return _handover(handovers.ask_back(request.actor, row, body.reason))


@router.post("/sla/handovers/{handover_id}/accept-back")
def accept_back(request: Request, handover_id: int) -> dict[str, Any]:
    """Take it back for the internal team."""
    return _handover(handovers.accept_back(request.actor, handovers.handover_by_id(request.actor, handover_id)))


def _handover(row: Handover) -> dict[str, Any]:
    return {
        "id": row.pk,
        "topic": row.topic,
        "system": row.system.key,
        "state": row.state,
        "started_at": row.started_at,
        "due_at": row.due_at,
        "done_at": row.done_at,
        "by": row.by or None,
        "reason": row.reason or None,
        "rule": row.rule,
        "steps": row.steps,
    }


def _clients(request: Request) -> list[Client]:
    seen = request.actor.sees()
    rows = Client.objects.order_by("slug")
    return list(rows if seen is None else rows.filter(slug__in=seen))
