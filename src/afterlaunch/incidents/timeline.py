"""The append-only timeline: each entry's hash covers its predecessor's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.incidents.chain import BEGINNING, entry_hash
from afterlaunch.incidents.models import Incident, TimelineEntry

Told = tuple[str, str, Mapping[str, Any] | None]  # kind, text, details


def append(
    actor: Actor, incident: Incident, kind: str, text: str, details: Mapping[str, Any] | None = None
) -> TimelineEntry:
    """Inside the deed's transaction; the caller holds the incident's row, so sequences don't race."""
    return append_all(actor, incident, [(kind, text, details)])[0]


def append_all(actor: Actor, incident: Incident, entries: Iterable[Told]) -> list[TimelineEntry]:
    """Several of one moment, in order."""
    last = TimelineEntry.objects.filter(incident=incident).order_by("-sequence").values_list("sequence", "hash").first()
    sequence, before = last or (0, BEGINNING)
    at, who = clock.now(), f"{actor.kind}:{actor.name}"
    made = []
    for kind, text, details in entries:
        sequence, facts = sequence + 1, dict(details or {})
        before = entry_hash(before, incident.pk, sequence, at.isoformat(), kind, text, facts, who)
        made.append(
            TimelineEntry.objects.create(
                incident=incident,
                sequence=sequence,
                at=at,
                kind=kind,
                text=text,
                details=facts,
                actor=actor.name,
                actor_kind=actor.kind,
                hash=before,
            )
        )
    return made


def first_broken(incident: Incident) -> int | None:
    """The sequence of the first entry whose hash does not fit, or None when the chain holds."""
    before = BEGINNING
    for number, row in enumerate(TimelineEntry.objects.filter(incident=incident).order_by("sequence"), 1):
        who = f"{row.actor_kind}:{row.actor}"
        wanted = entry_hash(before, incident.pk, row.sequence, row.at.isoformat(), row.kind, row.text, row.details, who)
        if row.sequence != number or row.hash != wanted:
            return row.sequence
        before = row.hash
    return None


def head(incident: Incident) -> str:
    """The hash of the newest entry, which stands for all of them."""
    last = TimelineEntry.objects.filter(incident=incident).order_by("-sequence").first()
    return last.hash if last else BEGINNING
