"""Closed hours are described once, and again where calls came late; then judged in their order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from afterlaunch.answers import embedding, folding, gathering, judging, layouts, references, rules
from afterlaunch.answers.gathering import HOUR, Place
from afterlaunch.answers.judging import DAY, WEEK, Content, last_day
from afterlaunch.answers.models import Hour, Reference, ReferencePart
from afterlaunch.answers.rules import OUTPUT
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.predictions import judging as followed
from afterlaunch.predictions import packed
from afterlaunch.predictions.packed import Profiles
from afterlaunch.telemetry.keeping.actions import rules as keeping_rules
from afterlaunch.telemetry.keeping.content import OFF
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.words import Finding, Named, Scope

LATENESS = timedelta(minutes=15)
BACK = 168  # hours that are described, and described again where calls came late: also after a standstill
SETTLED = timedelta(minutes=15)  # between two descriptions of an hour
SECONDS = 20.0  # of one pass
AGAIN = timedelta(days=7)  # so far back is judged anew against another reference
LOOKED_AT = timedelta(days=8)  # a system that was silent for longer keeps its last verdict, which says so
AT_ONCE = 48
KEEP_WHOLE, KEEP_SLICES = timedelta(days=400), timedelta(days=92)


def describe(now: datetime) -> bool:
    """Whether time ran out before the work."""
    passed = clock.stopwatch()
    end = (now - LATENESS).replace(minute=0, second=0, microsecond=0)
    told = gathering.hourly(end - HOUR * BACK, BACK)
    systems = {(one.client.slug, one.key): one for one in System.objects.select_related("client")}
    for start, place, calls in sorted(_lacking(told, systems, now)):
        if passed() > SECONDS:
            return True
        _describe(systems[place[:2]], place, start, calls, now)
    return False


def _lacking(
    told: dict[Place, dict[datetime, int]], systems: dict[tuple[str, str], System], now: datetime
) -> Iterable[tuple[datetime, Place, int]]:
    first = min((start for hours in told.values() for start in hours), default=now)
    rows = Hour.objects.filter(slice="", start__gte=first, cells=layouts.cells())
    known = {
        (system, environment, start): (calls, at)
        for system, environment, start, calls, at in rows.values_list(
            "system_id", "environment", "start", "calls", "described_at"
        )
    }
    for place, hours in told.items():
        system = systems.get(place[:2])
        for start, calls in hours.items() if system else ():
            before = known.get((system.pk, place[2], start)) if system else None
            if before is None or (before[0] != calls and now - before[1] >= SETTLED):
                yield start, place, calls


def _describe(system: System, place: Place, start: datetime, calls: int, now: datetime) -> None:
    folded = folding.fold(gathering.sample(place, start))
    rows = [
        Hour(
            system=system,
            environment=place[2],
            slice=one.slice,
            start=start,
            cells=layouts.cells(),
            calls=calls,
            answers=one.answers,
            with_content=one.with_content,
            profile=packed.pack(one.profiles),
            described_at=now,
        )
        for one in folded
    ]
    with transaction.atomic():
        System.objects.select_for_update().get(pk=system.pk)
        Hour.objects.filter(system=system, environment=place[2], start=start).delete()
        Hour.objects.bulk_create(rows, batch_size=20)


def judge(now: datetime) -> None:
    """What was described and not judged yet; then a verdict for each system and environment."""
    findings: list[tuple[Scope, Named, Finding]] = []
    lately = Hour.objects.filter(slice="", cells=layouts.cells(), start__gte=now - LOOKED_AT)
    places = lately.values_list("system_id", "environment").distinct().order_by()
    systems = System.objects.select_related("client").in_bulk({system for system, _ in places})
    capture = keeping_rules()
    for pk, environment in sorted(places):
        system = systems[pk]
        captured = capture.of(system.client.slug, system.key).capture != OFF
        scope = Scope(system.client.slug, system.key, environment)
        findings.append((scope, OUTPUT, _judged(system, environment, captured, now)))
    with transaction.atomic():
        watch.write(findings, now)


def _judged(system: System, environment: str, captured: bool, now: datetime) -> Finding:
    reference = references.in_force(system, environment)
    if reference is None:
        reference, answers, until = references.learn(system, environment)
        if reference is None:
            return rules.learning(answers, references.LEARNT, until or now)
    rows = Hour.objects.filter(system=system, environment=environment, cells=layouts.cells())
    parts = ReferencePart.objects.filter(reference=reference, answers__gte=references.LEAST)
    for part in parts.filter(slice__in=_stale(rows, reference, now)):
        _follow(system, environment, reference, part, captured, now)
    whole = rows.filter(slice="", reference=reference)
    newest = whole.exclude(judged_at=None).order_by("-start").first()
    if newest is None:
        return rules.first_day(reference.ends_at)
    expected = followed.false_alarms_of(newest.features)
    why = f"{newest.why} {embedding.why_not()}".strip()
    return rules.finding(newest.status, why, newest.compared, newest.start, now, expected)


def _stale(rows: QuerySet[Hour], reference: Reference, now: datetime) -> list[str]:
    """Slices with hours that are due, or were judged by another reference."""
    mine = rows.filter(start__gte=max(reference.ends_at, now - AGAIN))
    stale = mine.filter(Q(due=True) | Q(reference=None) | ~Q(reference=reference))
    return list(stale.order_by("slice").values_list("slice", flat=True).distinct())


def _follow(
    system: System, environment: str, reference: Reference, part: ReferencePart, captured: bool, now: datetime
) -> None:
    """From the first hour that is due on, or was judged by another reference. An hour's state is a function of the
    hours before it."""
    rows = Hour.objects.filter(system=system, environment=environment, slice=part.slice, cells=layouts.cells())
    since = max(reference.ends_at, now - AGAIN)
    mine = rows.filter(start__gte=since).order_by("start")
    stale = mine.filter(Q(due=True) | Q(reference=None) | ~Q(reference=reference))
    first = stale.order_by("start").values_list("start", flat=True).first()
    if first is None:
        return
    known = followed.known(packed.unpack(bytes(part.profile), layouts.in_force()))
    before = rows.filter(start__lt=first, reference=reference).exclude(judged_at=None).order_by("-start").first()
    state = followed.from_bytes(bytes(before.state or b""), known) if before else followed.fresh(known)
    last = list(rows.filter(start__gte=max(reference.ends_at, first - HOUR * WEEK), start__lt=first).order_by("start"))
    hours = list(mine.filter(start__gte=first)[:AT_ONCE])
    unpacked = {hour.pk: packed.unpack(bytes(hour.profile), layouts.in_force()) for hour in [*last, *hours]}
    for at, hour in enumerate(hours):
        past = [*last, *hours[: at + 1]]
        chosen = last_day([(one.start, one.answers, one) for one in past])
        if hour.start + HOUR - reference.ends_at < HOUR * DAY:
            chosen = []
        hour.reference, hour.due = reference, False
        if not chosen:
            hour.judged_at = None
            continue
        content = Content(sum(one.answers for one in chosen), sum(one.with_content for one in chosen), captured)
        closes = _day_closed_before(hour, past[:-1], reference)
        day = _merged(unpacked, closes) if closes else None
        state, features = judging.judge(known, state, _merged(unpacked, chosen), day, content)
        hour.status, hour.why = judging.overall(features, content)
        hour.features, hour.state = [one.as_document() for one in features], followed.as_bytes(state)
        hour.compared, hour.judged_at = content.answers, now
    fields = ("reference", "due", "judged_at", "status", "why", "features", "state", "compared")
    with transaction.atomic():
        Hour.objects.bulk_update(hours, fields, batch_size=20)


def _day_closed_before(hour: Hour, past: list[Hour], reference: Reference) -> list[Hour]:
    """The hours of the newest whole day (UTC) before this hour's, told by the first hour of the next one with calls."""
    today = hour.start.replace(hour=0)
    if not past or past[-1].start >= today:
        return []
    day = past[-1].start.replace(hour=0)
    return [one for one in past if one.start >= day] if day >= reference.ends_at else []


def _merged(unpacked: dict[int, Profiles], hours: Iterable[Hour]) -> Profiles:
    found = packed.empty(layouts.in_force())
    for hour in hours:
        found = packed.merge(found, unpacked[hour.pk])
    return found


def forget(now: datetime) -> None:
    Hour.objects.filter(start__lt=now - KEEP_WHOLE).delete()
    Hour.objects.filter(start__lt=now - KEEP_SLICES).exclude(slice="").delete()
