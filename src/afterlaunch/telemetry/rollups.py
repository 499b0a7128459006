"""What calls and operations add to the rollups, as arithmetic on columns. Pure.

An operation is a span of a known kind that is no model call: a tool, a retrieval, an agent's run. It is counted, with
its failures and its latency; tokens and cost belong to calls.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
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
INPUTS, OUTPUTS = BUCKETS[:6], BUCKETS[6:]
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

    MOST = 50_000

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str | None, ...], int] = OrderedDict()

    def of(self, rows: Any) -> tuple[Ints, Any]:
        """(each row's series, the distinct combinations with their ids as a SERIES table)."""
        values, codes = [], []
        key = np.zeros(rows.num_rows, np.int64)
        for name in DIMENSIONS:
            column = rows[name].combine_chunks()
            encoded = column.dictionary_encode() if not pa.types.is_dictionary(column.type) else column
            values.append([*encoded.dictionary.to_pylist(), None])
            code = encoded.indices.fill_null(len(values[-1]) - 1).to_numpy().astype(np.int64)
            codes.append(code)
            if len(values[-1]) > 1:
                key = np.unique(key * len(values[-1]) + code, return_inverse=True)[1]
        _, first, place = np.unique(key, return_index=True, return_inverse=True)
        chosen = [code[first].tolist() for code in codes]
        told = [[known[one] for one in code] for known, code in zip(values, chosen, strict=True)]
        combinations = list(zip(*told, strict=True))
        ids = np.array([self._id(one) for one in combinations], np.int64)
        columns = [pa.array(ids), *(pa.array(column, pa.string()) for column in told)]
        return ids[place], pa.table(columns, schema=SERIES) if len(ids) else SERIES.empty_table()

    def _id(self, combination: tuple[str | None, ...]) -> int:
        if (known := self._known.get(combination)) is not None:
            return known
        text = "\x1f".join("\x1e" if value is None else value for value in combination)
        number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
        self._known[combination] = number
        if len(self._known) > self.MOST:
            self._known.popitem(last=False)
        return number


def _ints(rows: Any, name: str) -> tuple[Ints, npt.NDArray[Any]]:
    """(values, 0 where unknown; which are known)."""
    column = rows[name].combine_chunks()
    known = column.is_valid().to_numpy(zero_copy_only=False)
    return column.fill_null(pa.scalar(0).cast(column.type)).to_numpy(zero_copy_only=False).astype(
        np.int64, copy=False
    ), known


def of_calls(rows: Any, sign: int, ids: SeriesIds) -> Increments:
    """Rows of `calls` (schema CALLS), added or, with `sign` -1, taken out again."""
    if not rows.num_rows:
        return _nothing()
    call = pc.fill_null(pc.not_equal(rows["part"], ORPHAN), True).to_numpy().astype(bool)
    sums = np.zeros((rows.num_rows, len(MEASURES)), np.int64)
    sums[:, _PLACE["calls"]] = call
    for measure, name in _BOOLS.items():
        sums[:, _PLACE[measure]] = _ints(rows, name)[0]
    failed = sums[:, _PLACE["failed"]].astype(bool)
    cancelled = pc.fill_null(pc.equal(rows["fault"], "user"), False).to_numpy().astype(bool) & failed
    sums[:, _PLACE["cancelled"]] = cancelled
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
    duration, timed = _ints(rows, "duration_ns")
    ttft, first_told = _ints(rows, "ttft_ns")
    told = [
        (profiles.LATENCY, duration // 1000, timed & call),
        (profiles.TTFT, ttft // 1000, first_told & call),
        (profiles.INPUT, inputs, buckets["in_uncached"][1]),
        (profiles.OUTPUT, outputs, buckets["out_visible"][1]),
        (profiles.COST, cost, cost_known),
    ]
    return _grouped(rows, sums, told, _errors(rows, failed), sign, ids)


def of_operations(spans: Any, ids: SeriesIds) -> Increments:
    """Those spans (schema SPANS) that are operations."""
    kinds = pc.and_(pc.is_null(spans["cost_confidence"]), pc.not_equal(spans["op_kind"], "other"))
    chosen = spans.filter(pc.fill_null(kinds, False))
    if not chosen.num_rows:
        return _nothing()
    columns = {name: chosen[name] for name in (*DIMENSIONS, "start_ns") if name not in ("model", "version")}
    columns["model"] = pc.coalesce(chosen["model_answered"], chosen["model_requested"])
    columns["version"] = pc.coalesce(chosen["prompt_version"], chosen["release"])
    columns |= {name: chosen[name] for name in ("error_kind", "fault")}
    rows = pa.table(columns)
    rows = rows.append_column("minute", _minutes(rows["start_ns"]))
    sums = np.zeros((rows.num_rows, len(MEASURES)), np.int64)
    failed = _ints(chosen, "failed")[0].astype(bool)
    sums[:, _PLACE["calls"]] = 1
    sums[:, _PLACE["failed"]] = failed
    sums[:, _PLACE["timeouts"]] = pc.fill_null(pc.equal(rows["error_kind"], "timeout"), False).to_numpy()
    duration, timed = _ints(chosen, "duration_ns")
    return _grouped(rows, sums, [(profiles.LATENCY, duration // 1000, timed)], _errors(rows, failed), 1, ids)


def _minutes(start_ns: Any) -> Any:
    return pa.array((start_ns.to_numpy() // MINUTE_NS).astype(np.int32))


def _errors(rows: Any, failed: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """(places of the failed rows, their codes)."""
    places = np.flatnonzero(failed)
    if not len(places):
        return places, places
    some = rows.select(["error_kind", "fault"]).take(pa.array(places)).to_pydict()
    codes = [profiles.error_code(*one) for one in zip(some["error_kind"], some["fault"], strict=True)]
    return places, np.array(codes, np.int64)


def _nothing() -> Increments:
    return Increments(SUMS.empty_table(), PROFILE.empty_table(), SERIES.empty_table())


def _grouped(
    rows: Any,
    sums: Ints,
    told: list[tuple[int, Ints, npt.NDArray[Any]]],
    errors: tuple[Ints, Ints],
    sign: int,
    ids: SeriesIds,
) -> Increments:
    series, combinations = ids.of(rows)
    minute = rows["minute"].to_numpy().astype(np.int64)
    order = np.lexsort((series, minute))
    starts = _starts(minute[order], series[order])
    added = np.add.reduceat(sums[order], starts, axis=0) * sign
    at = order[starts]
    columns = [pa.array(minute[at], pa.int32()), pa.array(series[at]), *(pa.array(column) for column in added.T)]
    parts = [(np.flatnonzero(known), measure, profiles.buckets(values[known])) for measure, values, known in told]
    parts.append((errors[0], profiles.ERROR, errors[1].astype(np.int16)))
    row = np.concatenate([places for places, _, _ in parts])
    measure = np.concatenate([np.full(len(places), number, np.int8) for places, number, _ in parts])
    step = np.concatenate([steps for _, _, steps in parts])
    return Increments(
        pa.table(columns, schema=SUMS), _counted(minute[row], series[row], measure, step, sign), combinations
    )


def _counted(minute: Ints, series: Ints, measure: Any, step: Any, sign: int) -> Any:
    if not len(minute):
        return PROFILE.empty_table()
    order = np.lexsort((step, measure, series, minute))
    columns = [column[order] for column in (minute, series, measure, step)]
    starts = _starts(*columns)
    counts = np.diff(np.append(starts, len(order))) * sign
    kept = [column[starts] for column in columns]
    return pa.table(
        [pa.array(kept[0], pa.int32()), *(pa.array(one) for one in kept[1:]), pa.array(counts)], schema=PROFILE
    )


def _starts(*columns: Any) -> Ints:
    """Where a new combination begins, in sorted columns."""
    changed = np.zeros(len(columns[0]), bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changed)


def together(*parts: Increments) -> Increments:
    """Increments of one commit: what is added and what is taken out."""
    series = pa.concat_tables([part.series for part in parts])
    if series.num_rows:
        first = np.unique(series["id"].to_numpy(), return_index=True)[1]
        series = series.take(pa.array(first))
    return Increments(
        pa.concat_tables([part.sums for part in parts]), pa.concat_tables([part.profile for part in parts]), series
    )
