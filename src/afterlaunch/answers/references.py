"""References: learnt of the first week, or of a period that a person chose. Made once, never altered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet, Sum

from afterlaunch.answers import layouts
from afterlaunch.answers.models import Hour, Reference, ReferencePart
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid
from afterlaunch.predictions import packed
from afterlaunch.predictions.packed import Profiles

HOUR = timedelta(hours=1)
LEARNT, LEARNT_OVER = 500, timedelta(days=7)  # answers, and at least so long
LEAST = 100  # answers of a chosen period, and of a slice that is compared
LONGEST = timedelta(days=92)
LEARNER = automation("answers.judge")


def in_force(system: System, environment: str) -> Reference | None:
    rows = Reference.objects.filter(system=system, environment=environment, cells=layouts.cells())
    return rows.order_by("-version").first()


def choose(actor: Actor, system: System, environment: str, start: datetime, end: datetime) -> Reference:
    """A period that a person vouches for: whole hours that were described."""
    actor.require(Role.OPERATOR, system.client.slug)
    whole = all(not (at.minute or at.second or at.microsecond) for at in (start, end))
    if not whole or not HOUR <= end - start <= LONGEST:
        raise Invalid(f"A period is of whole hours, at most {LONGEST.days} days.", "From 2026-03-01T00:00:00Z, say.")
    if end > clock.now():
        raise Conflict("The period is not over.", "Choose one that is.")
    hours = _hours(system, environment, start, end)
    answers = hours.filter(slice="").aggregate(n=Sum("answers"))["n"] or 0
    if answers < LEAST:
        raise Invalid(f"A reference needs {LEAST} answers; the period has {answers}.", "Choose a longer one.")
    return _made(actor, system, environment, start, end)


def learn(system: System, environment: str) -> tuple[Reference | None, int, datetime | None]:
    """The first week that was described, or longer until it has answers enough; else how many there are, and when it
    ends at the earliest."""
    hours = _of(system, environment).filter(slice="").order_by("start")
    first, answers = None, 0
    for start, count in hours.values_list("start", "answers").iterator(500):
        first = first or start
        answers += count
        end = start + HOUR
        if end - first >= LEARNT_OVER and answers >= LEARNT:
            return _made(LEARNER, system, environment, first, end), answers, end
    return None, answers, first + LEARNT_OVER if first else None


def _hours(system: System, environment: str, start: datetime, end: datetime) -> QuerySet[Hour]:
    return _of(system, environment).filter(start__gte=start, start__lt=end)


def _of(system: System, environment: str) -> QuerySet[Hour]:
    return Hour.objects.filter(system=system, environment=environment, cells=layouts.cells())


def merged(hours: Iterable[Hour]) -> Profiles:
    found = packed.empty(layouts.in_force())
    for hour in hours:
        found = packed.merge(found, packed.unpack(bytes(hour.profile), layouts.in_force()))
    return found


@transaction.atomic
def _made(actor: Actor, system: System, environment: str, start: datetime, end: datetime) -> Reference:
    System.objects.select_for_update().get(pk=system.pk)
    before = in_force(system, environment)
    hours = _hours(system, environment, start, end).order_by("slice", "start")
    parts: list[tuple[str, int, bytes]] = []
    for name in list(hours.order_by("slice").values_list("slice", flat=True).distinct()):
        mine = hours.filter(slice=name)
        count = mine.aggregate(n=Sum("answers"))["n"] or 0
        if not name or count >= LEAST:
            parts.append((name, count, packed.pack(merged(mine.iterator(50)))))
    digest = hashlib.sha256(b"".join(name.encode() + body for name, _, body in parts)).hexdigest()
    if before is not None and (before.digest, before.starts_at, before.ends_at) == (digest, start, end):
        return before
    newest = Reference.objects.filter(system=system, environment=environment).order_by("-version").first()
    made = Reference.objects.create(
        system=system,
        environment=environment,
        version=newest.version + 1 if newest else 1,
        cells=layouts.cells(),
        starts_at=start,
        ends_at=end,
        answers=parts[0][1],
        digest=digest,
        made_at=clock.now(),
        made_by=actor.name[:200],
    )
    ReferencePart.objects.bulk_create(
        [ReferencePart(reference=made, slice=name, answers=count, profile=body) for name, count, body in parts]
    )
    told = {"system": system.key, "environment": environment, "version": made.version, "answers": made.answers}
    period = {"from": start.isoformat(), "to": end.isoformat(), "digest": digest}
    record(actor, "answers.reference", f"answer_reference/{made.pk}", system.client.slug, {**told, **period})
    return made
