from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q

from afterlaunch.accounts.models import User
from afterlaunch.ground.actors import automation
from afterlaunch.incidents.deeds import locked, tell
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.reviews.actions import write_draft
from afterlaunch.incidents.reviews.models import ActionItem, Review
from afterlaunch.incidents.reviews.rules import item_overdue
from afterlaunch.incidents.roles import who
from afterlaunch.incidents.timeline import append
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.oncall.escalation import catch_all

WRITER, ENGINE = automation("review draft"), automation("engine")
WEEK = timedelta(days=7)
AT_ONCE = 20
log = logging.getLogger(__name__)


def follow_reviews(now: datetime) -> None:
    """Drafts are made, late ones are told, and overdue action items are told once a week."""
    waiting = Review.objects.filter(drafted_at=None).select_related("incident__system__client").order_by("began_at")
    for row in waiting[:AT_ONCE]:
        write_draft(WRITER, row.incident)
    _tell_late(Review.objects.filter(state="draft", draft_late_at=None, draft_due_at__lt=now), "draft", now)
    open_ones = Review.objects.filter(approved_at=None, approve_late_at=None, approve_due_at__lt=now)
    _tell_late(open_ones, "approve", now)
    _tell_overdue(now)


def _tell_late(rows: Iterable[Review], what: str, now: datetime) -> None:
    """Each late review once: to its commander, else to the owner or the administrators."""
    word = {"draft": "The review's draft", "approve": "The review's approval"}[what]
    for row in rows:
        with transaction.atomic():
            incident = locked(ENGINE, row.incident)
            stamp = {f"{what}_late_at": getattr(row, f"{what}_due_at")}
            if not Review.objects.filter(pk=row.pk, **{f"{what}_late_at": None}).update(**stamp):
                continue
            append(
                ENGINE, incident, "review.late", f"{word} was due at {next(iter(stamp.values())):%Y-%m-%d %H:%M} UTC."
            )
            tell(ENGINE, incident, "review.late", {"what": what})
            lines = [f"{word} is late.", "The incident stays open until its review is approved."]
            for person in _responsible(incident):
                _send(person, incident, f"review-{what}-{row.pk}", f"{word} is late: {incident.title}", lines, now)


def _responsible(incident: Incident) -> list[User]:
    found = who(incident, "commander", "communications", "responder")
    return [found] if found else catch_all(incident.system)


def _send(person: User, incident: Incident, occurrence: str, title: str, lines: list[str], now: datetime) -> None:
    facts = {"type": "review.late", "incident": incident.pk, "title": title, "severity": "", "lines": lines}
    facts["path"] = f"/incidents/{incident.pk}/review"
    enqueue(person, Notice(incident.topic, occurrence, incident.system.client.slug, facts, "update"), now)


def _tell_overdue(now: datetime) -> None:
    """One message a week for each owner and client, with everything of theirs that is overdue there."""
    again = Q(told_at=None) | Q(told_at__lte=now - WEEK)
    rows = ActionItem.objects.filter(again, state="open", due_on__lt=now.date() + timedelta(days=1))
    late: dict[tuple[int, int], list[ActionItem]] = {}
    for item in rows.select_related("review__incident__system__client", "owner"):
        client = item.review.incident.system.client
        if item.owner_id and item_overdue(item.state, item.due_on, now.astimezone(ZoneInfo(client.time_zone)).date()):
            late.setdefault((client.pk, item.owner_id), []).append(item)
    for items in late.values():
        _tell_owner(items, now)


@transaction.atomic
def _tell_owner(items: list[ActionItem], now: datetime) -> None:
    taken = ActionItem.objects.filter(pk__in=[item.pk for item in items], state="open").filter(
        Q(told_at=None) | Q(told_at__lte=now - WEEK)
    )
    if not taken.update(told_at=now):
        return
    owner, client = items[0].owner, items[0].review.incident.system.client
    if owner is None:
        return
    lines = [f"{item.title} (due {item.due_on}, incident {item.review.incident_id})" for item in items]
    facts = {
        "type": "action_items.overdue",
        "title": f"{len(items)} action item{'s' if len(items) > 1 else ''} overdue",
        "severity": "",
        "lines": lines,
        "path": "/incidents/actions?mine=1",
    }
    notice = Notice(
        f"client/{client.slug}/actions", f"overdue-{now:%Y-%m-%d}-u{owner.pk}", client.slug, facts, "update"
    )
    if enqueue(owner, notice, now) is None:
        log.warning("the owner of %d overdue action items has no verified contact method", len(items))
