"""Bodies of labels in: each once, whole or not at all; joined afterwards by a duty."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid
from afterlaunch.labels import bodies, comments, givers
from afterlaunch.labels.models import Batch, Place, Source
from afterlaunch.predictions.actions import AHEAD, task_of
from afterlaunch.predictions.bodies import Rows
from afterlaunch.predictions.columns import pack
from afterlaunch.predictions.instants import instant
from afterlaunch.predictions.keeping import QUANTITIES

REMEMBERED = timedelta(days=14)  # hours in which labels came


def place_locked(client: str, key: str, environment: str, now: datetime) -> Place:
    """Until the end of the transaction others wait who tell of the system too."""
    note_sightings([Sighting(client, key, environment)], now)
    system = System.objects.get(client__slug=client, key=key)
    return Place.objects.get_or_create(system=system, environment=environment)[0]


def known_batch(client: str, key: str, environment: str, batch: str, digest: str) -> Batch | None:
    """A body that was taken before. Raises Conflict where another one had this key."""
    place = {"place__system__client__slug": client, "place__system__key": key, "place__environment": environment}
    found = Batch.objects.filter(key=batch, **place).first()
    if found is not None and found.digest != digest:
        raise Conflict("This Idempotency-Key came with another body.", "Give every body a key of its own.")
    return found


def receive(
    actor: Actor,
    client: str,
    key: str,
    environment: str,
    rows: Rows,
    batch: str,
    digest: str,
    complete_until: datetime | None,
) -> tuple[Batch, bool]:
    """The batch, and whether it is new. `complete_until`: by the sender's word, of every source of the body."""
    actor.require(Role.INGEST, client)
    now = clock.now()
    if complete_until is not None and complete_until > now + AHEAD:
        raise Invalid("'complete_until' lies ahead: nobody has labels of what is not predicted yet.")
    task = task_of(System.objects.filter(client__slug=client, key=key).first(), environment)
    numeric = task is not None and task.kind in QUANTITIES
    labels = bodies.read(rows, now + AHEAD, actor.name[:200] or "unnamed", numeric)
    columns = pack(labels.as_columns())
    told = comments.kept(labels.ids, labels.sources, labels.comments) if labels.comments is not None else None
    with transaction.atomic():
        place = place_locked(client, key, environment, now)
        if (found := known_batch(client, key, environment, batch, digest)) is not None:
            if complete_until is not None:
                _note_complete(place, labels, complete_until)
            return found, False
        row = Batch.objects.create(
            place=place,
            key=batch,
            digest=digest,
            rows=rows.count,
            columns=columns,
            comments=told,
            received_at=now,
            received_from=actor.name[:200],
        )
        _note_sources(place, labels, now, complete_until)
    return row, True


def _note_sources(place: Place, labels: bodies.Labels, now: datetime, complete_until: datetime | None) -> None:
    known = {row.name: row for row in Source.objects.filter(place=place)}
    for code, name in enumerate(labels.sources.values):
        mine = labels.sources.codes == code
        count, newest = int(mine.sum()), instant(int(labels.times[mine].max()))
        row = known.get(name)
        kept = row.givers if row is not None else {}
        gave = givers.noted(kept, labels.givers, mine, _hour(now), _hour(now - REMEMBERED))
        if row is None:
            Source.objects.create(
                place=place,
                name=name,
                first_at=now,
                last_at=now,
                newest=newest,
                labels=count,
                hours={_hour(now): count},
                givers=gave,
                complete_until=complete_until,
            )
            continue
        until = max((one for one in (row.complete_until, complete_until) if one), default=None)
        hours = {hour: n for hour, n in row.hours.items() if hour >= _hour(now - REMEMBERED)}
        hours[_hour(now)] = hours.get(_hour(now), 0) + count
        newest = max(row.newest, newest)
        Source.objects.filter(pk=row.pk).update(
            last_at=now, newest=newest, labels=F("labels") + count, hours=hours, givers=gave, complete_until=until
        )


def _note_complete(place: Place, labels: bodies.Labels, until: datetime) -> None:
    """Of labels that came before; a later word stands."""
    told = Source.objects.filter(place=place, name__in=labels.sources.values)
    told.filter(Q(complete_until=None) | Q(complete_until__lt=until)).update(complete_until=until)


def _hour(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H")
