"""Silences: for a while nobody is paged for what a silence names. Each is evidence, with who and why."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.alerts.models import Silence
from afterlaunch.alerts.rules import NARROWING
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound

LONGEST = timedelta(days=7)
ARMS = ("", "baseline", "candidate")


def silences_seen_by(actor: Actor) -> QuerySet[Silence]:
    """Only those of clients that the actor may see."""
    seen = actor.sees()
    return Silence.objects.all() if seen is None else Silence.objects.filter(client__in=seen)


def silence_by_id(actor: Actor, pk: int) -> Silence:
    row = silences_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no silence {pk}.")
    return row


@transaction.atomic
def silence(actor: Actor, system: System, until: datetime, comment: str, **narrowing: str) -> Silence:
    """Nobody is paged for this system until then; alerts are recorded and shown all the same. `narrowing` holds
    environment, judge, route, arm; empty means any. Raises Invalid."""
    actor.require(Role.RESPONDER, system.client.slug)
    now = clock.now()
    if until.tzinfo is None:
        raise Invalid("The end needs a zone.", "For example 2026-03-01T06:00:00Z")
    if not comment.strip() or not now < until <= now + LONGEST:
        raise Invalid("A silence needs a reason and an end within seven days.")
    unknown = sorted(set(narrowing) - set(NARROWING))
    if unknown or narrowing.get("arm", "") not in ARMS:
        raise Invalid(
            "A silence can't be narrowed so.", f"By {', '.join(NARROWING)}; the arm is baseline or candidate."
        )
    row = Silence.objects.create(
        client=system.client.slug,
        system=system.key,
        starts_at=now,
        ends_at=until,
        author=actor.name,
        comment=comment.strip()[:300],
        **{name: value.strip() for name, value in narrowing.items()},
    )
    details = {"system": system.key, "until": until.isoformat(), "reason": row.comment, **narrowing}
    record(actor, "silence.made", f"silence/{row.pk}", system.client.slug, details)
    return row


@transaction.atomic
def end_silence(actor: Actor, row: Silence) -> Silence:
    """From now on it is loud again: what still fires raises its incident within seconds."""
    fresh = Silence.objects.select_for_update().get(pk=row.pk)
    actor.require(Role.RESPONDER, fresh.client)
    now = clock.now()
    if fresh.ends_at <= now:
        raise Conflict("This silence has ended already.")
    fresh.ends_at, fresh.ended_by = now, actor.name
    fresh.save(update_fields=["ends_at", "ended_by"])
    record(actor, "silence.ended", f"silence/{fresh.pk}", fresh.client, {"system": fresh.system})
    return fresh
