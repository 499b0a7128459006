from __future__ import annotations

from datetime import date
from typing import Any

from ninja import Router, Schema

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.moves import same_cause
from afterlaunch.incidents.reviews import actions, prompts
from afterlaunch.incidents.reviews.models import ActionItem, PromptDraft, Review
from afterlaunch.incidents.reviews.rules import TITLES, machine
from afterlaunch.incidents.roles import person_of
from afterlaunch.look.requests import Request

router = Router(tags=["reviews"])
DEEDS = ("begin", "redraft", "confirm", "submit", "send-back", "approve", "comment", "no-action", "publish")


class SectionsIn(Schema):
    """Section -> text; what is left out stays as it is."""

    sections: dict[str, str]


class DeedIn(Schema):
    """`text`: the section to confirm, the reason, the comment or the public text, as the deed needs."""

    text: str = ""


class ItemIn(Schema):
    """`item`: an existing one to alter."""

    title: str
    type: str = "prevent"
    priority: str = "medium"
    owner: int | None = None
    due_on: date | None = None
    link: str = ""
    item: int | None = None


class EndIn(Schema):
    """`evidence`: what proves that it is done; or, with `done` false, why it is dropped."""

    evidence: str = ""
    done: bool = True


class PromptIn(Schema):
    """A golden prompt; see docs/reviews.md. With `trace_id` alone the answer is a document to begin with."""

    trace_id: str = ""
    name: str = ""
    messages: list[dict[str, Any]] = []
    reference: str = ""
    assertions: list[dict[str, Any]] = []
    source_trace_ids: list[str] = []


def item_out(row: ActionItem) -> dict[str, Any]:
    return {
        "id": row.pk,
        "incident": row.review.incident_id,
        "client": row.review.incident.system.client.slug,
        "title": row.title,
        "type": row.type,
        "priority": row.priority,
        "owner": row.owner_id,
        "owner_name": str(row.owner) if row.owner else None,
        "due_on": row.due_on,
        "link": row.link or None,
        "state": row.state,
        "evidence": row.evidence or None,
        "ended_at": row.ended_at,
    }


def review_out(row: Review) -> dict[str, Any]:
    """In lists."""
    return {
        "incident": row.incident_id,
        "title": row.incident.title,
        "client": row.incident.system.client.slug,
        "severity": row.incident.peak_severity,
        "state": row.state,
        "required": row.required,
        "draft_due_at": row.draft_due_at,
        "approve_due_at": row.approve_due_at,
        "submitted_at": row.submitted_at,
        "approved_at": row.approved_at,
        "url": row.get_absolute_url(),
    }


def whole(request: Request, incident: Incident) -> dict[str, Any]:
    row = actions.review_of(incident)
    known = row.sections
    return {
        **review_out(row),
        "sections": [
            {
                "key": key,
                "title": title,
                "text": known.get(key, {}).get("text", ""),
                "machine": machine(known, key),
                "by": known.get(key, {}).get("by"),
            }
            for key, title in TITLES.items()
        ],
        "lacks": actions.lacking(row),
        "items": [item_out(one) for one in actions.items_seen_by(request.actor).filter(review=row)],
        "no_action": {"reason": row.no_action_reason, "by": row.no_action_by, "seconded_by": row.no_action_seconded_by}
        if row.no_action_reason
        else None,
        "approved_by": row.approved_by or None,
        "sha256": row.sha256 or None,
        "comments": [{"at": one.at, "by": one.by, "text": one.text} for one in row.comments.all()],
        "repeats": [one.pk for one in same_cause(request.actor, incident)[:100]],
        "public_text": row.public_text or None,
    }


