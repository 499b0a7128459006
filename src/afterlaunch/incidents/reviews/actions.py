"""Writing, submitting, approving and publishing a review; and its action items."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any

import orjson
from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import User
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.incidents.checklist import facts_of
from afterlaunch.incidents.deeds import locked, tell
from afterlaunch.incidents.lifecycle import blockers
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.moves import close
from afterlaunch.incidents.reviews import rows
from afterlaunch.incidents.reviews.drafting import sections as drafted
from afterlaunch.incidents.reviews.facts import gathered
from afterlaunch.incidents.reviews.models import PRIORITIES, TYPES, ActionItem, Review, ReviewComment
from afterlaunch.incidents.reviews.rules import TITLES, Item, NoAction, lacks, may_approve
from afterlaunch.incidents.timeline import append
from afterlaunch.incidents.updates.sending import identity

LONGEST = 20_000


def reviews_seen_by(actor: Actor) -> QuerySet[Review]:
    seen = actor.sees()
    found = Review.objects.select_related("incident__system__client")
    return found if seen is None else found.filter(incident__system__client__slug__in=seen)


def items_seen_by(actor: Actor) -> QuerySet[ActionItem]:
    seen = actor.sees()
    found = ActionItem.objects.select_related("review__incident__system__client", "owner", "prompt")
    return found if seen is None else found.filter(review__incident__system__client__slug__in=seen)


def review_of(incident: Incident) -> Review:
    found = Review.objects.select_related("incident__system__client").filter(incident=incident).first()
    if found is None:
        raise NotFound(f"Incident {incident.pk} has no review yet.", "One begins when it is resolved, or by hand.")
    return found


def _held(actor: Actor, incident: Incident, role: Role = Role.RESPONDER) -> tuple[Incident, Review]:
    fresh = locked(actor, incident, role)
    row = Review.objects.select_for_update().filter(incident=fresh).first()
    if row is None:
        raise NotFound(f"Incident {fresh.pk} has no review yet.", "One begins when it is resolved, or by hand.")
    return fresh, row


@transaction.atomic
def start(actor: Actor, incident: Incident) -> Review:
    """By hand, for an incident that needs none. Twice changes nothing."""
    fresh = locked(actor, incident)
    known = Review.objects.filter(incident=fresh).first()
    if known is not None:
        return known
    row = rows.begin(fresh, clock.now())
    append(actor, fresh, "review", "A review was begun.")
    tell(actor, fresh, "review.begun")
    return row


def write_draft(actor: Actor, incident: Incident) -> Review:
    """What a machine can write, from what is recorded; what a person has written stays. The telemetry is asked before
    the transaction."""
    now_held = Incident.objects.select_related("system__client").get(pk=incident.pk)  # as it is, not as it was read
    texts = drafted(gathered(now_held))
    with transaction.atomic():
        fresh, row = _held(actor, incident)
        if row.state == "approved":
            raise Conflict("The review is approved.", "Comment on it.")
        now = clock.now()
        for key, text in texts.items():
            known = row.sections.get(key)
            if known is None or known.get("machine") or not known.get("text"):
                row.sections[key] = {"text": text, "machine": bool(text), "by": "Afterlaunch", "at": now.isoformat()}
        row.drafted_at = now
        row.save(update_fields=["sections", "drafted_at"])
        append(actor, fresh, "review", "A draft was made from the timeline.")
        tell(actor, fresh, "review.drafted")
    return row


@transaction.atomic
def write(actor: Actor, incident: Incident, texts: Mapping[str, str]) -> Review:
    """A person's words; a section that they leave as it was stays a machine's. What was submitted is a draft again."""
    fresh, row = _held(actor, incident)
    if row.state == "approved":
        raise Conflict("The review is approved.", "Comment on it.")
    unknown = [key for key in texts if key not in TITLES]
    if unknown:
        raise Invalid(f"A review has no section {unknown[0]!r}.", ", ".join(TITLES))
    changed = []
    for key, given in texts.items():
        text = given.replace("\r\n", "\n").strip()[:LONGEST]
        if text != row.sections.get(key, {}).get("text", "").strip():
            row.sections[key] = {"text": text, "machine": False, "by": actor.name, "at": clock.now().isoformat()}
            changed.append(key)
    if changed:
        row.state, row.submitted_at = "draft", None
        row.save(update_fields=["sections", "state", "submitted_at"])
        tell(actor, fresh, "review.written", {"sections": changed})
    return row


@transaction.atomic
def confirm(actor: Actor, incident: Incident, key: str) -> Review:
    """A person has read what the machine wrote, and stands for it."""
    fresh, row = _held(actor, incident)
    if row.state == "approved":
        raise Conflict("The review is approved.", "Comment on it.")
    if key not in TITLES or not row.sections.get(key, {}).get("text"):
        raise Invalid("There is nothing in this section to stand for.")
    row.sections[key] = {**row.sections[key], "machine": False, "by": actor.name, "at": clock.now().isoformat()}
    row.save(update_fields=["sections"])
    tell(actor, fresh, "review.written", {"sections": [key]})
    return row


def lacking(row: Review) -> list[str]:
    """What stands in the way of the approval."""
    items = [Item(one.title, one.owner_id is not None, one.due_on is not None, one.state) for one in row.items.all()]
    nothing = NoAction(row.no_action_reason, row.no_action_by, row.no_action_seconded_by)
    return lacks(row.sections, items, row.incident.peak_severity, nothing)


@transaction.atomic
def submit(actor: Actor, incident: Incident) -> Review:
    """The draft is ready to be approved. Raises Conflict with everything that it lacks."""
    fresh, row = _held(actor, incident)
    if row.state != "draft":
        return row
    missing = lacking(row)
    if missing:
        raise Conflict("It is not ready. " + " ".join(missing))
    row.state, row.submitted_at, row.submitted_by = "submitted", clock.now(), actor.name
    row.author_identity = identity(actor)
    row.save(update_fields=["state", "submitted_at", "submitted_by", "author_identity"])
    append(actor, fresh, "review", "The review waits for approval.")
    tell(actor, fresh, "review.submitted")
    return row


@transaction.atomic
def approve(actor: Actor, incident: Incident) -> Review:
    """By an operator; in governed production not by its author. What was approved is hashed, and the incident closes
    when nothing else is left to do."""
    fresh, row = _held(actor, incident, Role.OPERATOR)
    if row.state == "approved":
        return row
    if row.state != "submitted":
        raise Conflict("It is a draft.", "Submit it first.")
    if actor.kind == "automation":
        raise NotAllowed("Only a person approves a review.")
    if may_approve(fresh.system.posture, row.author_identity, identity(actor)) == "own_work":
        raise NotAllowed("In governed production nobody approves their own review.", "Ask another operator.")
    missing = lacking(row)
    if missing:
        raise Conflict("It is not ready. " + " ".join(missing))
    row.state, row.approved_at, row.approved_by = "approved", clock.now(), actor.name
    row.sha256 = digest(row)
    row.save(update_fields=["state", "approved_at", "approved_by", "sha256"])
    append(actor, fresh, "review.approved", f"The review was approved (SHA-256 {row.sha256}).", {"sha256": row.sha256})
    tell(actor, fresh, "review.approved", {"sha256": row.sha256, "items": row.items.count()})
    if fresh.status != "open" and not blockers(facts_of(fresh)):
        close(actor, fresh)
    return row


def digest(row: Review) -> str:
    """Over the sections and the action items as they stand."""
    items = [[one.title, one.type, one.owner_id, str(one.due_on), one.link] for one in row.items.order_by("pk")]
    texts = {key: row.sections.get(key, {}).get("text", "") for key in TITLES}
    body = orjson.dumps([row.incident_id, texts, items, row.no_action_reason], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(body).hexdigest()


@transaction.atomic
def back_to_draft(actor: Actor, incident: Incident, reason: str) -> Review:
    """Not approved: it goes back to its author, with a reason."""
    fresh, row = _held(actor, incident, Role.OPERATOR)
    if row.state != "submitted":
        raise Conflict("It does not wait for approval.")
    comment(actor, incident, f"Back to draft: {reason.strip()}" if reason.strip() else "Back to draft.")
    row.state, row.submitted_at = "draft", None
    row.save(update_fields=["state", "submitted_at"])
    tell(actor, fresh, "review.sent_back", {"reason": reason.strip()[:200]})
    return row


@transaction.atomic
def comment(actor: Actor, incident: Incident, text: str) -> ReviewComment:
    if not text.strip():
        raise Invalid("A comment needs words.")
    fresh, row = _held(actor, incident)
    made = ReviewComment.objects.create(review=row, at=clock.now(), by=actor.name, text=text.strip()[:LONGEST])
    tell(actor, fresh, "review.commented")
    return made


@transaction.atomic
def publish(actor: Actor, incident: Incident, text: str) -> Review:
    """A reduced text of an approved review, for a status page."""
    fresh, row = _held(actor, incident, Role.OPERATOR)
    if row.state != "approved":
        raise Conflict("Only an approved review is published.")
    row.public_text, row.public_at = text.strip()[:LONGEST], clock.now() if text.strip() else None
    row.save(update_fields=["public_text", "public_at"])
    tell(actor, fresh, "review.published", {"characters": len(row.public_text)})
    return row


@transaction.atomic
def no_action(actor: Actor, incident: Incident, reason: str) -> Review:
    """Nothing is to be done, with the reason; or, without one, the second person's word for it."""
    fresh, row = _held(actor, incident)
    if row.state == "approved":
        raise Conflict("The review is approved.")
    if reason.strip():
        row.no_action_reason, row.no_action_by = reason.strip()[:2000], actor.name
        row.no_action_identity, row.no_action_seconded_by = identity(actor), ""
    elif not row.no_action_reason:
        raise Invalid("Say why nothing is to be done.")
    elif row.no_action_identity == identity(actor):
        raise NotAllowed("The second word must be another person's.", "Ask a colleague.")
    else:
        row.no_action_seconded_by = actor.name
    row.save(update_fields=["no_action_reason", "no_action_by", "no_action_identity", "no_action_seconded_by"])
    details = {"reason": row.no_action_reason[:200], "seconded": bool(row.no_action_seconded_by)}
    tell(actor, fresh, "review.no_action", details)
    return row


