"""Bodies in: references and predictions, each body once, with everything that comes of it in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import F, QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.estate.actions import Sighting, note_sightings, systems_seen_by
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound, Unavailable
from afterlaunch.predictions import folding, keeping, packed, rhythms, slicing, vectors
from afterlaunch.predictions.bodies import ID, TIME, VERSION, Rows
from afterlaunch.predictions.models import Batch, Hour, Kept, Part, Reference, Task
from afterlaunch.profiles.layouts import Layout

HOUR = timedelta(hours=1)
AHEAD = timedelta(hours=1)  # so far may a sender's clock be ahead
LEAST = 100  # rows of a reference
KEY = 200  # characters
LONGEST = timedelta(days=92)  # of a reference made of a period


def system_for(actor: Actor, pk: int, role: Role) -> System:
    """One that the actor may act on with this role. Whether another exists is not told to who may not see it."""
    system = System.objects.select_related("client").filter(pk=pk).first()
    if system is not None and actor.may(role, system.client.slug):
        return system
    if system is not None and systems_seen_by(actor).filter(pk=pk).exists():
        actor.require(role, system.client.slug)
    raise NotFound(f"There is no system {pk}.")


def place_for(actor: Actor, client: str, key: str, role: Role) -> tuple[str, str]:
    """Client and key of a system that may be new: the first body makes it known, as telemetry does. A token of one
    client need not name it."""
    held = {one.client for one in actor.roles}
    if not client and len(held) == 1:
        client = held.pop() or ""
    if not actor.may(role, client):
        raise NotAllowed(f"This needs the role {role.value} for client {client!r}.", "Use a token of that client.")
    if not key or len(key) > 200 or "\x00" in key:
        raise Invalid("A system's name has 1 to 200 characters.", "For example ?client=acme&system=scoring")
    if not Client.objects.filter(slug=client).exists():
        raise NotFound(f"There is no client {client!r}.")
    return client, key


def in_force(system: System, environment: str) -> Reference | None:
    return Reference.objects.filter(system=system, environment=environment).order_by("-version").first()


def all_in_force() -> list[Reference]:
    """The newest of every system and environment, without their profiles."""
    newest: dict[tuple[int, str], Reference] = {}
    rows = Reference.objects.select_related("system__client").defer("kept", "profile", "slices").order_by("version")
    for row in rows:
        newest[row.system_id, row.environment] = row
    return list(newest.values())


def references_of(system: System) -> QuerySet[Reference]:
    return (
        Reference.objects.filter(system=system).defer("kept", "profile", "slices").order_by("environment", "-version")
    )


@lru_cache(maxsize=32)
def layouts_of(pk: int, digest: str) -> dict[str, Layout]:
    """Of a reference, which never changes."""
    return packed.unpack_layouts(bytes(Reference.objects.values_list("kept", flat=True).get(pk=pk, digest=digest)))


@lru_cache(maxsize=32)
def projections_of(pk: int, digest: str) -> dict[str, vectors.Projection]:
    """Of a reference, which never changes."""
    body = Reference.objects.values_list("projections", flat=True).get(pk=pk, digest=digest)
    return vectors.unpack(bytes(body)) if body else {}


@lru_cache(maxsize=32)
def cut_of(pk: int, digest: str) -> slicing.Cut | None:
    """Of a reference, which never changes; None where it has no slices."""
    columns, body = Reference.objects.values_list("slice_columns", "profile").get(pk=pk, digest=digest)
    if not columns:
        return None
    layouts = layouts_of(pk, digest)
    return slicing.cut(layouts, packed.unpack(bytes(body), layouts), columns)


def _locked(client: str, key: str, environment: str, now: datetime) -> System:
    """Notes that something came of the system; until the end of the transaction others wait who tell of it too."""
    note_sightings([Sighting(client, key, environment)], now)
    return System.objects.select_related("client").get(client__slug=client, key=key)


def make_reference(actor: Actor, client: str, key: str, environment: str, rows: Rows, digest: str) -> Reference:
    """Of a table. The table that the reference in force was made of makes no other."""
    actor.require(Role.OPERATOR, client)
    if rows.count < LEAST:
        raise Invalid(f"A reference needs {LEAST} rows; this table has {rows.count}.", "1,000 or more are better.")
    projections = vectors.learn(rows)
    rows = vectors.expanded(rows, projections)
    layouts, left_out = folding.learn(rows)
    if not layouts:
        raise Invalid("No column of the table can be compared.", f"Beside {ID}, {TIME} and {VERSION} it needs others.")
    profiles = folding.whole(layouts, rows)
    system = System.objects.select_related("client").filter(client__slug=client, key=key).first()
    zoned = system or System(client=Client.objects.get(slug=client), key=key)
    learnt = rhythms.of_table(zoned, layouts, profiles, rows, clock.now() + AHEAD)
    task = task_of(system, environment)
    columns = slicing.columns_of(layouts, task.segments if task else ())
    slices = None
    if columns:
        every = np.arange(rows.count)
        slices = slicing.pack(slicing.counting(slicing.cut(layouts, profiles, columns), layouts, rows)(every))
    given = {
        "source": "body",
        "slice_columns": columns,
        "slices": slices,
        "rows": rows.count,
        "columns": len(layouts),
        "kept": packed.pack_layouts(layouts),
        "projections": vectors.pack(projections) if projections else None,
        "profile": packed.pack(profiles),
        "left_out": left_out,
    }
    return _made(actor, client, key, environment, digest, given, learnt)


def make_from_period(actor: Actor, system: System, environment: str, start: datetime, end: datetime) -> Reference:
    """Of whole hours that were received and judged, on the cells of the reference in force."""
    actor.require(Role.OPERATOR, system.client.slug)
    if (
        any(at.minute or at.second or at.microsecond for at in (start, end))
        or not timedelta(0) < end - start <= LONGEST
    ):
        raise Invalid(f"A period is of whole hours, at most {LONGEST.days} days.", "From 2026-03-01T00:00:00Z, say.")
    before = in_force(system, environment)
    if before is None:
        raise Conflict("There is no reference yet to keep the cells of.", "Send a table to this address.")
    hours = Hour.objects.filter(reference=before, start__gte=start, start__lt=end)
    if hours.filter(due=True).exists():
        raise Conflict("Some hours of the period are not closed yet.", "Ask again in half an hour.")
    layouts = layouts_of(before.pk, before.digest)
    profiles, rows = packed.empty(layouts), 0
    by = cut_of(before.pk, before.digest)
    slices = by.empty() if by else None
    for hour in hours.exclude(profile=None).iterator(50):
        profiles = packed.merge(profiles, packed.unpack(bytes(hour.profile or b""), layouts))
        if by is not None and slices is not None:
            slices = slices + slicing.unpack(bytes(hour.slices), by) if hour.slices is not None else None
        rows += hour.rows
    if rows < LEAST:
        raise Invalid(f"A reference needs {LEAST} rows; the period has {rows}.", "Choose a longer one.")
    body = packed.pack(profiles)
    told = hours.exclude(profile=None).order_by("start", "pk").values_list("pk", "start")
    learnt = rhythms.of_hours(system, layouts, profiles, list(told), start, end, compare=False)
    given = {
        "source": "period",
        "slice_columns": before.slice_columns if slices is not None else [],
        "slices": slicing.pack(slices) if slices is not None else None,
        "starts_at": start,
        "ends_at": end,
        "rows": rows,
        "columns": before.columns,
        "kept": before.kept,
        "projections": before.projections,
        "profile": body,
        "left_out": before.left_out,
    }
    digest = hashlib.sha256(bytes(before.kept) + body).hexdigest()
    return _made(actor, system.client.slug, system.key, environment, digest, given, learnt)


@transaction.atomic
def _made(
    actor: Actor,
    client: str,
    key: str,
    environment: str,
    digest: str,
    given: Mapping[str, Any],
    learnt: rhythms.Learnt | None,
) -> Reference:
    now = clock.now()
    system = _locked(client, key, environment, now)
    before = in_force(system, environment)
    if before is not None and before.digest == digest:
        return before
    made = Reference.objects.create(
        system=system,
        environment=environment,
        version=before.version + 1 if before else 1,
        digest=digest,
        made_at=now,
        made_by=actor.name[:200],
        **given,
    )
    if learnt is not None:
        rhythms.keep(made, learnt, None, now)
    told = {"system": system.key, "environment": environment, "version": made.version, "rows": made.rows}
    sums = {"digest": digest, "profile": hashlib.sha256(bytes(made.profile)).hexdigest()}
    record(actor, "reference.made", f"reference/{made.pk}", client, {**told, **sums, "source": made.source})
    return made


def known_batch(client: str, key: str, environment: str, batch: str, digest: str) -> Batch | None:
    """A body that was taken before. Raises Conflict where another one had this key."""
    place = {"system__client__slug": client, "system__key": key, "environment": environment}
    found = Batch.objects.filter(key=batch, **place).select_related("reference").first()
    if found is not None and found.digest != digest:
        raise Conflict("This Idempotency-Key came with another body.", "Give every body a key of its own.")
    return found


def receive(
    actor: Actor, client: str, key: str, environment: str, rows: Rows, batch: str, digest: str
) -> tuple[Batch, bool, list[str], list[str]]:
    """The batch, whether it is new, columns that the reference does not know, and columns that the body lacks."""
    actor.require(Role.INGEST, client)
    now = clock.now()
    system = System.objects.filter(client__slug=client, key=key).first()
    reference = in_force(system, environment) if system else None
    if reference is None:
        raise Conflict(
            f"{key} has no reference in {environment}: nothing was taken.",
            "Send training data, or another table to compare with, to …/references first.",
        )
    layouts = layouts_of(reference.pk, reference.digest)
    projections = projections_of(reference.pk, reference.digest)
    wide = vectors.expanded(rows, projections)
    folded = folding.windows(layouts, wide, now + AHEAD)
    by = cut_of(reference.pk, reference.digest)
    count = slicing.counting(by, layouts, wide) if by else None
    parts = [(one, packed.pack(one.profiles), slicing.pack(count(one.places)) if count else None) for one in folded]
    task = told if (told := task_of(system, environment)) else keeping.told_by(rows)
    kept = keeping.parts_of(rows, task, now + AHEAD) if task else []
    with transaction.atomic():
        system = _locked(client, key, environment, now)
        if (found := known_batch(client, key, environment, batch, digest)) is not None:
            return found, False, [], []
        newest = in_force(system, environment)
        if newest is None or newest.pk != reference.pk:
            raise Unavailable("The reference changed just now.", "Send it again.", 1)
        row = Batch.objects.create(
            system=system,
            environment=environment,
            key=batch,
            digest=digest,
            reference=reference,
            rows=rows.count,
            windows=len(parts),
            received_at=now,
        )
        Part.objects.bulk_create(
            [
                Part(
                    batch=row,
                    reference=reference,
                    model_version=one.version,
                    window=one.start,
                    rows=one.rows,
                    profile=body,
                    slices=slices,
                )
                for one, body, slices in parts
            ],
            batch_size=100,
        )
        _touch(reference, sorted({(one.version, hour_of(one.start)) for one, _, _ in parts}))
        if task and kept:
            _keep(row, task, kept, now)
    known = {*layouts, *projections, *reference.left_out}
    made = {one for name, projection in projections.items() for one in vectors.names_of(name, projection)}
    lacking = [name for name in (*projections, *layouts) if name not in rows.columns and name not in made]
    return row, True, [name for name in rows.features if name not in known], lacking


def task_of(system: System | None, environment: str) -> keeping.Task | None:
    row = Task.objects.filter(system=system, environment=environment).first()
    return as_task(row) if row else None


def as_task(row: Task) -> keeping.Task:
    return keeping.Task(
        row.kind,
        row.output,
        row.probability,
        row.confidence,
        row.positive,
        tuple(str(one) for one in row.segments),
        row.query,
        row.cutoff,
        tuple(str(one) for one in row.features),
    )


def _keep(batch: Batch, task: keeping.Task, parts: list[keeping.Part], now: datetime) -> None:
    """The task too, where this body is the first to tell it."""
    place = {"system": batch.system, "environment": batch.environment}
    fresh = {"kind": task.kind, "positive": task.positive, "noted_at": now}
    row, made = Task.objects.get_or_create(**place, defaults=fresh)
    if not made and as_task(row) != task:
        raise Unavailable("What is kept of predictions changed just now.", "Send it again.", 1)
    rows = [
        Kept(
            batch=batch,
            model_version=one.version,
            hour=one.start,
            rows=one.rows,
            weight=len(one.ids) + len(one.columns),
            ids=one.ids,
            columns=one.columns,
            **place,
        )
        for one in parts
    ]
    Kept.objects.bulk_create(rows, batch_size=100)


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _touch(reference: Reference, hours: list[tuple[str, datetime]]) -> None:
    fresh = [Hour(reference=reference, model_version=version, start=start) for version, start in hours]
    Hour.objects.bulk_create(fresh, ignore_conflicts=True)
    for version in sorted({version for version, _ in hours}):
        starts = [start for one, start in hours if one == version]
        for at in range(0, len(starts), 500):
            told = Hour.objects.filter(reference=reference, model_version=version, start__in=starts[at : at + 500])
            told.update(touched=F("touched") + 1, due=True)


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def batch_key(headers: Mapping[str, str], digest: str) -> str:
    given = headers.get("idempotency-key", "").strip()
    if not given:
        return f"sha256:{digest}"
    if len(given) > KEY or not given.isprintable():
        raise Invalid(f"An Idempotency-Key has 1 to {KEY} printable characters.")
    return f"key:{given}"
