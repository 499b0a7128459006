"""The outbox. Pages are decided in the transaction of a deed; no network call is ever made inside one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import User
from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import automation
from afterlaunch.notify.kinds import kind_named
from afterlaunch.notify.models import Channel, ContactMethod, Page
from afterlaunch.notify.personal import plan_for
from afterlaunch.notify.planning import rank_of
from afterlaunch.notify.rules import forward

LINK_LIFE = timedelta(hours=24)


@dataclass(frozen=True)
class Notice:
    """What is to be told. `topic` names the row it is about ("incident/12"), `occurrence` tells repeats apart;
    topic, occurrence and destination together make the idempotency key. `facts`: type, title, lines, severity, system,
    path. `purpose`: page, notice, status, verify, test or edit."""

    topic: str
    occurrence: str
    client: str
    facts: Mapping[str, Any]
    purpose: str = "page"


def contacts_of(user: User) -> QuerySet[ContactMethod]:
    """Methods that may be paged, in the person's order."""
    return ContactMethod.objects.filter(user=user, removed_at=None, verified_at__isnull=False)


def enqueue(person: User, notice: Notice, now: datetime) -> Page | None:
    """A page to a person, as their rules say: a row for each method, due when it would be tried. The first of them, or
    None when the person can't be reached. Repeating it makes no second rows."""
    contacts = list(contacts_of(person)) if person.is_active else []
    known = {one.pk: one for one in contacts}
    for one in contacts:
        one.user = person
    severity = str(notice.facts.get("severity", ""))
    made = [
        enqueue_to(known[planned.contact], notice, now, planned.due, planned.held)
        for planned in plan_for(person, contacts, notice.purpose, severity, now)
    ]
    return made[0] if made else None


def enqueue_to(
    contact: ContactMethod, notice: Notice, now: datetime, due: datetime | None = None, held: str = ""
) -> Page:
    """To one contact method of a person, whatever their rules."""
    of_person = Page.objects.filter(topic=notice.topic, person=contact.user, purpose="page", over=False)
    first = notice.purpose == "page" and not of_person.exclude(occurrence=notice.occurrence).exists()
    page, made = _put(notice, f"c{contact.pk}", contact.kind, contact.address, first, now, due, held, contact=contact)
    if made:
        details = {"page": page.pk, "person": contact.user_id, "kind": contact.kind, "occurrence": notice.occurrence}
        record(automation("engine"), "page.decided", notice.topic, notice.client or None, details)
    return page


def enqueue_on(channel: Channel, notice: Notice, now: datetime) -> Page:
    """To a channel. What a test or a change of state tells there is no evidence of its own."""
    first = notice.purpose == "page" and not Page.objects.filter(topic=notice.topic, channel=channel).exists()
    page, _ = _put(notice, f"h{channel.pk}", channel.kind, channel.address, first, now, None, "", channel=channel)
    return page


def _put(
    notice: Notice,
    suffix: str,
    kind: str,
    address: str,
    first: bool,
    now: datetime,
    due: datetime | None,
    held: str,
    contact: ContactMethod | None = None,
    channel: Channel | None = None,
) -> tuple[Page, bool]:
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a page is enqueued in the transaction that decided it")
    key = f"{notice.topic.replace('/', '-')}-{notice.occurrence}-{suffix}"
    facts = dict(notice.facts)
    return Page.objects.get_or_create(
        key=key,
        defaults={
            "purpose": notice.purpose,
            "topic": notice.topic,
            "client": notice.client,
            "occurrence": notice.occurrence,
            "person": contact.user if contact else None,
            "contact": contact,
            "channel": channel,
            "kind": kind,
            "medium": kind_named(kind).medium(address),
            "type": str(facts.get("type", "test")),
            "service": str(facts.get("system", ""))[:120],
            "rank": rank_of(notice.purpose, str(facts.get("severity", "")), first),
            "facts": facts,
            "created_at": now,
            "due_at": due or now,
            "held": held,
            "nonce": secrets.token_hex(16),
            "link_expires_at": now + LINK_LIFE,
        },
    )


def withdraw(topic: str, now: datetime) -> None:
    """The paging about a topic has ended: what was not sent yet is not needed, and what comes next is a first page
    again. One that is being sent is left to its sender."""
    about = Page.objects.filter(topic=topic, purpose="page", person__isnull=False, over=False)
    about.filter(state="pending").update(state="withdrawn", over=True, held="", carrier=None)
    about.update(over=True)


def report(page: Page, state: str, now: datetime, sequence: int = 0) -> bool:
    """News of a page from its provider or its reader. Late news changes nothing. `sequence` orders a provider's own."""
    if not forward(page.state, state) or (sequence and sequence <= page.told_sequence):
        return False
    stamp = {"delivered": "delivered_at", "read": "read_at", "accepted": "accepted_at"}[state]
    changes: dict[str, Any] = {"state": state, stamp: now, "lease_until": None}
    if sequence:
        changes["told_sequence"] = sequence
    same = Page.objects.filter(pk=page.pk, state=page.state, told_sequence=page.told_sequence)
    return bool(same.update(**changes))


def pages_about(topic: str) -> QuerySet[Page]:
    return Page.objects.filter(topic=topic).select_related("contact", "person", "channel").order_by("pk")


def use_link(page: Page, now: datetime) -> bool:
    """Consume the page's nonce, in the transaction of the acknowledgement: exactly one request wins. Whoever used it
    has read the page, and the method works."""
    if not Page.objects.filter(pk=page.pk, link_used_at=None).update(link_used_at=now):
        return False
    report(page, "read", now)
    if page.contact_id is not None:
        ContactMethod.objects.filter(pk=page.contact_id).update(proved_at=now)
    return True
