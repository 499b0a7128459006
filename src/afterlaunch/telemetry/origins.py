"""A failure is counted once, where it began: a duty notes which failed spans only passed on what failed below them, and
which failures a retry or a fallback made good (`failing`), and adds that to the rollups.

What is noted of a span is a sum over rows of `failures`, so that late spans correct it by the difference, and the same
rows correct the rollups, in one change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.columns import DIMENSIONS, SPANS
from afterlaunch.telemetry.engines import Changes, Engine
from afterlaunch.telemetry.failing import Course, courses, key_of, steps_of
from afterlaunch.telemetry.failing import Key as Of
from afterlaunch.telemetry.rollups import OF_SPANS, SeriesIds, dimensions_of, operations_of
from afterlaunch.telemetry.tables import FAILURES, MINUTE_NS, NO_LEAF, PROFILE

LONGEST_NS, TRACES = 6 * 3_600 * 10**9, 500
READ = ("client", "trace_id", "span_id", "parent_span_id", "start_ns", "duration_ns", "failed", "op_kind", "tool")
_KEYS = ("client", "start_ns", "trace_id", "span_id", "series", "code")
_CALLS = ("client", "trace_id", "span_id", "members", "failed", "part", "start_ns", "minute", "error_kind", "fault")
_OF_FAILED = (*OF_SPANS, "cost_confidence", "trace_id", "span_id")
Key = tuple[Any, ...]


def candidates(engine: Engine, since_ns: int, until_ns: int) -> list[list[str]]:
    """Traces (hex) with a failed span beside another one that ended in this time, so many at once."""
    found = engine.query(
        "select distinct f.client, f.trace_id from spans as f join ("
        " select client, trace_id, span_id from spans where start_ns >= ? and start_ns < ?"
        " and start_ns + coalesce(duration_ns, 0) >= ? and start_ns + coalesce(duration_ns, 0) < ?"
        ") as g on f.client = g.client and f.trace_id = g.trace_id"
        " where f.failed and f.start_ns >= ? and f.start_ns < ? and f.span_id <> g.span_id",
        [since_ns - LONGEST_NS, until_ns, since_ns, until_ns, since_ns - LONGEST_NS, until_ns],
    )
    traces = sorted({row["trace_id"].hex() for row in found})
    return [traces[first : first + TRACES] for first in range(0, len(traces), TRACES)]


def look(engine: Engine, since_ns: int, traces: list[str], ids: SeriesIds) -> Changes | None:
    """What must be added so that these traces' failures are noted as they are; None where nothing is to be done."""
    inside = f"start_ns >= {since_ns - 2 * LONGEST_NS} and trace_id in (select unhex(unnest(?)))"
    spans = engine.query(f"select {', '.join(READ)}, name from spans where {inside}", [traces])
    names = ", ".join(dict.fromkeys(f'"{name}"' for name in (*_CALLS, *DIMENSIONS)))
    calls = engine.query(f"select {names} from calls where {inside}", [traces])
    found = courses(steps_of(spans, calls))
    columns = ", ".join(f'"{name}"' for name in _OF_FAILED)
    failed = engine.arrow(f"select {columns} from spans where failed and {inside}", [traces])
    failed = failed.cast(pa.schema([SPANS.field(name) for name in _OF_FAILED]))
    counted, series = _counted([call for call in calls if call["failed"]], operations_of(failed), ids)
    meant = _meant(counted, found)
    held = {
        tuple(row[name] for name in _KEYS): (int(row["propagated"]), int(row["recovered"]), int(row["changes"]))
        for row in engine.query(
            f"select {', '.join(_KEYS)}, sum(propagated)::bigint as propagated, sum(recovered)::bigint as recovered,"
            f" sum(changes)::bigint as changes from failures where {inside} group by {', '.join(_KEYS)}",
            [traces],
        )
    }
    return _difference(meant, held, series)


def _counted(
    calls: Sequence[Mapping[str, Any]], operations: Any, ids: SeriesIds
) -> tuple[list[tuple[Key, Of | None]], Any]:
    """What the rollups count as failed: (key of `failures`, key of its step), and the series that these are in. An
    agent's run that stands for calls nobody told has no step of its own."""
    rows = [pa.Table.from_pylist([{name: call[name] for name in DIMENSIONS} for call in calls], schema=_SERIES)]
    rows.append(dimensions_of(operations).select(list(DIMENSIONS)).cast(_SERIES))
    numbers, series = ids.of(pa.concat_tables(rows))
    chosen = operations.select(["client", "start_ns", "trace_id", "span_id", "error_kind", "fault"])
    out: list[tuple[Key, Of | None]] = []
    told = [*((call, call["part"] == NO_LEAF) for call in calls), *((row, False) for row in chosen.to_pylist())]
    for (row, stands_for), number in zip(told, numbers.tolist(), strict=True):
        code = profiles.error_code(row["error_kind"], row["fault"])
        key = (row["client"], row["start_ns"], row["trace_id"], row["span_id"], number, code)
        out.append((key, None if stands_for else key_of(row)))
    return out, series


_SERIES = pa.schema([(name, pa.string()) for name in DIMENSIONS])
_PASSED = Course(propagated=True, recovered=False)


def _meant(counted: Iterable[tuple[Key, Of | None]], found: Mapping[Of, Course]) -> dict[Key, tuple[int, int]]:
    out = {}
    for key, step in counted:
        course = _PASSED if step is None else found.get(step)
        if course is not None and (course.propagated or course.recovered):
            out[key] = int(course.propagated), int(course.recovered)
    return out


def _difference(
    meant: Mapping[Key, tuple[int, int]], held: Mapping[Key, tuple[int, int, int]], series: Any
) -> Changes | None:
    rows: list[dict[str, Any]] = []
    steps: dict[tuple[int, ...], int] = {}
    digest = blake2b(digest_size=16)
    for key in sorted({*meant, *held}):
        new, (passed, recovered, changes) = meant.get(key, (0, 0)), held.get(key, (0, 0, 0))
        if new == (passed, recovered):
            continue
        digest.update(repr((key, new, changes)).encode())  # the same change twice lands once
        row = dict(zip(_KEYS, key, strict=True))
        rows.append({**row, "propagated": new[0] - passed, "recovered": new[1] - recovered, "changes": 1})
        good = _made_good(*new) - _made_good(passed, recovered)
        for measure, more in ((profiles.PASSED_ON, new[0] - passed), (profiles.RECOVERED, good)):
            place = (row["start_ns"] // MINUTE_NS, row["series"], measure, row["code"])
            steps[place] = steps.get(place, 0) + more
    if not rows:
        return None
    named = pa.array([row["series"] for row in rows], pa.int64())
    tables = {
        "failures": pa.Table.from_pylist(rows, schema=FAILURES),
        "series": series.filter(pc.is_in(series["id"], named)),
        "profile_minute": pa.Table.from_pylist(
            [dict(zip(PROFILE.names, (*place, more), strict=True)) for place, more in steps.items() if more],
            schema=PROFILE,
        ),
    }
    return Changes(f"failures-{digest.hexdigest()}", tables)


def _made_good(propagated: int, recovered: int) -> int:
    """What was passed on is counted as that alone."""
    return recovered if not propagated else 0
