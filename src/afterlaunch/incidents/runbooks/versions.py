"""Which version counts, and which one an incident keeps. Called inside other deeds' transactions."""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.db import transaction

from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.runbooks.models import IncidentRunbook, RunbookVersion
from afterlaunch.incidents.runbooks.rules import shipped


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def current(client: int, kind: str, now: datetime) -> RunbookVersion:
    """The client's newest version, else the text that this version of the product came with, kept as a row."""
    mine = RunbookVersion.objects.filter(client_id=client, kind=kind).order_by("-version").first()
    return mine or shipped_now(kind, now)


def shipped_now(kind: str, now: datetime) -> RunbookVersion:
    """The text that the product comes with, as a row of its own once it counted."""
    text = shipped(kind)
    last = RunbookVersion.objects.filter(client=None, kind=kind).order_by("-version").first()
    if last is not None and last.sha256 == digest(text):
        return last
    values = {"text": text, "sha256": digest(text), "created_at": now, "created_by": "Afterlaunch"}
    with transaction.atomic():
        row, _ = RunbookVersion.objects.get_or_create(
            client=None, kind=kind, version=last.version + 1 if last else 1, defaults=values
        )
    return row


def begin(incident: Incident, now: datetime) -> IncidentRunbook:
    """The incident follows the version that counts now; one of another kind that it followed before has ended."""
    IncidentRunbook.objects.filter(incident=incident, ended_at=None).update(ended_at=now)
    book = current(incident.system.client_id, incident.kind, now)
    return IncidentRunbook.objects.create(incident=incident, runbook=book, began_at=now)


def followed(incident: Incident) -> RunbookVersion | None:
    """The version that the incident follows; None for one that was opened before there were runbooks."""
    row = IncidentRunbook.objects.filter(incident=incident, ended_at=None).select_related("runbook").first()
    return row.runbook if row else None
