"""Hours added up: the predictions that are kept of an hour, and of each the label that counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.labels.models import Baseline, Hour, Match, Place, Source
from afterlaunch.performance import expecting, rankings, sampling, tally
from afterlaunch.performance.crossing import Coded, Said
from afterlaunch.performance.expecting import Column, Expecting
from afterlaunch.performance.tally import CONFIDENCE, PROBABILITY, Classified, Measured, Tally
from afterlaunch.predictions.actions import as_task
from afterlaunch.predictions.columns import Columns, Texts, joined, unpack
from afterlaunch.predictions.instants import microseconds
from afterlaunch.predictions.keeping import CONTENT, LATENCY, RANKING, REGRESSION, Task, features_in, segments_in
from afterlaunch.predictions.models import Kept
from afterlaunch.predictions.models import Task as Declared
from afterlaunch.profiles.hashing import Array

Sourced = tuple[str, Array, Coded, Array]  # source, rows (ascending), labels, times
AT_ONCE = 100  # hours of one pass
RESTATED = 20  # earlier words of a final hour that are kept


def add_up(place: Place, declared: Declared, now: datetime) -> bool:
    """The hours that are due, the oldest wait first. True: there is more. The task is read after the hours: one that
    is declared later touches them."""
    rows = Hour.objects.filter(place=place, due_at__lte=now).order_by("due_at", "start")
    hours = list(rows[: AT_ONCE + 1])
    stopped = stopped_sources(place)
    declared.refresh_from_db()
    task, at = as_task(declared), max(now, declared.noted_at)
    by = _expecting(place, declared)
    for hour in hours[:AT_ONCE]:
        found = tally_of(place, hour, task, stopped, by)
        _keep(hour, found, at)
    return len(hours) > AT_ONCE


def stopped_sources(place: Place) -> set[str]:
    return set(Source.objects.filter(place=place).exclude(stopped_at=None).values_list("name", flat=True))


By = tuple[int, Expecting] | None  # a baseline, and its model of errors


def _expecting(place: Place, declared: Declared) -> By:
    row = Baseline.objects.filter(place=place, made_at__gte=declared.noted_at).first()
    if row is None or row.expecting is None:
        return None
    return row.pk, expecting.unpack(bytes(row.expecting))


@transaction.atomic
def _keep(hour: Hour, found: Tally | None, now: datetime) -> None:
    """Not where something was told of it meanwhile: it is added up again in the next pass. Where its predictions are
    not kept any more, what it added up to stays."""
    same = Hour.objects.filter(pk=hour.pk, touched=hour.touched)
    if found is None or found.rows < hour.rows:
        same.update(due_at=None)
        return
    restated = hour.restated
    if hour.final_at is not None and hour.tally is not None and found.labelled:
        before = tally.unpack(bytes(hour.tally))
        if (before.labelled, before.correct) != (found.labelled, found.correct) or not before.classified:
            told = {"until": now.isoformat(), "rows": before.rows, "labelled": before.labelled}
            restated = [*restated, told | _said(before)][-RESTATED:]
    same.update(
        due_at=None,
        tallied_at=now,
        tally=tally.pack(found),
        rows=found.rows,
        labelled=found.labelled,
        restated=restated,
    )


def _said(before: Tally) -> dict[str, float]:
    if before.is_ranking:
        count = before.judged
        return {"ndcg": float(before.queries[2]) / count} if count else {}
    if before.is_regression:
        count = sum(before.sizes.values())
        return {"mae": float(before.errors[1]) / count} if count else {}
    return {"correct": before.correct}


def tally_of(place: Place, hour: Hour, task: Task, stopped: set[str], by: By = None) -> Tally | None:
    """None: nothing is kept of it."""
    found = read(place, hour, stopped)
    return _added(task, found, by) if found else None


@dataclass(frozen=True)
class Read:
    """What is kept of an hour's predictions, and what each source that counts says of them."""

    start: datetime
    columns: Columns
    sourced: list[Sourced]
    rows: int


