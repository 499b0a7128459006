"""Asking for an erasure, doing it, and proving it."""

from __future__ import annotations

import hmac
import secrets
import time
from datetime import datetime
from typing import Any

from django.db import transaction

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.telemetry.keeping import erasing
from afterlaunch.telemetry.keeping.erasing import KEYS, Subject
from afterlaunch.telemetry.keeping.models import Erasure
from afterlaunch.telemetry.store import Store, current

SECONDS = 20.0


def preview(actor: Actor, client: Client, kind: str, value: str) -> dict[str, int]:
    """Rows that name the subject, by table. Raises Invalid, NotAllowed."""
    return erasing.left(current(), _subject(actor, client, kind, value))


def _subject(actor: Actor, client: Client, kind: str, value: str) -> Subject:
    actor.require(Role.ADMIN, client.slug)
    if kind not in KEYS:
        raise Invalid(f"{kind!r} cannot be erased.", "Use one of: " + ", ".join(KEYS))
    if not value.strip() or (kind == "tenant" and value == erasing.ERASED):
        raise Invalid(f"Name the {kind} as its telemetry does.")
    return Subject(client.slug, kind, value)


@transaction.atomic
def ask(actor: Actor, client: Client, kind: str, value: str, confirm: str) -> Erasure:
    """`confirm` repeats the value. The duty `telemetry.erase` does it; it cannot be taken back."""
    subject = _subject(actor, client, kind, value)
    if confirm != value:
        raise Invalid("The erasure is not confirmed.", f"Repeat the name of the {kind}, exactly.")
    if Erasure.objects.filter(client=client, kind=kind, value=value, done_at=None).exists():
        raise Conflict("This is being erased already.")
    salt = secrets.token_hex(16)
    digest = erasing.digest_of(salt, subject)
    row = Erasure.objects.create(
        client=client, kind=kind, value=value, salt=salt, digest=digest, by=actor.name, asked_at=clock.now()
    )
    details = {"kind": kind, "salt": salt, "subject_sha256": digest}
    record(actor, "erasure.asked", f"erasure/{row.pk}", client.slug, details)
    return row


def erasures_seen_by(actor: Actor) -> list[Erasure]:
    """Newest first; of the clients that the actor is an administrator of."""
    rows = Erasure.objects.select_related("client")
    return [row for row in rows if actor.may(Role.ADMIN, row.client.slug)]


def erasure_by_id(actor: Actor, pk: int) -> Erasure:
    """Raises NotFound where the actor may not even see the client."""
    row, seen = Erasure.objects.select_related("client").filter(pk=pk).first(), actor.sees()
    if row is None or (seen is not None and row.client.slug not in seen):
        raise NotFound(f"There is no erasure {pk}.")
    actor.require(Role.ADMIN, row.client.slug)
    return row


def check(actor: Actor, pk: int, value: str) -> dict[str, Any]:
    """Whether it was about this value, and what of it is in the store now."""
    row = erasure_by_id(actor, pk)
    subject = Subject(row.client.slug, row.kind, value)
    same = hmac.compare_digest(erasing.digest_of(row.salt, subject), row.digest)
    remaining = erasing.left(current(), subject) if same else None
    done = row.done_at is not None
    return {
        "erasure": row.pk,
        "subject_matches": same,
        "done": done,
        "left": remaining,
        "nothing_left": None if remaining is None else done and not any(remaining.values()),
    }


def work(now: datetime, seconds: float = SECONDS) -> None:
    """Go on with what was asked for, the oldest first."""
    until = time.monotonic() + seconds
    for row in Erasure.objects.filter(done_at=None).select_related("client").order_by("pk"):
        if not _erase(current(), row, until):
            return
        _finish(row, now)


def _erase(store: Store, row: Erasure, until: float) -> bool:
    """Whether it is done. What is counted is at least so much: a crash between a step and its note loses the note."""
    subject = Subject(row.client.slug, row.kind, row.value)
    while chosen := erasing.traces(store, subject):
        _note(row, erasing.erase_traces(store, subject, chosen), len(chosen))
        row.erased = erasing.chained(row.erased, chosen)
        row.save()
        if time.monotonic() > until:
            return False
    _note(row, erasing.erase_rest(store, subject), 0)
    row.save()
    return not any(erasing.left(store, subject).values())


def _note(row: Erasure, gone: dict[str, int], traces: int) -> None:
    for name, number in {**gone, "traces": traces}.items():
        row.counts[name] = row.counts.get(name, 0) + number


@transaction.atomic
def _finish(row: Erasure, now: datetime) -> None:
    row.done_at, row.value = now, ""
    row.save()
    details = {"kind": row.kind, "subject_sha256": row.digest, "rows": row.counts, "traces_sha256": row.erased}
    record(automation("telemetry.erase"), "erasure.done", f"erasure/{row.pk}", row.client.slug, details)