def item_by_id(actor: Actor, pk: int) -> ActionItem:
    found = items_seen_by(actor).filter(pk=pk).first()
    if found is None:
        raise NotFound(f"There is no action item {pk}.")
    return found


@transaction.atomic
def put_item(
    actor: Actor,
    incident: Incident,
    title: str,
    type: str = "prevent",
    priority: str = "medium",
    owner: User | None = None,
    due_on: date | None = None,
    link: str = "",
    item: int | None = None,
) -> ActionItem:
    """A new item, or other values for `item`. Raises Invalid."""
    fresh, row = _held(actor, incident)
    if not title.strip():
        raise Invalid("An action item needs words.")
    if type not in dict(TYPES) or priority not in dict(PRIORITIES):
        raise Invalid("No such type or priority.", f"Types: {', '.join(dict(TYPES))}; {', '.join(dict(PRIORITIES))}")
    if link.strip() and not link.strip().startswith(("https://", "http://")):
        raise Invalid("The link must begin with https://.")
    values: dict[str, Any] = {
        "title": title.strip()[:300],
        "type": type,
        "priority": priority,
        "owner": owner,
        "due_on": due_on,
        "link": link.strip()[:500],
    }
    if item is None:
        made = ActionItem.objects.create(review=row, created_at=clock.now(), created_by=actor.name, **values)
    else:
        if not ActionItem.objects.filter(review=row, pk=item).update(**values, told_at=None):
            raise NotFound(f"The review has no action item {item}.")
        made = ActionItem.objects.get(pk=item)
    append(actor, fresh, "action", f"Action item: {made.title}", {"item": made.pk})
    details = {"item": made.pk, "owner": made.owner_id, "due_on": str(made.due_on) if made.due_on else None}
    tell(actor, fresh, "action_item.put", details)
    return made


