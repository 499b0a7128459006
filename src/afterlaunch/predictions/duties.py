"""Closed hours are judged in their order. What came late is judged again, and everything after it: the state of an hour
is a function of the profiles before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Sum

from afterlaunch.drift import slices
from afterlaunch.drift.false_alarms import together
from afterlaunch.estate.models import System
from afterlaunch.ground.settings import settings
from afterlaunch.predictions import importance, judging, packed, rhythms, slicing, standing, upstream, weekly
from afterlaunch.predictions.actions import HOUR, all_in_force, cut_of, hour_of, layouts_of
from afterlaunch.predictions.judging import Followed, Known
from afterlaunch.predictions.models import Batch, Hour, Kept, Part, Reference
from afterlaunch.predictions.packed import Layouts, Profiles
from afterlaunch.predictions.rules import IMPORTANCE, INPUT, finding, nothing_yet
from afterlaunch.predictions.slicing import Cut
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.words import Finding, Named, Scope, Status

LATENESS = timedelta(minutes=15)
AT_ONCE = 48  # hours of one version in one pass
PARTS_KEPT, HOURS_KEPT, BATCHES_KEPT = timedelta(days=3), timedelta(days=400), timedelta(days=92)
SLICES_KEPT = timedelta(days=92)
SUMMED_UP = 2_000  # parts that one pass looks at


def judge(now: datetime) -> None:
    """Of every reference in force the hours that are due, then a verdict for each."""
    findings: list[tuple[Scope, Named, Finding]] = []
    for reference in all_in_force():
        due = Hour.objects.filter(reference=reference, due=True, start__lte=now - HOUR - LATENESS)
        versions = list(due.order_by("model_version").values_list("model_version", flat=True).distinct())
        for version in versions:
            _follow(reference, version, now)
        if versions:
            rhythms.learn(reference, layouts_of(reference.pk, reference.digest), now)
        scope = Scope(reference.system.client.slug, reference.system.key, reference.environment)
        findings.append((scope, INPUT, _finding(reference, now)))
        if (ranks := importance.finding(reference, now)) is not None:
            findings.append((scope, IMPORTANCE, ranks))
    with transaction.atomic():
        watch.write(findings, now, (INPUT,))


def _finding(reference: Reference, now: datetime) -> Finding:
    judged = Hour.objects.filter(reference=reference).exclude(judged_at=None)
    newest = judged.order_by("-start").values_list("start", flat=True).first()
    if newest is None:
        return nothing_yet()
    told = judged.filter(start=newest).order_by("model_version")
    rows = told.values_list("status", "why", "rows", "model_version", "features")
    several = len(rows) > 1
    hours = [(status, f"Version {name or '(none)'}: {why}" if several else why, n) for status, why, n, name, _ in rows]
    found = finding(hours, newest, now, together(judging.false_alarms_of(one) for *_, one in rows))
    if found.status is not Status.BREACH:
        return found
    version = next(name for status, _, _, name, _ in rows if status == "breach")
    return _with_upstream(reference, _with_slice(reference, version, newest, found))


def _with_slice(reference: Reference, version: str, newest: datetime, found: Finding) -> Finding:
    """Which slice carries the drift of the first feature that is named."""
    hour = Hour.objects.filter(reference=reference, model_version=version, start=newest).first()
    drifted = [one for one in hour.features if one["status"] == "breach"] if hour else []
    if not drifted:
        return found
    said = slices.told(standing.slices_of(reference, version, newest, drifted[0]["name"]).found)
    return replace(found, explanation=f"{found.explanation} {said}") if said else found


def _with_upstream(reference: Reference, found: Finding) -> Finding:
    """What changed upstream when it began, in the same sentence."""
    rows = Hour.objects.filter(reference=reference).exclude(judged_at=None).order_by("-start")
    whole = dict[datetime, str]()
    for start, status in rows.values_list("start", "status")[:500]:
        whole[start] = min(status, whole.get(start, status), key=("breach", "warning", "ok", "not_assessed").index)
    since = upstream.began(whole.items())
    told = upstream.events(reference.system, reference.environment, since) if since else []
    if not told:
        return found
    said = f"{found.explanation} Upstream at that time: {told[0].system}, {told[0].what}: {told[0].words}"
    return replace(found, explanation=said, evidence={**found.evidence, "upstream": told[0].what})


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
    rhythm, by = weekly.of(reference), cut_of(reference.pk, reference.digest)
    last = before.start if before else None
    for hour in hours[:AT_ONCE]:
        if rhythm and weekly.begins(rhythm, last, hour.start):
            followed = judging.begun_anew(followed, known, rhythm.features)
        compared = weekly.known_at(known, rhythm, reference, hour.start)
        followed, last = _judged(hour, compared, followed, layouts, by, now), hour.start
    _keep(hours[:AT_ONCE], touched, following)


def known_of(reference: Reference, layouts: Layouts) -> Known:
    return judging.known(packed.unpack(bytes(reference.profile), layouts))


def _judged(hour: Hour, known: Known, before: Followed, layouts: Layouts, by: Cut | None, now: datetime) -> Followed:
    """Fills the row; what stands in the database is not altered."""
    if hour.due or hour.profile is None:
        hour.slices = _sliced(hour, by)
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
    found = packed.unpack(bytes(hour.base), layouts) if hour.base is not None else packed.empty(layouts)
    rows = hour.base_rows
    for part in parts.order_by("pk").iterator(100):
        found = packed.merge(found, packed.unpack(bytes(part.profile), layouts))
        rows += part.rows
    hour.rows = rows
    return found


def _sliced(hour: Hour, by: Cut | None) -> bytes | None:
    """The parts of the hour as one; None where some of them were received before there were slices."""
    if by is None:
        return None
    parts = Part.objects.filter(
        reference=hour.reference_id,
        model_version=hour.model_version,
        window__gte=hour.start,
        window__lt=hour.start + HOUR,
    )
    bodies = list(parts.order_by("pk").values_list("slices", flat=True))
    if hour.base is not None:
        bodies.append(hour.base_slices)
    if any(body is None for body in bodies):
        return None
    total = by.empty()
    for body in bodies:
        total += slicing.unpack(bytes(body or b""), by)
    return slicing.pack(total)


FILLED = ("status", "why", "features", "profile", "slices", "state", "judged_at", "due", "rows")


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


def forget(now: datetime) -> bool:
    """Kept predictions beyond their days, and the oldest of a system that keeps more than it may; parts that hours have
    long summed up, hours, and keys of bodies. Whether there is more to do."""
    more = _sum_up(now)
    Hour.objects.filter(start__lt=now - HOURS_KEPT, due=False).delete()
    Hour.objects.filter(start__lt=now - SLICES_KEPT, due=False).exclude(slices=None).update(
        slices=None, base_slices=None
    )
    old = Batch.objects.filter(received_at__lt=now - BATCHES_KEPT, parts=None, kept=None)
    Batch.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:10_000])).delete()
    Kept.objects.filter(hour__lt=now - timedelta(days=settings().number("PREDICTIONS_KEEP_DAYS"))).delete()
    most = int(settings().number("PREDICTIONS_KEEP_MB") * 2**20)
    weights = Kept.objects.order_by("system").values_list("system").annotate(Sum("weight"))
    for system, weight in weights:
        if weight > most:
            _forget_oldest(System.objects.get(pk=system), weight - most)
    return more


def _sum_up(now: datetime) -> bool:
    """Parts of judged hours become the hour's base, to which later rows are added; those of references that are no
    longer in force go. Whether more wait."""
    old = Part.objects.filter(window__lt=now - PARTS_KEPT)
    in_force = [one.pk for one in all_in_force()]
    gone = old.exclude(reference__in=in_force).values_list("pk", flat=True)[:SUMMED_UP]
    Part.objects.filter(pk__in=list(gone)).delete()
    windows = list(old.filter(reference__in=in_force).order_by("window").values_list("window", flat=True)[:SUMMED_UP])
    hours = Hour.objects.filter(start__in={hour_of(window) for window in windows}, due=False).exclude(profile=None)
    summed = [_based(pk) for pk in list(hours.values_list("pk", flat=True))]
    return len(windows) == SUMMED_UP and any(summed)


@transaction.atomic
def _based(pk: int) -> bool:
    """A body that tells of the hour touches it in its own transaction: one of us waits for the other."""
    hour = Hour.objects.select_for_update().filter(pk=pk, due=False).first()
    if hour is None:
        return False
    place = {"reference": hour.reference_id, "model_version": hour.model_version}
    parts = Part.objects.filter(**place, window__gte=hour.start, window__lt=hour.start + HOUR)
    hour.base, hour.base_rows, hour.base_slices = hour.profile, hour.rows, hour.slices
    hour.save(update_fields=["base", "base_rows", "base_slices"])
    return parts.delete()[0] > 0


def _forget_oldest(system: System, too_much: int) -> None:
    """Whole hours, so that what is left of an hour is all of it."""
    rows = Kept.objects.filter(system=system).order_by("hour").values_list("hour", "weight")
    until = None
    for hour, weight in rows.iterator(1000):
        if too_much <= 0 and hour != until:
            break
        until, too_much = hour, too_much - weight
    Kept.objects.filter(system=system, hour__lte=until).delete()
