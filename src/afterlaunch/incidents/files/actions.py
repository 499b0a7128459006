from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.ground.settings import settings
from afterlaunch.incidents.deeds import locked, tell
from afterlaunch.incidents.files import store
from afterlaunch.incidents.files.models import Attachment
from afterlaunch.incidents.files.rules import media_type, safe_name
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.timeline import append

MOST = 100


def largest() -> int:
    """In bytes."""
    return int(settings().number("INCIDENT_FILE_MAX_MB") * 2**20)


def attach(actor: Actor, incident: Incident, name: str, chunks: Iterable[bytes]) -> Attachment:
    """Keep a file. Permission is asked before its bytes are read. Raises TooLarge, Unsupported, Invalid."""
    actor.require(Role.RESPONDER, incident.system.client.slug)
    named = safe_name(name)
    kept = store.take(chunks, largest())
    try:
        if not kept.size:
            raise Invalid("The file is empty.")
        return _attach(actor, incident, named, media_type(named, kept.head), kept)
    finally:
        kept.forget()


@transaction.atomic
def _attach(actor: Actor, incident: Incident, name: str, kind: str, kept: store.Kept) -> Attachment:
    fresh = locked(actor, incident)
    if Attachment.objects.filter(incident=fresh, removed_at=None).count() >= MOST:
        raise Invalid(f"An incident has at most {MOST} files.", "Remove one, or pack several into one.")
    kept.settle()
    values = {"size": kept.size, "media_type": kind, "at": clock.now(), "by": actor.name}
    row, made = Attachment.objects.get_or_create(
        incident=fresh, name=name, sha256=kept.sha256, removed_at=None, defaults=values
    )
    if made:
        details = {"file": row.pk, "sha256": row.sha256, "size": row.size}
        append(actor, fresh, "file", f"File {name} ({kept.size:,} bytes, SHA-256 {kept.sha256}).", details)
        tell(actor, fresh, "incident.file_attached", details)
    return row


def file_of(incident: Incident, pk: int) -> Attachment:
    row = Attachment.objects.filter(incident=incident, removed_at=None, pk=pk).first()
    if row is None:
        raise NotFound(f"Incident {incident.pk} has no file {pk}.")
    return row


@transaction.atomic
def remove(actor: Actor, incident: Incident, pk: int, reason: str) -> Attachment:
    """By an operator, with a reason. Its bytes go when no other incident has the same."""
    fresh = locked(actor, incident, Role.OPERATOR)
    row = file_of(fresh, pk)
    if not reason.strip():
        raise Invalid("Removing a file needs a reason.")
    row.removed_at, row.removed_by = clock.now(), actor.name
    row.save(update_fields=["removed_at", "removed_by"])
    append(actor, fresh, "file", f"File {row.name} was removed: {reason.strip()[:300]}", {"file": row.pk})
    tell(actor, fresh, "incident.file_removed", {"file": row.pk, "sha256": row.sha256})
    if not Attachment.objects.filter(sha256=row.sha256, removed_at=None).exists():
        transaction.on_commit(lambda: store.place(row.sha256).unlink(missing_ok=True))
    return row
