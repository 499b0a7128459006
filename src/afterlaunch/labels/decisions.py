"""What people decide of performance: what a system's predictions are, what they are compared with, whose labels count.
Each is an entry of the evidence log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.labels import duties, judging
from afterlaunch.labels.actions import place_locked
from afterlaunch.labels.models import Baseline, Hour, Place, Source
from afterlaunch.performance import tally
from afterlaunch.predictions.keeping import CLASSIFICATION, FEATURES, RANKING, REGRESSION, SEGMENTS
from afterlaunch.predictions.models import Task

LEAST = 200  # labels of a baseline that a person chose
LONGEST = timedelta(days=92)
NAMES = ("output", "probability", "confidence", "query")
BOUNDS = {"floor": (0.0, 1.0), "delay_hours": (0.0, 24 * 92.0), "tolerance": (0.0, 0.5), "latency_ms": (0.001, 1e9)}
DEEPEST = 1_000  # rank down to which a ranking may be judged
MEANING = ("kind", "positive", "cutoff", "features", *NAMES)  # what hours and baselines were counted by


def place_of(system: System, environment: str) -> Place:
    found = Place.objects.filter(system=system, environment=environment).first()
    if found is None:
        raise NotFound(f"No labels or kept predictions of {system.name} in {environment}.")
    return found


def declare(actor: Actor, system: System, environment: str, given: Mapping[str, Any]) -> Task:
    """What predictions are from now on; `given`: fields of Task. What was kept before is counted anew by it, as far as
    it was kept."""
    actor.require(Role.OPERATOR, system.client.slug)
    fields = _checked(given)
    if not environment or len(environment) > 60 or not environment.isprintable():
        raise Invalid("An environment's name has 1 to 60 characters.")
    now = clock.now()
    with transaction.atomic():
        place = place_locked(system.client.slug, system.key, environment, now)
        before = Task.objects.filter(system=system, environment=environment).first()
        meaning = before is None or any(name in fields and getattr(before, name) != fields[name] for name in MEANING)
        defaults = {"kind": CLASSIFICATION, **fields, "decided_by": actor.name[:200]}
        task, made = Task.objects.get_or_create(
            system=system, environment=environment, defaults={**defaults, "noted_at": now}
        )
        if not made:
            for name, value in {**fields, "decided_by": actor.name[:200]}.items():
                setattr(task, name, value)
            task.noted_at = now if meaning else task.noted_at
            task.save()
        if meaning:
            _count_anew(place, now)
        Place.objects.filter(pk=place.pk).update(judged_at=None)
        told = {name: getattr(task, name) for name in (*MEANING, "segments")}
        told |= {name: str(getattr(task, name)) for name in BOUNDS}
        record(actor, "performance.declared", f"place/{place.pk}", system.client.slug, {"system": system.key, **told})
    return task


def _count_anew(place: Place, now: datetime) -> None:
    rows = Hour.objects.filter(place=place)
    rows.update(due_at=now, touched=F("touched") + 1)


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(given)
    if "kind" in found and found["kind"] not in (CLASSIFICATION, REGRESSION, RANKING):
        raise Invalid(f"A task is {CLASSIFICATION}, {REGRESSION} or {RANKING}.")
    for name in (*NAMES, "positive"):
        text = found.get(name)
        if text is not None and (len(text) > 200 or "\x00" in text or (not text.strip() and name != "positive")):
            raise Invalid(f"{name!r} has 1 to 200 characters.")
    for name, most in (("segments", SEGMENTS), ("features", FEATURES)):
        if name in found:
            found[name] = list(dict.fromkeys(one.strip() for one in found[name] if one.strip()))
            if len(found[name]) > most or any(len(one) > 200 or "\x00" in one for one in found[name]):
                raise Invalid(f"At most {most} {name}, each the name of a column.")
    cutoff = found.get("cutoff")
    if cutoff is not None and not 1 <= cutoff <= DEEPEST:
        raise Invalid(f"'cutoff' lies between 1 and {DEEPEST:,}.")
    for name, (low, high) in BOUNDS.items():
        value = found.get(name)
        if value is not None and not low <= value <= high:
            raise Invalid(f"{name!r} lies between {low:g} and {high:g}.")
    return found


def set_baseline(actor: Actor, system: System, environment: str, start: datetime, end: datetime) -> Baseline:
    """Of the mature hours of a period."""
    actor.require(Role.OPERATOR, system.client.slug)
    if (
        any(at.minute or at.second or at.microsecond for at in (start, end))
        or not timedelta(0) < end - start <= LONGEST
    ):
        raise Invalid(f"A period is of whole hours, at most {LONGEST.days} days.", "From 2026-03-01T00:00:00Z, say.")
    place = place_of(system, environment)
    now = clock.now()
    task = Task.objects.filter(system=system, environment=environment).first()
    if task is None:
        raise NotFound(f"No predictions of {system.name} in {environment} are kept.")
    hours = [one for one in judging.view(place, task, now).hours if start <= one.start < end]
    if any(not one.mature for one in hours):
        raise Conflict("Labels of the period still come.", "Choose an earlier one, or declare the delay of labels.")
    whole = tally.total([one.tally for one in hours])
    if whole.judged < LEAST:
        raise Invalid(f"A baseline needs {LEAST} labels; the period has {whole.judged}.", "Choose a longer one.")
    with transaction.atomic():
        place_locked(system.client.slug, system.key, environment, now)
        made = duties.make_baseline(place, task, hours, whole, now, actor.name)
        Place.objects.filter(pk=place.pk).update(judged_at=None)
        told = {"system": system.key, "environment": environment, "version": made.version, "labelled": made.labelled}
        period = {"from": made.starts_at.isoformat(), "to": made.ends_at.isoformat()}
        record(actor, "performance.baseline", f"baseline/{made.pk}", system.client.slug, {**told, **period})
    return made


def source_of(system: System, pk: int) -> Source:
    found = Source.objects.select_related("place").filter(pk=pk, place__system=system).first()
    if found is None:
        raise NotFound(f"{system.name} has no source of labels {pk}.")
    return found


def stop(actor: Actor, system: System, pk: int, why: str) -> Source:
    """Nothing is learnt or judged from its labels any more; they are kept and shown."""
    actor.require(Role.OPERATOR, system.client.slug)
    why = why.strip()
    if not why or len(why) > 2_000 or "\x00" in why:
        raise Invalid("Say why, in up to 2,000 characters.")
    return set_aside(actor, system, source_of(system, pk), why)


@transaction.atomic
def set_aside(actor: Actor, system: System, source: Source, why: str) -> Source:
    now = clock.now()
    if not Source.objects.filter(pk=source.pk, stopped_at=None).update(
        stopped_at=now, stopped_by=actor.name[:200], stopped_why=why
    ):
        return source_of(system, source.pk)
    _changed(actor, system, source, "labels.source.stopped", {"why": why}, now)
    return source_of(system, source.pk)


@transaction.atomic
def resume(actor: Actor, system: System, pk: int) -> Source:
    actor.require(Role.OPERATOR, system.client.slug)
    source = source_of(system, pk)
    before = Source.objects.filter(pk=pk).exclude(stopped_at=None)
    if before.update(stopped_at=None, stopped_by="", stopped_why="", resumed_at=clock.now()):
        _changed(actor, system, source, "labels.source.resumed", {}, clock.now())
    return source_of(system, pk)


def _changed(actor: Actor, system: System, source: Source, deed: str, told: dict[str, Any], now: datetime) -> None:
    _count_anew(source.place, now)
    Place.objects.filter(pk=source.place_id).update(judged_at=None)
    said = {"system": system.key, "environment": source.place.environment, "source": source.name, **told}
    record(actor, deed, f"source/{source.pk}", system.client.slug, said)
