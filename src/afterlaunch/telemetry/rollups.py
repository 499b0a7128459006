"""What calls and operations add to the rollups, as arithmetic on columns. Pure.

An operation is a span of a known kind that is no model call: a tool, a retrieval, an agent's run. It is counted, with
its failures and its latency; tokens and cost belong to calls.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.columns import BUCKETS, DIMENSIONS
from afterlaunch.telemetry.tables import MEASURES, MINUTE_NS, ORPHAN, PROFILE, SERIES, SUMS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
INPUTS, OUTPUTS = BUCKETS[:6], BUCKETS[6:]
MILLI, MOST_UNSENT = 1_000, 2**53
UNSENT_OF = (
    f"case when adjusted_count_milli > {MILLI} then least(floor({{0}}::double *"
    f" (adjusted_count_milli - {MILLI}) / {MILLI}), {float(MOST_UNSENT)})::bigint end"
)
"""SQL over `calls`: what a column of a row stands for beyond itself, as the rollups count it."""
_PLACE = {name: place for place, name in enumerate(MEASURES)}
_BOOLS = {
    "failed": "failed",
    "timeouts": "timeout",
    "provider_faults": "provider_fault",
    "refused": "refused",
    "truncated": "truncated",
}


@dataclass(frozen=True)
class Increments:
    """Tables of the schemas SUMS, PROFILE and SERIES; `series` holds every combination that the other two name."""

    sums: Any
    profile: Any
    series: Any


class SeriesIds:
    """The number of each combination of dimension values: a hash, so that all processes give the same."""

    MOST, LONGEST = 50_000, 1_000

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str | None, ...], int] = OrderedDict()

    def of(self, rows: Any) -> tuple[Ints, Any]:
        """(each row's series, the distinct combinations with their ids as a SERIES table)."""
        values, codes = [], []
        key, combinations = np.zeros(rows.num_rows, np.int64), 1
        for name in DIMENSIONS:
            encoded = rows[name].combine_chunks().dictionary_encode()
            known = encoded.dictionary.to_pylist()
            code = encoded.indices.fill_null(len(known)).to_numpy()
            values.append([*known, None])
            codes.append(code)
            if len(known) + (encoded.null_count > 0) > 1:
                combinations *= len(known) + 1
                if combinations >= 2**62:
                    key, combinations = np.unique(key, return_inverse=True)[1], rows.num_rows * (len(known) + 1)
                key = key * (len(known) + 1) + code
        _, first, place = np.unique(key, return_index=True, return_inverse=True)
        told = [[known[one] for one in code[first].tolist()] for known, code in zip(values, codes, strict=True)]
        ids = np.array([self._id(one) for one in zip(*told, strict=True)], np.int64)
        return ids[place], pa.table([pa.array(ids), *(pa.array(one, pa.string()) for one in told)], schema=SERIES)

    def _id(self, combination: tuple[str | None, ...]) -> int:
        if (known := self._known.get(combination)) is not None:
            return known
        text = "\x1f".join("\x1e" if value is None else value for value in combination)
        number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
        if len(text) <= self.LONGEST:
            self._known[combination] = number
        if len(self._known) > self.MOST:
            self._known.popitem(last=False)
        return number


@dataclass(frozen=True)
class _Facts:
    """Of each row: its dimensions and minute, what it adds to the sums, and (measure, value, whether known)."""

    rows: Any
    sums: Ints
    told: tuple[tuple[int, Ints, Bools], ...]
    sign: int


def _ints(rows: Any, name: str) -> tuple[Ints, Bools]:
    """(values, 0 where unknown; which are known)."""
    column = rows[name].combine_chunks()
    if column.null_count == len(column):
        return np.zeros(len(column), np.int64), np.zeros(len(column), bool)
    if not column.null_count:
        return column.to_numpy(zero_copy_only=False), np.ones(len(column), bool)
    known = column.is_valid().to_numpy(zero_copy_only=False)
    return column.fill_null(0).to_numpy(), known


def _bools(rows: Any, name: str) -> Bools:
    column = rows[name].combine_chunks()
    values: Bools = (column.fill_null(False) if column.null_count else column).to_numpy(zero_copy_only=False)
    return values


def _equals(rows: Any, name: str, value: str) -> Bools:
    column = rows[name].combine_chunks()
    if column.null_count == len(column):
        return np.zeros(len(column), bool)
    same: Bools = pc.fill_null(pc.equal(column, value), False).to_numpy(zero_copy_only=False)
    return same


def of_commit(added: Any, gone: Any, spans: Any, ids: SeriesIds) -> Increments:
    """`added` and `gone`: rows of `calls` (schema CALLS) that come, and that are taken out again; `spans` (schema
    SPANS): those of them that are operations."""
    parts = [*_of_calls(added, 1), *_of_calls(gone, -1), *_of_operations(spans)]
    if not parts:
        return Increments(SUMS.empty_table(), PROFILE.empty_table(), SERIES.empty_table())
    return _grouped(parts, ids)


def _of_calls(rows: Any, sign: int) -> list[_Facts]:
    if not rows.num_rows:
        return []
    call = ~_equals(rows, "part", ORPHAN)
    sums = np.zeros((rows.num_rows, len(MEASURES)), np.int64)
    sums[:, _PLACE["calls"]] = call
    for measure, name in _BOOLS.items():
        sums[:, _PLACE[measure]] = _bools(rows, name)
    sums[:, _PLACE["cancelled"]] = _equals(rows, "fault", "user") & _bools(rows, "failed")
    buckets = {name: _ints(rows, name) for name in BUCKETS}
    for name, (values, _) in buckets.items():
        sums[:, _PLACE[name]] = values
    inputs = sum((buckets[name][0] for name in INPUTS), np.zeros(rows.num_rows, np.int64))
    outputs = sum((buckets[name][0] for name in OUTPUTS), np.zeros(rows.num_rows, np.int64))
    cached = buckets["in_cache_read"][1]
    cost, cost_known = _ints(rows, "cost_nano")
    sums[:, _PLACE["cache_known_calls"]] = cached & call
    sums[:, _PLACE["cache_known_input"]] = np.where(cached, inputs, 0)
    sums[:, _PLACE["calls_unknown_cost"]] = ~cost_known & call
    sums[:, _PLACE["cost_nano"]] = cost
    estimated = _bools(rows, "estimated")
    sums[:, _PLACE["calls_estimated"]] = estimated & call
    sums[:, _PLACE["tokens_estimated"]] = np.where(estimated, inputs + outputs, 0)
    sums[:, _PLACE["cost_estimated_nano"]] = np.where(estimated, cost, 0)
    _unsent(sums, rows, call, {"input_unsent": inputs, "output_unsent": outputs, "cost_unsent_nano": cost})
    duration, timed = _ints(rows, "duration_ns")
    ttft, first_told = _ints(rows, "ttft_ns")
    told = (
        (profiles.LATENCY, duration // 1000, timed & call),
        (profiles.TTFT, ttft // 1000, first_told & call),
        (profiles.INPUT, inputs, buckets["in_uncached"][1]),
        (profiles.OUTPUT, outputs, buckets["out_visible"][1]),
        (profiles.COST, cost, cost_known),
    )
    return [_Facts(rows.select(_DIMENSIONED), sums, told, sign)]


def _unsent(sums: Ints, rows: Any, call: Bools, told: Mapping[str, Ints]) -> None:
    """What the rows of sampled traces stand for beyond themselves; the same as `UNSENT_OF` in SQL."""
    times, known = _ints(rows, "adjusted_count_milli")
    sampled = known & (times > MILLI)
    if not sampled.any():
        return
    more = np.where(sampled, times - MILLI, 0)
    sums[:, _PLACE["calls_sampled"]] = sampled & call
    sums[:, _PLACE["calls_unsent_milli"]] = np.where(call, more, 0)
    for measure, values in told.items():
        beyond = np.floor(values.astype(np.float64) * more / MILLI)
        sums[:, _PLACE[measure]] = np.minimum(beyond, MOST_UNSENT).astype(np.int64)


def operations_of(spans: Any) -> Any:
    """Those of the spans that are operations."""
    kinds = pc.and_(pc.is_null(spans["cost_confidence"]), pc.not_equal(spans["op_kind"], "other"))
    return spans.filter(pc.fill_null(kinds, False))


def dimensions_of(chosen: Any) -> Any:
    """Of operations: the dimensions they count under, their minute and their failure."""
    columns = {name: chosen[name] for name in _DIMENSIONED if name in chosen.column_names}
    columns["model"] = pc.coalesce(chosen["model_answered"], chosen["model_requested"])
    columns["version"] = pc.coalesce(chosen["prompt_version"], chosen["release"])
    columns["minute"] = pa.array((chosen["start_ns"].to_numpy() // MINUTE_NS).astype(np.int32))
    return pa.table({name: columns[name] for name in _DIMENSIONED})


def _of_operations(spans: Any) -> list[_Facts]:
    chosen = operations_of(spans.select([*OF_SPANS, "cost_confidence"]))
    if not chosen.num_rows:
        return []
    rows = dimensions_of(chosen)
    sums = np.zeros((rows.num_rows, len(MEASURES)), np.int64)
    sums[:, _PLACE["calls"]] = 1
    sums[:, _PLACE["failed"]] = _bools(chosen, "failed")
    sums[:, _PLACE["timeouts"]] = _equals(rows, "error_kind", "timeout")
    _unsent(sums, chosen, np.ones(rows.num_rows, bool), {})
    duration, timed = _ints(chosen, "duration_ns")
    return [_Facts(rows, sums, ((profiles.LATENCY, duration // 1000, timed),), 1)]


_DIMENSIONED = [*DIMENSIONS, "minute", "error_kind", "fault"]
OF_SPANS = [
    *(name for name in DIMENSIONS if name not in ("model", "version")),
    *("model_answered", "model_requested", "prompt_version", "release"),
    *("start_ns", "duration_ns", "failed", "error_kind", "fault", "adjusted_count_milli"),
]


def _errors(rows: Any, failed: Bools) -> tuple[Ints, Ints]:
    """(places of the failed rows, their codes)."""
    places = np.flatnonzero(failed)
    if not len(places):
        return places, places
    some = rows.select(["error_kind", "fault"]).take(pa.array(places)).to_pydict()
    codes = [profiles.error_code(*one) for one in zip(some["error_kind"], some["fault"], strict=True)]
    return places, np.array(codes, np.int64)


def _grouped(facts: list[_Facts], ids: SeriesIds) -> Increments:
    rows = pa.concat_tables([one.rows for one in facts])
    series, combinations = ids.of(rows)
    minute = rows["minute"].to_numpy().astype(np.int64)
    sums = np.concatenate([one.sums * one.sign for one in facts])
    order = np.lexsort((series, minute))
    starts = _starts(minute[order], series[order])
    added = np.add.reduceat(sums[order], starts, axis=0)
    at = order[starts]
    columns = [pa.array(minute[at], pa.int32()), pa.array(series[at]), *(pa.array(column) for column in added.T)]
    places: list[Ints] = []
    measures: list[Any] = []
    steps: list[Any] = []
    counts: list[Any] = []
    first = 0
    for one in facts:
        for measure, values, known in one.told:
            row = np.flatnonzero(known)
            places.append(row + first)
            measures.append(np.full(len(row), measure, np.int8))
            steps.append(profiles.buckets(values[row]))
            counts.append(np.full(len(row), one.sign, np.int64))
        failed, codes = _errors(one.rows, one.sums[:, _PLACE["failed"]] != 0)
        places.append(failed + first)
        measures.append(np.full(len(failed), profiles.ERROR, np.int8))
        steps.append(codes.astype(np.int16))
        counts.append(np.full(len(failed), one.sign, np.int64))
        first += one.rows.num_rows
    row = np.concatenate(places)
    told = [np.concatenate(parts) for parts in (measures, steps, counts)]
    counted = _counted(minute[row], series[row], *told)
    return Increments(pa.table(columns, schema=SUMS), counted, combinations)


def _counted(minute: Ints, series: Ints, measure: Any, step: Any, count: Any) -> Any:
    if not len(minute):
        return PROFILE.empty_table()
    order = np.lexsort((step, measure, series, minute))
    columns = [column[order] for column in (minute, series, measure, step)]
    starts = _starts(*columns)
    kept = [column[starts] for column in columns]
    counts = np.add.reduceat(count[order], starts)
    arrays = [pa.array(kept[0], pa.int32()), *(pa.array(one) for one in kept[1:]), pa.array(counts)]
    return pa.table(arrays, schema=PROFILE)


def _starts(*columns: Any) -> Ints:
    """Where a new combination begins, in sorted columns."""
    changed = np.zeros(len(columns[0]), bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changed)
