"""Deeds of a person on an incident, over the API: each answers with the incident."""

from __future__ import annotations

from typing import Any

from ninja import Router, Schema

from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents import actions, moves, roles
from afterlaunch.incidents.api import whole
from afterlaunch.incidents.kinds import KINDS
from afterlaunch.incidents.merging import duplicate_of
from afterlaunch.incidents.models import Incident
from afterlaunch.look.requests import Request

router = Router(tags=["incidents"])


class Said(Schema):
    """`reason` in words of a person."""

    reason: str = ""


class MoveIn(Said):
    to: str


class SeverityIn(Said):
    severity: str


class KindIn(Said):
    kind: str


class DuplicateIn(Said):
    survivor: int


class RoleIn(Schema):
    """Without `person` (an id) the caller takes the role; with `end` the person gives it up."""

    role: str
    person: int | None = None
    end: bool = False


class StoryIn(Schema):
    """What is left out stays as it is. Incidents with the same `cause_key` count as repeats of one cause."""

    impact: str | None = None
    cause: str | None = None
    fix: str | None = None
    cause_key: str | None = None


class NoteIn(Schema):
    text: str


def _found(request: Request, pk: int) -> Incident:
    return actions.incident_by_id(request.actor, pk)


def _answer(request: Request, pk: int) -> dict[str, Any]:
    return whole(_found(request, pk))


@router.get("/incident-kinds")
def kinds(request: Request) -> dict[str, Any]:
    """The kinds of incident with their severity rule, evidence checklist and containment menu."""
    return {
        "kinds": [
            {
                "name": kind.name,
                "title": kind.title,
                "explanation": kind.explanation,
                "severity": vars(kind.severity),
                "evidence": [vars(one) for one in kind.evidence],
                "containment": [vars(one) for one in kind.containment],
            }
            for kind in KINDS
        ]
    }


@router.post("/incidents/{incident_id}/move")
def move(request: Request, incident_id: int, body: MoveIn) -> dict[str, Any]:
    """To another working phase: the next one; back, or over diagnosis or containment, with a reason."""
    moves.move(request.actor, _found(request, incident_id), body.to, body.reason)
    return _answer(request, incident_id)


@router.post("/incidents/{incident_id}/severity")
def severity(request: Request, incident_id: int, body: SeverityIn) -> dict[str, Any]:
    """The deadline is computed anew from the original start; raising it pages at once."""
    actions.change_severity(request.actor, _found(request, incident_id), body.severity, body.reason)
    return _answer(request, incident_id)


@router.post("/incidents/{incident_id}/kind")
def kind(request: Request, incident_id: int, body: KindIn) -> dict[str, Any]:
    """Another kind brings its checklist, its runbook and its mildest severity."""
    actions.change_kind(request.actor, _found(request, incident_id), body.kind, body.reason)
    return _answer(request, incident_id)


@router.post("/incidents/{incident_id}/duplicate")
def duplicate(request: Request, incident_id: int, body: DuplicateIn) -> dict[str, Any]:
    """Alerts, pages and clocks move to the survivor; the earlier start wins. Answers with the survivor."""
    kept = duplicate_of(request.actor, _found(request, incident_id), _found(request, body.survivor), body.reason)
    return _answer(request, kept.pk)


@router.post("/incidents/{incident_id}/false-alarm")
def false_alarm(request: Request, incident_id: int, body: Said) -> dict[str, Any]:
    """Only in detection and triage, with a reason."""
    actions.false_alarm(request.actor, _found(request, incident_id), body.reason)
    return _answer(request, incident_id)


@router.post("/incidents/{incident_id}/reopen")
def reopen(request: Request, incident_id: int, body: Said) -> dict[str, Any]:
    """Back to work, with a reason; whoever is on call is paged."""
    actions.reopen(request.actor, _found(request, incident_id), body.reason)
    return _answer(request, incident_id)


@router.post("/incidents/{incident_id}/close")
def close(request: Request, incident_id: int) -> dict[str, Any]:
    """The end, when nothing is left to do; 409 says what is."""
    moves.close(request.actor, _found(request, incident_id))
    return _answer(request, incident_id)


@router.post("/incidents/{incident_id}/note")
def note(request: Request, incident_id: int, body: NoteIn) -> dict[str, Any]:
    """A line in the timeline."""
    actions.add_note(request.actor, _found(request, incident_id), body.text)
    return _answer(request, incident_id)


@router.post("/incidents/{incident_id}/story")
def story(request: Request, incident_id: int, body: StoryIn) -> dict[str, Any]:
    """Impact, probable cause, what mended it."""
    texts = {name: text for name in moves.STORY if (text := getattr(body, name)) is not None}
    moves.write_story(request.actor, _found(request, incident_id), body.cause_key, **texts)
    return _answer(request, incident_id)


@router.post("/incidents/{incident_id}/roles")
def role(request: Request, incident_id: int, body: RoleIn) -> dict[str, Any]:
    """Take, give or end a role: commander, communications, scribe, responder."""
    found = _found(request, incident_id)
    if body.end:
        if body.person is None:
            raise Invalid("Say whose role ends: person.")
        roles.release(request.actor, found, body.role, body.person)
    else:
        roles.assign(request.actor, found, body.role, roles.person_of(found, body.person))
    return _answer(request, incident_id)