def read(place: Place, hour: Hour, stopped: set[str]) -> Read | None:
    """None: nothing is kept of it."""
    kept = _kept(place, hour)
    parts = [(np.frombuffer(bytes(one.ids), "<u8"), unpack(bytes(one.columns))) for one in kept]
    if not parts:
        return None
    ids = np.concatenate([one for one, _ in parts])
    columns = joined([one for _, one in parts])
    ids, first = np.unique(ids, return_index=True)  # one that was sent twice counts as it came first
    columns = {name: one.take(first) if isinstance(one, Texts) else one[first] for name, one in columns.items()}
    matches = [
        unpack(bytes(one)) for one in Match.objects.filter(hour=hour).order_by("pk").values_list("columns", flat=True)
    ]
    sourced = newest_of(ids, joined(matches)) if matches else []
    return Read(hour.start, columns, [one for one in sourced if one[0] not in stopped], len(ids))


def _kept(place: Place, hour: Hour) -> QuerySet[Kept]:
    rows = Kept.objects.filter(system=place.system_id, environment=place.environment, hour=hour.start)
    return rows.filter(model_version=hour.model_version).order_by("pk")


def newest_of(ids: Array, matches: Columns) -> list[Sourced]:
    """What each source says now: of several labels the latest by its time, then by when it came."""
    bits, times, batches, rows = (_numbers(matches, name) for name in ("id", "time", "batch", "row"))
    labels, sources = matches["label"], matches["source"]
    assert isinstance(labels, Texts) and isinstance(sources, Texts)
    at = np.minimum(np.searchsorted(ids, bits), len(ids) - 1)
    order = np.lexsort((rows, batches, times, at, sources.codes))
    order = order[ids[at[order]] == bits[order]]
    found = []
    for code, name in enumerate(sources.values):
        mine = order[sources.codes[order] == code]
        last = np.append(at[mine][1:] != at[mine][:-1], True)[: len(mine)]
        kept = mine[last]
        if len(kept):
            found.append((name, at[kept], Coded(labels.values, labels.codes[kept]), times[kept]))
    return sorted(found, key=lambda one: one[0])


def counted(count: int, sourced: list[Sourced]) -> tuple[Coded, Array]:
    """Of every row the label that counts, that of the newest time, and the time of the first one (0: none)."""
    values: list[str] = sourced[0][2].values if sourced else []
    codes, newest = np.full(count, -1, np.int64), np.full(count, np.iinfo(np.int64).min)
    first = np.full(count, np.iinfo(np.int64).max)
    for _, rows, labels, times in sourced:
        later = times > newest[rows]
        codes[rows[later]], newest[rows[later]] = labels.codes[later], times[later]
        first[rows] = np.minimum(first[rows], times)
    return Coded(values, codes), np.where(codes >= 0, first, 0)


def _numbers(columns: Columns, name: str) -> Array:
    found = columns[name]
    assert not isinstance(found, Texts)
    return found


def _added(task: Task, found: Read, by: By) -> Tally:
    added = _counted(task, found, by)
    if LATENCY in found.columns:
        added.latency = tally.latency_cells(_numbers(found.columns, LATENCY).astype(np.float64))
    return added


