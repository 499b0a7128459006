from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client, User
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.models import SEVERITIES, Incident
from afterlaunch.incidents.roles import readers
from afterlaunch.incidents.updates import actions, promises
from afterlaunch.incidents.updates.models import Cadence, Stakeholder, Update
from afterlaunch.incidents.updates.rules import CADENCE
from afterlaunch.look.requests import Request

router = Router(tags=["updates"])


class UpdateIn(Schema):
    """`texts`: words for an audience instead of the draft. `next_at`: the promise; by default the cadence's."""

    audiences: list[str]
    affected: str = ""
    doing: str = ""
    next_at: datetime | None = None
    no_change: bool = False
    texts: dict[str, str] = {}


class DraftIn(Schema):
    affected: str = ""
    doing: str = ""
    next_at: datetime | None = None
    no_change: bool = False


class DecisionIn(Schema):
    """`approve` false: it is not sent, for this `reason`."""

    approve: bool = True
    text: str = ""
    reason: str = ""


class StakeholderIn(Schema):
    audience: str
    person: int
    member: bool = True


class CadenceIn(Schema):
    severity: str
    minutes: int
    business: bool = False


def update_out(row: Update) -> dict[str, Any]:
    return {
        "number": row.number,
        "at": row.at,
        "author": row.author,
        "affected": row.affected,
        "doing": row.doing,
        "no_change": row.no_change,
        "final": row.final,
        "next_at": row.next_at,
        "texts": [
            {
                "audience": text.audience,
                "text": text.text,
                "state": text.state,
                "decided_by": text.decided_by or None,
                "sent_at": text.sent_at,
                "told": text.told,
            }
            for text in row.texts.all()
        ],
    }


def whole(incident: Incident) -> dict[str, Any]:
    promise = promises.standing(incident)
    late = promise is not None and clock.now() > promise.due_at
    return {
        "updates": [update_out(row) for row in incident.updates.prefetch_related("texts")],
        "promise": {"due_at": promise.due_at, "made_by": promise.made_by, "overdue": late} if promise else None,
    }


@router.get("/incidents/{incident_id}/updates")
def updates(request: Request, incident_id: int) -> dict[str, Any]:
    """Updates with the text for each audience, the newest first, and the promised time of the next."""
    return whole(incident_by_id(request.actor, incident_id))


@router.post("/incidents/{incident_id}/updates")
def write(request: Request, incident_id: int, body: UpdateIn) -> dict[str, Any]:
    """Send an update. What customers of a P1 read waits for an operator's approval."""
    actions.write(
        request.actor,
        incident_by_id(request.actor, incident_id),
        body.audiences,
        body.affected,
        body.doing,
        body.next_at,
        body.no_change,
        body.texts,
    )
    return whole(incident_by_id(request.actor, incident_id))


@router.post("/incidents/{incident_id}/updates/draft")
def draft(request: Request, incident_id: int, body: DraftIn) -> dict[str, Any]:
    """A text for each audience, to be altered and sent. Changes nothing."""
    found = incident_by_id(request.actor, incident_id)
    request.actor.require("responder", found.system.client.slug)
    return {"texts": actions.draft(found, body.affected, body.doing, body.next_at, body.no_change)}


@router.post("/incidents/{incident_id}/updates/{number}/{audience}")
def decide(request: Request, incident_id: int, number: int, audience: str, body: DecisionIn) -> dict[str, Any]:
    """Approve a text that waits, as it is or in better words; or say that it is not sent."""
    found = incident_by_id(request.actor, incident_id)
    if body.approve:
        actions.approve(request.actor, found, number, audience, body.text)
    else:
        actions.withdraw(request.actor, found, number, audience, body.reason)
    return whole(found)


@router.get("/stakeholders/{client}")
def stakeholders(request: Request, client: str) -> dict[str, Any]:
    """Who is told about the client's incidents, and how often."""
    return stakeholders_out(client_by_slug(request.actor, client))


def stakeholders_out(client: Client) -> dict[str, Any]:
    rows = Stakeholder.objects.filter(client=client).select_related("person")
    own = {row.severity: (row.minutes, row.business) for row in Cadence.objects.filter(client=client)}
    return {
        "client": client.slug,
        "stakeholders": [{"audience": r.audience, "person": r.person_id, "name": str(r.person)} for r in rows],
        "cadence": [
            {"severity": name, "minutes": minutes, "business": business}
            for name, _ in SEVERITIES
            for minutes, business in [own.get(name, CADENCE[name])]
        ],
    }


@router.post("/stakeholders/{client}")
def put_stakeholder(request: Request, client: str, body: StakeholderIn) -> dict[str, Any]:
    """Put a person into an audience, or take them out."""
    found = client_by_slug(request.actor, client)
    actions.put_stakeholder(request.actor, found, body.audience, reader(found, body.person), body.member)
    return stakeholders_out(found)


def reader(client: Client, pk: int) -> User:
    """Somebody who may see the client. Raises Invalid."""
    found = readers(client).filter(pk=pk).first()
    if found is None:
        raise Invalid(f"There is no person {pk} who may see {client.slug}.")
    return found


@router.post("/stakeholders/{client}/cadence")
def put_cadence(request: Request, client: str, body: CadenceIn) -> dict[str, Any]:
    """How often an update is due while an incident of this severity is open; 0 minutes: no promise by itself."""
    found = client_by_slug(request.actor, client)
    actions.put_cadence(request.actor, found, body.severity, body.minutes, body.business)
    return stakeholders_out(found)
