"""The outbox. `enqueue` runs in the transaction that decided to page; no network call is ever made inside one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from afterlaunch.accounts.models import User
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.notify.rules import LEASE_SECONDS, Outcome, after

LINK_LIFE = timedelta(hours=24)


@dataclass(frozen=True)
class Notice:
    """What is to be told. `topic` names the row it is about ("incident/12"), `occurrence` tells repeats apart;
    topic, occurrence and contact method together make the idempotency key."""

    topic: str
    occurrence: str
    client: str
    facts: Mapping[str, Any]
    purpose: str = "page"


def contacts_of(user: User) -> QuerySet[ContactMethod]:
    """Methods that may be paged, in the person's order."""
    return ContactMethod.objects.filter(user=user, removed_at=None, verified_at__isnull=False)


def enqueue(person: User, notice: Notice, now: datetime) -> Page | None:
    """A page to the person's first contact method; None when the person can't be reached. Repeating it makes no
    second row."""
    contact = contacts_of(person).first()
    return enqueue_to(contact, notice, now) if contact and person.is_active else None


def enqueue_to(contact: ContactMethod, notice: Notice, now: datetime) -> Page:
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a page is enqueued in the transaction that decided it")
    key = f"{notice.topic.replace('/', '-')}-{notice.occurrence}-c{contact.pk}"
    page, made = Page.objects.get_or_create(
        key=key,
        defaults={
            "purpose": notice.purpose,
            "topic": notice.topic,
            "client": notice.client,
            "occurrence": notice.occurrence,
            "person": contact.user,
            "contact": contact,
            "facts": dict(notice.facts),
            "created_at": now,
            "due_at": now,
            "nonce": secrets.token_hex(16),
            "link_expires_at": now + LINK_LIFE,
        },
    )
    if made:
        details = {"page": page.pk, "person": contact.user_id, "kind": contact.kind, "occurrence": notice.occurrence}
        record(automation("engine"), "page.decided", notice.topic, notice.client or None, details)
    return page


def claim(now: datetime, limit: int) -> list[Page]:
    """Lease what is due, or what a dead sender left leased. The update's count decides who holds a page."""
    ready = Q(state="pending", due_at__lte=now) | Q(state="leased", lease_until__lte=now)
    held: list[Page] = []
    for page in Page.objects.filter(ready).select_related("contact", "person").order_by("due_at", "pk")[:limit]:
        taken = Page.objects.filter(pk=page.pk, fence=page.fence, state=page.state).update(
            state="leased",
            fence=page.fence + 1,
            attempts=page.attempts + 1,
            lease_until=now + clock.lease(LEASE_SECONDS),
        )
        if taken:
            page.fence, page.attempts, page.state = page.fence + 1, page.attempts + 1, "leased"
            held.append(page)
    return held


@transaction.atomic
def settle(page: Page, outcome: Outcome, now: datetime) -> bool:
    """Write what came of an attempt. False: the lease was lost meanwhile and nothing was changed."""
    step = after(outcome, page.attempts)
    mine = Page.objects.filter(pk=page.pk, fence=page.fence, state="leased")
    if step.do == "accept":
        return bool(mine.update(state="accepted", accepted_at=now, lease_until=None, receipt=outcome.receipt, error=""))
    if step.do == "retry":
        due = now + clock.lease(step.wait)
        return bool(mine.update(state="pending", due_at=due, lease_until=None, error=outcome.why[:500]))
    if not mine.update(state="failed", failed_at=now, lease_until=None, error=outcome.why[:500]):
        return False
    _try_next_method(page, step.reason, now)
    return True


def _try_next_method(page: Page, reason: str, now: datetime) -> None:
    """In the transaction of the failure: the same notice to the person's next method, due at once."""
    following = None
    if page.purpose == "page":
        tried = Page.objects.filter(topic=page.topic, occurrence=page.occurrence, person=page.person)
        following = contacts_of(page.person).exclude(pk__in=tried.values("contact_id")).first()
    if following is not None:
        enqueue_to(following, Notice(page.topic, page.occurrence, page.client, page.facts), now)
    details = {"page": page.pk, "reason": reason, "next_contact": following.pk if following else None}
    record(automation("engine"), "page.failed", page.topic, page.client or None, details)


def pages_about(topic: str) -> QuerySet[Page]:
    return Page.objects.filter(topic=topic).select_related("contact", "person").order_by("pk")


def use_link(page: Page, now: datetime) -> bool:
    """Consume the page's nonce, in the transaction of the acknowledgement: exactly one request wins."""
    return bool(Page.objects.filter(pk=page.pk, link_used_at=None).update(link_used_at=now))
