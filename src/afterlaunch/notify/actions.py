"""Deeds on contact methods: a person's own, or an administrator's for them."""

from __future__ import annotations

import hmac
import secrets

from django.db import transaction
from django.db.models import Max, QuerySet

from afterlaunch.accounts.models import User
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.ground.outbound import Unreachable
from afterlaunch.notify.kinds import kind_named
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.notify.outbox import Notice, enqueue_to


def _require_own(actor: Actor, user: User) -> None:
    if actor.user_id != user.pk:
        actor.require(Role.ADMIN, None)


def methods_of(actor: Actor, user: User) -> QuerySet[ContactMethod]:
    _require_own(actor, user)
    return ContactMethod.objects.filter(user=user, removed_at=None)


def method_by_id(actor: Actor, pk: int) -> ContactMethod:
    """One's own; for anybody else's it takes an administrator, or else it does not exist."""
    row = ContactMethod.objects.select_related("user").filter(pk=pk, removed_at=None).first()
    if row is None or (actor.user_id != row.user_id and not actor.may(Role.ADMIN, None)):
        raise NotFound(f"There is no contact method {pk}.")
    return row


@transaction.atomic
def add_contact(actor: Actor, user: User, kind: str, address: str, verified: bool = False) -> ContactMethod:
    """Add a way to reach a person. It is paged only once verified; `verified` is an administrator's word for it.
    Adding what is there returns it. Raises Invalid."""
    _require_own(actor, user)
    if verified:
        actor.require(Role.ADMIN, None)
    chosen = kind_named(kind)
    try:
        address = chosen.check(address.strip())
    except Unreachable as problem:
        raise Invalid(str(problem), "Check the host name.") from None
    now = clock.now()
    known = ContactMethod.objects.filter(user=user, kind=kind, address=address, removed_at=None).first()
    if known is None:
        last = ContactMethod.objects.filter(user=user, removed_at=None).aggregate(last=Max("position"))["last"]
        known = ContactMethod.objects.create(
            user=user,
            kind=kind,
            address=address,
            secret=chosen.new_secret(),
            position=0 if last is None else last + 1,
            created_at=now,
        )
        record(actor, "contact.added", f"contact/{known.pk}", None, {"person": user.pk, "kind": kind})
    if verified and known.verified_at is None:
        _mark_verified(actor, known, "administrator")
    return known


@transaction.atomic
def send_test(actor: Actor, contact: ContactMethod) -> Page:
    """Queue a test message with a fresh code; typing the code in proves that it arrived."""
    _require_own(actor, contact.user)
    contact.code = f"{secrets.randbelow(1_000_000):06d}"
    contact.save(update_fields=["code"])
    facts = {
        "type": "contact.test",
        "title": f"Afterlaunch test message: code {contact.code}",
        "lines": [
            f"Your code is {contact.code}. Type it in under Settings, Contacts, so that pages can reach you here."
        ],
        "path": "/settings/contacts",
    }
    now = clock.now()
    number = Page.objects.filter(contact=contact, purpose__in=("verify", "test")).count() + 1
    purpose = "verify" if contact.verified_at is None else "test"
    return enqueue_to(contact, Notice(f"contact/{contact.pk}", f"t{number}", "", facts, purpose), now)


@transaction.atomic
def verify(actor: Actor, contact: ContactMethod, code: str) -> ContactMethod:
    """The code of the newest test message makes it a method that is paged. A wrong code uses the right one up, so
    nobody can go through all of them."""
    _require_own(actor, contact.user)
    row = ContactMethod.objects.select_for_update(of=("self",)).get(pk=contact.pk)
    if row.verified_at is None or row.code:
        if not row.code or not hmac.compare_digest(row.code.encode(), code.strip().encode()):
            return _wrong_code(row)
        _mark_verified(actor, row, "code")
    return row


def make_first(actor: Actor, contact: ContactMethod) -> None:
    """It is tried before the others, where no rule says otherwise."""
    _require_own(actor, contact.user)
    with transaction.atomic():
        others = ContactMethod.objects.filter(user=contact.user, removed_at=None).exclude(pk=contact.pk)
        for position, row in enumerate([contact, *others.order_by("position", "pk")]):
            ContactMethod.objects.filter(pk=row.pk).update(position=position)
        record(actor, "contact.made_first", f"contact/{contact.pk}", None, {"person": contact.user_id})


def _wrong_code(row: ContactMethod) -> ContactMethod:
    row.code = ""
    row.save(update_fields=["code"])
    return row


def _mark_verified(actor: Actor, row: ContactMethod, how: str) -> None:
    now = clock.now()
    row.verified_at, row.proved_at, row.code = row.verified_at or now, now, ""
    row.save(update_fields=["verified_at", "proved_at", "code"])
    record(actor, "contact.verified", f"contact/{row.pk}", None, {"person": row.user_id, "how": how})


@transaction.atomic
def remove_contact(actor: Actor, contact: ContactMethod) -> None:
    """From now on nothing new goes there."""
    _require_own(actor, contact.user)
    if ContactMethod.objects.filter(pk=contact.pk, removed_at=None).update(removed_at=clock.now()):
        record(actor, "contact.removed", f"contact/{contact.pk}", None, {"person": contact.user_id})