def _counted(task: Task, found: Read, by: By) -> Tally:
    columns, sourced, rows = found.columns, found.sourced, found.rows
    labels, times = counted(rows, sourced)
    made = microseconds(found.start) + _numbers(columns, "time").astype(np.int64) * 1_000
    lags = np.where(labels.codes >= 0, (times - made) / 1e6, np.nan)
    segments = {name: _coded(one) for name, one in segments_in(columns)}
    output = columns["output"]
    if task.kind == REGRESSION:
        given, values, told = quantities(task, found)
        added = tally.measured(Measured(values, told, lags, segments))
        if by is not None and all(name in given for name in by[1].names):
            known = [given[name] for name in by[1].names]
            added.expected, added.large_cells = by[1].sums(known)
            added.expected_by = by[0]
        return added
    if task.kind == RANKING:
        queries = columns.get("query")
        if queries is None or isinstance(queries, Texts) or queries.dtype.kind != "u":
            return Tally(rows=rows, cutoff=task.cutoff)  # kept before it was declared a ranking
        values = _as_floats(_coded(output)) if isinstance(output, Texts) else output
        items = columns.get("item")
        if items is None or isinstance(items, Texts) or items.dtype.kind != "u":
            items = None
        grades = _as_floats(labels)
        return rankings.ranked(rankings.Shown(queries, values, grades, lags, task.cutoff, segments, items))
    outputs = _coded(output) if isinstance(output, Texts) else _as_texts(output)
    scores, speaks_of = _scores(task, columns, outputs, rows)
    said = tuple(Said(name, at, each) for name, at, each, _ in sourced)
    added = tally.classified(Classified(outputs, labels, lags, scores, speaks_of, task.positive, segments, said))
    added.contents, added.contents_below = _contents(columns, labels, rows, sourced)
    return added


def _contents(columns: Columns, labels: Coded, rows: int, sourced: list[Sourced]) -> tuple[sampling.Contents, float]:
    """What labels the same features got, from whom: of each prediction the label that counts."""
    bits = columns.get(CONTENT)
    if bits is None or isinstance(bits, Texts) or bits.dtype.kind != "u":
        return {}, 1.0  # kept before contents were
    by, newest = np.full(rows, -1), np.full(rows, np.iinfo(np.int64).min)
    for place, (_, at, _, times) in enumerate(sourced):
        later = times > newest[at]
        by[at[later]], newest[at[later]] = place, times[later]
    there = np.flatnonzero((labels.codes >= 0) & (by >= 0) & (bits != 0))
    pairs = zip(by[there].tolist(), labels.codes[there].tolist(), strict=True)
    return sampling.sampled(bits[there], [f"{sourced[one][0]}\t{labels.values[code]}" for one, code in pairs])


def quantities(task: Task, found: Read) -> tuple[dict[str, Column], Array, Array]:
    """What errors are expected from, the outputs, and their labels."""
    output = found.columns["output"]
    values = output if not isinstance(output, Texts) else _as_floats(_coded(output))
    given: dict[str, Column] = {task.output: values, **dict(features_in(found.columns))}
    given |= {name: _coded(one) for name, one in segments_in(found.columns)}
    return given, values, _as_floats(counted(found.rows, found.sourced)[0])


def _coded(texts: Texts) -> Coded:
    return Coded(texts.values, texts.codes)


def _as_floats(coded: Coded) -> Array:
    """Labels that are no numbers are none."""
    return np.array([*map(_float, coded.values), np.nan])[coded.codes]


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _as_texts(numbers: Array) -> Coded:
    values, codes = np.unique(np.where(np.isfinite(numbers), numbers, np.inf), return_inverse=True)
    names = [str(int(one)) if np.isfinite(one) and one == int(one) else str(one) for one in values.tolist()]
    return Coded(names, np.where(np.isfinite(numbers), codes, -1))


def _scores(task: Task, columns: Columns, outputs: Coded, rows: int) -> tuple[Array, str]:
    """Confidences of two classes are probabilities of the positive one."""
    if PROBABILITY in columns:
        return _numbers(columns, PROBABILITY).astype(np.float64), PROBABILITY if task.positive else ""
    if CONFIDENCE not in columns:
        return np.full(rows, np.nan), ""
    scores = _numbers(columns, CONFIDENCE).astype(np.float64)
    others = [value for value in outputs.values if value != task.positive]
    if not task.positive or len(others) > 1:
        return scores, CONFIDENCE
    place = outputs.values.index(task.positive) if task.positive in outputs.values else -2
    return np.where(outputs.codes == place, scores, 1 - scores), PROBABILITY


def hours_of(place: Place, since: datetime) -> Iterator[Hour]:
    return Hour.objects.filter(place=place, start__gte=since).exclude(tally=None).order_by("start").iterator(200)
