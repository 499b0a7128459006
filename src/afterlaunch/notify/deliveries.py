"""What became of every message: for a page and the API."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from afterlaunch.ground.actors import Actor, Role
from afterlaunch.notify.models import Page


def messages_seen_by(actor: Actor) -> QuerySet[Page]:
    """Those about one's clients, and those to oneself; messages about no client are an administrator's of the house."""
    rows = Page.objects.select_related("contact", "person", "channel", "carrier")
    if actor.may(Role.ADMIN, None):
        return rows
    seen = actor.sees()
    own = Q(person_id=actor.user_id) if actor.user_id is not None else Q(pk__in=())
    return rows.filter(own | (~Q(client="") if seen is None else Q(client__in=seen)))


def filtered(
    rows: QuerySet[Page], state: str = "", topic: str = "", kind: str = "", client: str = ""
) -> QuerySet[Page]:
    """`state` may be "waiting": pending or being sent."""
    if state:
        rows = rows.filter(state__in=("pending", "leased") if state == "waiting" else (state,))
    wanted = {"topic": topic, "kind": kind, "client": client}
    return rows.filter(**{name: value for name, value in wanted.items() if value})


def as_document(page: Page) -> dict[str, Any]:
    return {
        "id": page.pk,
        "key": page.key,
        "purpose": page.purpose,
        "type": page.type,
        "topic": page.topic,
        "client": page.client or None,
        "title": str(page.facts.get("title", "")),
        "severity": page.facts.get("severity") or None,
        "kind": page.kind,
        "person": str(page.person) if page.person else None,
        "channel": page.channel.name if page.channel else None,
        "to": page.to,
        "state": page.state,
        "waits_for": page.held or None,
        "told_in": page.carrier.key if page.carrier else None,
        "attempts": page.attempts,
        "created_at": page.created_at,
        "due_at": page.due_at if page.state == "pending" else None,
        "accepted_at": page.accepted_at,
        "delivered_at": page.delivered_at,
        "read_at": page.read_at,
        "failed_at": page.failed_at,
        "error": page.error or None,
    }
