"""Closed hours are judged in their order. What came late is judged again, and everything after it: the state of an hour
is a function of the profiles before it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Sum

from afterlaunch.estate.models import System
from afterlaunch.ground.settings import settings
from afterlaunch.predictions import judging, packed
from afterlaunch.predictions.actions import HOUR, all_in_force, layouts_of
from afterlaunch.predictions.judging import Followed, Known
from afterlaunch.predictions.models import Hour, Kept, Part, Reference
from afterlaunch.predictions.packed import Layouts, Profiles
from afterlaunch.predictions.rules import INPUT, finding, nothing_yet
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.words import Finding, Named, Scope

LATENESS = timedelta(minutes=15)
AT_ONCE = 48  # hours of one version in one pass


def judge(now: datetime) -> None:
    """Of every reference in force the hours that are due, then a verdict for each."""
    findings: list[tuple[Scope, Named, Finding]] = []
    for reference in all_in_force():
        due = Hour.objects.filter(reference=reference, due=True, start__lte=now - HOUR - LATENESS)
        for version in list(due.order_by("model_version").values_list("model_version", flat=True).distinct()):
            _follow(reference, version, now)
        scope = Scope(reference.system.client.slug, reference.system.key, reference.environment)
        findings.append((scope, INPUT, _finding(reference, now)))
    with transaction.atomic():
        watch.write(findings, now, (INPUT,))


def _finding(reference: Reference, now: datetime) -> Finding:
    judged = Hour.objects.filter(reference=reference).exclude(judged_at=None)
    newest = judged.order_by("-start").values_list("start", flat=True).first()
    if newest is None:
        return nothing_yet()
    rows = judged.filter(start=newest).order_by("model_version").values_list("status", "why", "rows", "model_version")
    several = len(rows) > 1
    hours = [(status, f"Version {name or '(none)'}: {why}" if several else why, n) for status, why, n, name in rows]
    return finding(hours, newest, now)


def _follow(reference: Reference, version: str, now: datetime) -> None:
    """From the first hour that is due on, the hours that are closed; the rest in the next pass."""
    rows = Hour.objects.filter(reference=reference, model_version=version, start__lte=now - HOUR - LATENESS)
    first = rows.filter(due=True).order_by("start").values_list("start", flat=True).first()
    if first is None:
        return
    layouts = layouts_of(reference.pk, reference.digest)
    known = known_of(reference, layouts)
    before = rows.filter(start__lt=first).order_by("-start").first()
    followed = judging.from_bytes(bytes(before.state or b""), known) if before else judging.fresh(known)
    hours = list(rows.filter(start__gte=first).order_by("start")[: AT_ONCE + 1])
    following = hours[AT_ONCE].pk if len(hours) > AT_ONCE else None
    touched = {hour.pk: hour.touched for hour in hours}
    for hour in hours[:AT_ONCE]:
        followed = _judged(hour, known, followed, layouts, now)
    _keep(hours[:AT_ONCE], touched, following)


def known_of(reference: Reference, layouts: Layouts) -> Known:
    return judging.known(packed.unpack(bytes(reference.profile), layouts))


def _judged(hour: Hour, known: Known, before: Followed, layouts: Layouts, now: datetime) -> Followed:
    """Fills the row; what stands in the database is not altered."""
    profiles = _profiles(hour, layouts)
    followed, features = judging.judge(known, before, profiles)
    hour.status, hour.why = judging.overall(features)
    hour.features = [one.as_document() for one in features]
    hour.profile, hour.state, hour.judged_at, hour.due = packed.pack(profiles), judging.as_bytes(followed), now, False
    return followed


def _profiles(hour: Hour, layouts: Layouts) -> Profiles:
    """The parts of the hour as one. One that was judged and has had no further part has them already."""
    if not hour.due and hour.profile is not None:
        return packed.unpack(bytes(hour.profile), layouts)
    parts = Part.objects.filter(
        reference=hour.reference_id,
        model_version=hour.model_version,
        window__gte=hour.start,
        window__lt=hour.start + HOUR,
    )
    found, rows = packed.empty(layouts), 0
    for part in parts.order_by("pk").iterator(100):
        found = packed.merge(found, packed.unpack(bytes(part.profile), layouts))
        rows += part.rows
    hour.rows = rows
    return found


FILLED = ("status", "why", "features", "profile", "state", "judged_at", "due", "rows")


@transaction.atomic
def _keep(hours: list[Hour], touched: dict[int, int], following: int | None) -> None:
    """All or none. Where a body told of one of them meanwhile, none: they are judged again in the next pass."""
    rows = Hour.objects.select_for_update().filter(pk__in=list(touched)).order_by("pk")
    now = dict(rows.values_list("pk", "touched"))
    if now != touched:
        return
    Hour.objects.bulk_update(hours, FILLED, batch_size=20)
    if following is not None:
        Hour.objects.filter(pk=following).update(due=True)


def forget(now: datetime) -> None:
    """Kept predictions beyond their days, and the oldest of a system that keeps more than it may."""
    Kept.objects.filter(hour__lt=now - timedelta(days=settings().number("PREDICTIONS_KEEP_DAYS"))).delete()
    most = int(settings().number("PREDICTIONS_KEEP_MB") * 2**20)
    weights = Kept.objects.order_by("system").values_list("system").annotate(Sum("weight"))
    for system, weight in weights:
        if weight > most:
            _forget_oldest(System.objects.get(pk=system), weight - most)


def _forget_oldest(system: System, too_much: int) -> None:
    """Whole hours, so that what is left of an hour is all of it."""
    rows = Kept.objects.filter(system=system).order_by("hour").values_list("hour", "weight")
    until = None
    for hour, weight in rows.iterator(1000):
        if too_much <= 0 and hour != until:
            break
        until, too_much = hour, too_much - weight
    Kept.objects.filter(system=system, hour__lte=until).delete()
