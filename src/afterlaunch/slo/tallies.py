"""Events that no rollup counts, summed in ten minutes: what is older than six hours is counted once and kept.

The last six hours are read raw in every cycle. Older ones are tallied when they leave these hours, once more every hour
for a week, since labels come late, and backwards over the period when an SLO is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import transaction
from django.db.models import Q, Sum

from afterlaunch.ground import clock
from afterlaunch.slo import periods
from afterlaunch.slo.durations import DAY, MINUTE
from afterlaunch.slo.measures import QUALITY, Measure
from afterlaunch.slo.models import SloVersion, Tallied, Tally
from afterlaunch.telemetry.queries import minute_of
from afterlaunch.telemetry.tables import MINUTE_NS
from afterlaunch.telemetry.told_events import Evaluated, LookUp, evaluated, look_ups

FINE, STEP = 6 * 60, 10
LATE = 7 * DAY // MINUTE
BACKWARDS = 5 * DAY // MINUTE
AGAIN = timedelta(hours=1)
HUMAN = frozenset(("user_feedback", "human_rating", "human"))
"""Evaluations of these names are final: a person gave them."""
Made = tuple[int, int, int, int, int]
"""Start, total, bad, final, final bad."""


def buckets(versions: Sequence[SloVersion], now: datetime, bounds: Mapping[int, list[int]]) -> dict[int, list[Made]]:
    """By version: of the last six hours one a minute, of the older time one between each two bounds."""
    if not versions:
        return {}
    end = minute_of(now) + 1
    seam = (end - FINE) // STEP * STEP
    recent = _told(versions, seam, end, now)
    out: dict[int, list[Made]] = {}
    older = _kept(versions, bounds, seam)
    for version in versions:
        out[version.pk] = [*older.get(version.pk, []), *_minutes(recent[version.pk], 1)]
    return out


def recent(version: SloVersion, now: datetime) -> list[Made]:
    """The last six hours of one version, by the minute."""
    end = minute_of(now) + 1
    return _minutes(_told([version], (end - FINE) // STEP * STEP, end, now)[version.pk], 1)


def _kept(versions: Sequence[SloVersion], bounds: Mapping[int, list[int]], seam: int) -> dict[int, list[Made]]:
    """One question for all of them."""
    edges = sorted({one for version in versions for one in bounds[version.pk] if one < seam} | {seam})
    pieces = list(pairwise(edges))
    if not pieces:
        return {}
    sums = {
        f"{name}_{number}": Sum(name, filter=Q(minute__gte=first, minute__lt=last))
        for number, (first, last) in enumerate(pieces)
        for name in ("total", "bad", "final", "final_bad")
    }
    rows = Tally.objects.filter(version__in=[one.pk for one in versions], minute__lt=seam, minute__gte=edges[0])
    out: dict[int, list[Made]] = {}
    found: Any = rows.order_by().values("version").annotate(**sums)
    for row in found:

        def told(name: str, number: int, row: Mapping[str, int | None] = row) -> int:
            return row[f"{name}_{number}"] or 0

        out[row["version"]] = [
            (first, told("total", n), told("bad", n), told("final", n), told("final_bad", n))
            for n, (first, _) in enumerate(pieces)
        ]
    return out


Events = dict[str, tuple[int, bool | None, bool | None]]
"""Answer -> (minute, good by its automatic judge, good by a person)."""


def _told(versions: Sequence[SloVersion], first: int, last: int, now: datetime) -> dict[int, Events]:
    """At most three questions for all versions together."""
    kinds = {one.definition.measure.kind for one in versions}
    bounds = (first * MINUTE_NS, last * MINUTE_NS)
    answers = evaluated(*bounds, clock.to_ns(now) + MINUTE_NS) if QUALITY in kinds else []
    found = look_ups(*bounds) if kinds - {QUALITY} else []
    by_place: dict[tuple[Any, ...], tuple[list[Evaluated], list[LookUp]]] = {}
    for answer in answers:
        key = (answer.client, answer.system, answer.environment)
        by_place.setdefault(key, ([], []))[0].append(answer)
    for one in found:
        by_place.setdefault((one.client, one.system, one.environment), ([], []))[1].append(one)
    out: dict[int, Events] = {}
    for version in versions:
        measure = version.definition.measure
        place = by_place.get((version.slo.client.slug, measure.system, measure.environment), ([], []))
        out[version.pk] = answered(place[0], measure) if measure.kind == QUALITY else aged(place[1], measure)
    return out


def answered(rows: Iterable[Evaluated], measure: Measure) -> Events:
    """One event for each answer; the worst of several labels of one name, a person's before a judge's."""
    out: Events = {}
    for row in rows:
        if (measure.route and row.route != measure.route) or (measure.model and row.model != measure.model):
            continue
        final = row.name == measure.final_evaluation or (row.name in HUMAN and row.name == measure.evaluation)
        if not final and measure.evaluation and row.name != measure.evaluation:
            continue
        good = measure.good(row.score, row.label)
        if good is None:
            continue
        minute, judged, rated = out.get(row.answer, (row.occurred_ns // MINUTE_NS, None, None))
        if final:
            rated = good if rated is None else rated and good
        else:
            judged = good if judged is None else judged and good
        out[row.answer] = (minute, judged, rated)
    return out


def aged(rows: Iterable[LookUp], measure: Measure) -> Events:
    out: Events = {}
    for number, row in enumerate(rows):
        if (measure.route and row.route != measure.route) or (measure.model and row.model != measure.model):
            continue
        out[str(number)] = (row.occurred_ns // MINUTE_NS, None, measure.good(row.age_s, None))
    return out


def _minutes(events: Events, step: int) -> list[Made]:
    found: dict[int, list[int]] = {}
    for minute, judged, rated in events.values():
        row = found.setdefault(minute // step * step, [0, 0, 0, 0])
        good = judged if rated is None else rated
        row[0] += 1
        row[1] += not good
        if rated is not None:
            row[2] += 1
            row[3] += not rated
    return [(start, row[0], row[1], row[2], row[3]) for start, row in sorted(found.items())]


# -- making them -------------------------------------------------------------------------------------------------


def tally(versions: Sequence[SloVersion], now: datetime) -> None:
    """What every cycle does; nothing is read where nothing is due."""
    seam = (minute_of(now) + 1 - FINE) // STEP * STEP
    state = {one.version_id: one for one in Tallied.objects.filter(version__in=[one.pk for one in versions])}
    work: dict[tuple[int, int], list[SloVersion]] = {}
    for version in versions:
        known = state.get(version.pk)
        if known is None:
            known = Tallied(version=version, first=seam, last=seam, looked_back_at=now)
            state[version.pk] = known
        start = minute_of(periods.bounds(version.definition.period, now)[0]) // STEP * STEP
        if known.last < seam:
            work.setdefault((max(known.last, start), seam), []).append(version)
            known.last = seam
        if known.first > start:
            begin = max(start, known.first - BACKWARDS)
            work.setdefault((begin, known.first), []).append(version)
            known.first = begin
        if now - known.looked_back_at >= AGAIN:
            work.setdefault((max(known.first, known.last - LATE), known.last), []).append(version)
            known.looked_back_at = now
    for (first, last), some in work.items():
        for begin in range(first, last, DAY // MINUTE):
            _write(some, begin, min(last, begin + DAY // MINUTE), now)
    for known in state.values():
        known.save()


@transaction.atomic
def _write(versions: Sequence[SloVersion], first: int, last: int, now: datetime) -> None:
    told = _told(versions, first, last, now)
    Tally.objects.filter(version__in=[one.pk for one in versions], minute__gte=first, minute__lt=last).delete()
    Tally.objects.bulk_create(
        Tally(version=version, minute=start, total=total, bad=bad, final=final, final_bad=final_bad)
        for version in versions
        for start, total, bad, final, final_bad in _minutes(told[version.pk], STEP)
    )