@router.get("/reviews")
def reviews(request: Request, state: str = "", limit: int = 100, cursor: int | None = None) -> dict[str, Any]:
    """Reviews, the newest first."""
    limit = max(1, min(limit, 500))
    rows = actions.reviews_seen_by(request.actor).order_by("-pk")
    rows = rows.filter(state=state) if state else rows
    found = list((rows.filter(pk__lt=cursor) if cursor else rows)[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"reviews": [review_out(row) for row in found[:limit]], "cursor": more}


@router.get("/incidents/{incident_id}/review")
def review(request: Request, incident_id: int) -> dict[str, Any]:
    """Sections, what it still lacks, action items, comments, repeats of the same cause."""
    return whole(request, incident_by_id(request.actor, incident_id))


@router.post("/incidents/{incident_id}/review")
def write(request: Request, incident_id: int, body: SectionsIn) -> dict[str, Any]:
    """Write sections. What a person leaves as it was stays a machine's."""
    found = incident_by_id(request.actor, incident_id)
    actions.write(request.actor, found, body.sections)
    return whole(request, found)


@router.post("/incidents/{incident_id}/review/{deed}")
def deed(request: Request, incident_id: int, deed: str, body: DeedIn) -> dict[str, Any]:
    """begin, redraft, confirm, submit, send-back, approve, comment, no-action, publish."""
    found = incident_by_id(request.actor, incident_id)
    perform(request, found, deed, body.text)
    return whole(request, found)


def perform(request: Request, incident: Incident, deed: str, text: str) -> None:
    """For the page too."""
    actor = request.actor
    if deed == "begin":
        actions.start(actor, incident)
        actions.write_draft(actor, incident)
    elif deed == "redraft":
        actions.write_draft(actor, incident)
    elif deed == "confirm":
        actions.confirm(actor, incident, text)
    elif deed == "submit":
        actions.submit(actor, incident)
    elif deed == "send-back":
        actions.back_to_draft(actor, incident, text)
    elif deed == "approve":
        actions.approve(actor, incident)
    elif deed == "comment":
        actions.comment(actor, incident, text)
    elif deed == "no-action":
        actions.no_action(actor, incident, text)
    elif deed == "publish":
        actions.publish(actor, incident, text)
    else:
        raise Invalid(f"{deed!r} is no deed on a review.", ", ".join(DEEDS))


@router.get("/action-items")
def items(
    request: Request, state: str = "open", mine: bool = False, overdue: bool = False, limit: int = 200
) -> dict[str, Any]:
    """Action items of all reviews, the earliest due first; `state` empty: all."""
    rows = actions.items_seen_by(request.actor).order_by("due_on", "pk")
    rows = rows.filter(state=state) if state else rows
    rows = rows.filter(owner=request.actor.user_id) if mine else rows
    rows = rows.filter(state="open", due_on__lt=clock.now().date()) if overdue else rows
    return {"items": [item_out(row) for row in rows[: max(1, min(limit, 1000))]]}


@router.post("/incidents/{incident_id}/action-items")
def put_item(request: Request, incident_id: int, body: ItemIn) -> dict[str, Any]:
    """A new action item, or other values for an existing one."""
    found = incident_by_id(request.actor, incident_id)
    values = body.dict()
    values["owner"] = person_of(found, body.owner)
    return item_out(actions.item_by_id(request.actor, actions.put_item(request.actor, found, **values).pk))


@router.post("/action-items/{item}/end")
def end_item(request: Request, item: int, body: EndIn) -> dict[str, Any]:
    """Done, with evidence; or dropped, with the reason."""
    actions.end_item(request.actor, actions.item_by_id(request.actor, item), body.evidence, body.done)
    return item_out(actions.item_by_id(request.actor, item))


def prompt_out(row: PromptDraft) -> dict[str, Any]:
    return {
        "id": row.pk,
        "incident": row.incident_id,
        "client": row.incident.system.client.slug,
        "system": row.incident.system.key,
        "document": row.document,
        "sha256": row.sha256,
        "at": row.at,
        "by": row.by,
        "taken_as": row.taken_as or None,
    }


@router.get("/prompt-drafts")
def drafts(request: Request, waiting: bool = False, limit: int = 100) -> dict[str, Any]:
    """Golden prompts made from failing traces, the newest first; `waiting`: of which no probe was made yet."""
    rows = prompts.drafts_seen_by(request.actor).order_by("-pk")
    rows = rows.filter(taken_at=None) if waiting else rows
    return {"drafts": [prompt_out(row) for row in rows[: max(1, min(limit, 500))]]}


@router.post("/incidents/{incident_id}/prompt-drafts")
def draft(request: Request, incident_id: int, body: PromptIn) -> dict[str, Any]:
    """Keep a golden prompt; or, with a trace alone, a document to begin with, which is not kept."""
    found = incident_by_id(request.actor, incident_id)
    request.actor.require("responder", found.system.client.slug)
    if body.trace_id:
        return {"document": prompts.from_trace(request.actor, found, body.trace_id)}
    return prompt_out(prompts.keep(request.actor, found, body.dict()))
