"""Two incidents that are one: what belongs to the duplicate moves to the survivor, and the earlier start wins."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import cast

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Conflict, Invalid
from afterlaunch.incidents import clocks
from afterlaunch.incidents.containment import rows as measures
from afterlaunch.incidents.deeds import locked, tell
from afterlaunch.incidents.lifecycle import EARLY
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.rules import RANK
from afterlaunch.incidents.timeline import append
from afterlaunch.incidents.updates import promises
from afterlaunch.notify.models import Page
from afterlaunch.oncall import escalation

Mover = Callable[[Incident, Incident], int]


@lru_cache(maxsize=1)
def movers() -> tuple[Mover, ...]:
    """What rooms above move from the duplicate to the survivor; each returns how much it moved."""
    return cast("tuple[Mover, ...]", import_string(settings.INCIDENT_MERGES))


@transaction.atomic
def duplicate_of(actor: Actor, incident: Incident, survivor: Incident, reason: str) -> Incident:
    """The incident is the same trouble as `survivor`. Legal only in detection and triage. Returns the survivor."""
    if incident.pk == survivor.pk:
        raise Invalid("An incident is no duplicate of itself.")
    # both rows, always in the same order, so that two merges that cross do not wait for each other
    first, second = sorted((incident, survivor), key=lambda one: one.pk)
    held = {one.pk: one for one in (locked(actor, first), locked(actor, second))}
    twin, kept = held[incident.pk], held[survivor.pk]
    if twin.system.client_id != kept.system.client_id:
        raise Invalid("Both must be of one client.")
    if twin.status != "open" or twin.phase not in EARLY:
        raise Conflict("Only an incident in detection or triage can be a duplicate.", "Link the two in a note instead.")
    if kept.status != "open":
        raise Conflict(f"Incident {kept.pk} is resolved.", "Reopen it first, or keep this one.")
    now = clock.now()
    twin.status, twin.outcome, twin.phase = "resolved", "duplicate", "closed"
    twin.resolved_at = twin.closed_at = now
    twin.survivor = kept
    twin.save()
    earlier = _earlier(kept, twin)
    kept.peak_severity = max(kept.peak_severity, twin.peak_severity, key=RANK.__getitem__)
    kept.save(update_fields=["detected_at", "occurred_at", "peak_severity"])
    moved = sum(move(twin, kept) for move in movers())
    pages = Page.objects.filter(topic=twin.topic).update(topic=kept.topic)
    clocks.merge(actor, twin, kept, now)
    measures.settle(twin, "ended", now)
    promises.end(twin, now)
    escalation.stop(twin.topic, "stopped", "duplicate", now)
    _tell_both(actor, twin, kept, reason, {"alerts": moved, "pages": pages, "start_moved": earlier})
    return kept


def _earlier(kept: Incident, twin: Incident) -> bool:
    """The survivor takes the earlier times of the two."""
    before = (kept.detected_at, kept.occurred_at)
    kept.detected_at = min(kept.detected_at, twin.detected_at)
    kept.occurred_at = min((at for at in (kept.occurred_at, twin.occurred_at) if at), default=None)
    return (kept.detected_at, kept.occurred_at) != before


def _tell_both(actor: Actor, twin: Incident, kept: Incident, reason: str, moved: dict[str, int | bool]) -> None:
    said = f": {reason.strip()}" if reason.strip() else "."
    append(actor, twin, "duplicate", f"It is a duplicate of #{kept.pk}{said}", {"survivor": kept.pk, **moved})
    start = f" It began earlier, so this one counts from {kept.detected_at:%Y-%m-%d %H:%M} UTC."
    text = f"#{twin.pk} was the same trouble: {moved['alerts']} alerts and {moved['pages']} pages moved here."
    append(actor, kept, "merged", text + (start if moved["start_moved"] else ""), {"duplicate": twin.pk, **moved})
    tell(actor, twin, "incident.duplicate", {"survivor": kept.pk})
    tell(actor, kept, "incident.merged", {"duplicate": twin.pk, **moved})