@transaction.atomic
def end_item(actor: Actor, item: ActionItem, evidence: str, done: bool = True) -> ActionItem:
    """Done, with evidence; or dropped by an operator, with the reason. Twice changes nothing."""
    incident = item.review.incident
    fresh = locked(actor, incident, Role.RESPONDER if done else Role.OPERATOR)
    row = ActionItem.objects.select_for_update(of=("self",)).get(pk=item.pk)
    if row.state != "open":
        return row
    if not evidence.strip():
        raise Invalid(
            "Say what proves that it is done." if done else "Dropping it needs a reason.", "A link, or what was seen."
        )
    row.state, row.evidence = ("done" if done else "dropped"), evidence.strip()[:2000]
    row.ended_at, row.ended_by = clock.now(), actor.name
    row.save(update_fields=["state", "evidence", "ended_at", "ended_by"])
    word = "done" if done else "dropped"
    append(actor, fresh, "action", f"Action item {word}: {row.title} — {row.evidence[:300]}", {"item": row.pk})
    tell(actor, fresh, f"action_item.{word}", {"item": row.pk, "evidence": row.evidence[:200]})
    return row


def open_items_of_cause(incident: Incident) -> QuerySet[ActionItem]:
    """What earlier reviews of the same cause decided and nobody has done yet."""
    rows = ActionItem.objects.filter(state="open", review__incident__system__client=incident.system.client_id)
    rows = rows.exclude(review__incident__cause_key="").filter(review__incident__cause_key=incident.cause_key)
    return rows.exclude(review__incident=incident).select_related("review__incident", "owner")
