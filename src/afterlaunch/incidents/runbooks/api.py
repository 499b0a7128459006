from __future__ import annotations

from typing import Any

from ninja import Router, Schema

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.kinds import kind_named
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.places import places
from afterlaunch.incidents.runbooks import actions, versions
from afterlaunch.incidents.runbooks.models import RunbookVersion
from afterlaunch.incidents.runbooks.rules import parse
from afterlaunch.look.requests import Request

router = Router(tags=["runbooks"])


class RunbookIn(Schema):
    """`after`: the version that was edited (0: the shipped one); 409 when another was saved meanwhile."""

    text: str
    note: str = ""
    after: int | None = None


class StepIn(Schema):
    """`deed`: tick, untick or run."""

    deed: str = "tick"
    note: str = ""


def version_out(row: RunbookVersion) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "version": row.version,
        "shipped": row.client_id is None,
        "sha256": row.sha256,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "note": row.note,
    }


def checklists(incident: Incident) -> dict[str, Any]:
    """The runbook that the incident follows and its evidence, with what is done, and the addresses of their pages."""
    book = versions.followed(incident)
    ticks = {(one.list, one.key): one for one in incident.ticks.all()}

    def done(name: str, key: str) -> dict[str, Any] | None:
        one = ticks.get((name, key))
        return {"at": one.at, "by": one.by, "run": one.run or None, "said": one.said} if one else None

    kind, system = kind_named(incident.kind), incident.system
    steps = parse(book.text).steps if book else ()
    return {
        "runbook": version_out(book) if book else None,
        "intro": parse(book.text).intro if book else "",
        "steps": [{**vars(step), "done": done("runbook", f"{book.pk if book else 0}/{step.number}")} for step in steps],
        "evidence": [{**vars(one), "done": done("evidence", f"{kind.name}/{one.key}")} for one in kind.evidence],
        "places": places(incident, system.client.slug, system.key, system.pk, clock.now()),
    }


@router.get("/runbooks/{client}/{kind}")
def read(request: Request, client: str, kind: str) -> dict[str, Any]:
    """The text that counts for new incidents of this kind, and the client's versions."""
    found = client_by_slug(request.actor, client)
    rows = list(actions.versions_seen_by(request.actor, found, kind))
    book = versions.current(found.pk, kind, clock.now())
    return {**version_out(book), "client": client, "text": book.text, "versions": [version_out(row) for row in rows]}


@router.post("/runbooks/{client}/{kind}")
def save(request: Request, client: str, kind: str, body: RunbookIn) -> dict[str, Any]:
    """A new version. Incidents that are open keep the one they began with."""
    found = client_by_slug(request.actor, client)
    row = actions.save(request.actor, found, kind, body.text, body.note, body.after)
    return {**version_out(row), "client": client, "text": row.text}


@router.get("/incidents/{incident_id}/checklists")
def read_checklists(request: Request, incident_id: int) -> dict[str, Any]:
    """The incident's runbook and evidence, and what of them is done."""
    return checklists(incident_by_id(request.actor, incident_id))


@router.post("/incidents/{incident_id}/runbook/{number}")
def step(request: Request, incident_id: int, number: int, body: StepIn) -> dict[str, Any]:
    """Tick a step, take the tick back, or run what it names."""
    found = incident_by_id(request.actor, incident_id)
    if body.deed == "run":
        done = actions.run_step(request.actor, found, number)
        return {**checklists(found), "done": {"text": done.text, "address": done.address}}
    if body.deed == "untick":
        book = versions.followed(found)
        actions.untick(request.actor, found, "runbook", f"{book.pk if book else 0}/{number}")
    elif body.deed == "tick":
        actions.tick_step(request.actor, found, number, body.note)
    else:
        raise Invalid(f"{body.deed!r} is no deed.", "tick, untick or run")
    return checklists(found)


@router.post("/incidents/{incident_id}/evidence/{key}")
def evidence(request: Request, incident_id: int, key: str, body: StepIn) -> dict[str, Any]:
    """Tick a line of the evidence checklist with what was seen, or take the tick back."""
    found = incident_by_id(request.actor, incident_id)
    if body.deed == "untick":
        actions.untick(request.actor, found, "evidence", f"{found.kind}/{key}")
    else:
        actions.tick_evidence(request.actor, found, key, body.note)
    return checklists(found)
