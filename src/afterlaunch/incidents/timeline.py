"""The append-only timeline: each entry's hash covers its predecessor's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.incidents.chain import BEGINNING, entry_hash
from afterlaunch.incidents.models import Incident, TimelineEntry


def append(
    actor: Actor, incident: Incident, kind: str, text: str, details: Mapping[str, Any] | None = None
) -> TimelineEntry:
    """Inside the deed's transaction; the caller holds the incident's row, so sequences don't race."""
    last = TimelineEntry.objects.filter(incident=incident).order_by("-sequence").values_list("sequence", "hash").first()
    sequence, before = (last[0] + 1, last[1]) if last else (1, BEGINNING)
    at, facts = clock.now(), dict(details or {})
    who = f"{actor.kind}:{actor.name}"
    return TimelineEntry.objects.create(
        incident=incident,
        sequence=sequence,
        at=at,
        kind=kind,
        text=text,
        details=facts,
        actor=actor.name,
        actor_kind=actor.kind,
        hash=entry_hash(before, incident.pk, sequence, at.isoformat(), kind, text, facts, who),
    )


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
