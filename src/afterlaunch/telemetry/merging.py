"""Which stored rows of `calls` share a key with new ones, and what new and stored rows become together.

`neighbours` asks the engine; `merged` takes calls of several members apart into one row per span, so that late members
find their place, lets `calls.group` decide, and tells only what changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from afterlaunch.telemetry import callrows
from afterlaunch.telemetry.calls import Row, apart_ns, group
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.engines import Engine, Gone
from afterlaunch.telemetry.suspects import MOST_SCOPES, sharing
from afterlaunch.telemetry.tables import CALLS, NO_LEAF
from afterlaunch.telemetry.times import within

FIELDS = ", ".join(f'"{name}"' for name in CALLS.names)
Place = tuple[str, bytes]  # client, span


@dataclass(frozen=True)
class Merged:
    """Tables of the schema CALLS: rows to add, and stored rows that are no more."""

    added: Any
    gone: Any

    @property
    def number(self) -> int:
        return int(self.added.num_rows + self.gone.num_rows)


def as_gone(rows: Any) -> list[Gone]:
    columns = [rows[name].to_pylist() for name in ("client", "start_ns", "span_id", "members")]
    return [Gone(*one) for one in zip(*columns, strict=True)]


def neighbours(engine: Engine, rows: Any, mixed: Any) -> list[Row]:
    """Stored calls that share a response id, a trace or a stream key with these rows, or ran beside those of them that
    are `mixed` (a process that tells a model's calls under two scopes) in the same process on the same model."""
    starts = rows["start_ns"].to_numpy()
    lasted = rows["duration_ns"].fill_null(0).to_numpy()
    when, parameters = within("start_ns", starts, apart_ns())
    same_trace, traces = _in_traces(rows, engine.shared)
    keys = [same_trace]
    parameters += traces
    for name in ("response_id", "stream_key"):
        if told := _distinct(rows, name):
            keys.append(f"{name} in (select unnest(?))")
            parameters.append(told)
    twins = rows.filter(pa.array(mixed))
    processes, models = _distinct(twins, "instance"), _distinct(twins, "model_requested")
    if processes and models:
        keys.append(
            "(instance in (select unnest(?)) and model_requested in (select unnest(?))"
            " and start_ns <= ? and start_ns + duration_ns >= ?)"
        )
        parameters += [processes, models, int((starts + lasted).max()), int(starts.min())]
    found = engine.query(
        f"select {FIELDS} from calls where {when} and part is distinct from '{NO_LEAF}' and ({' or '.join(keys)})",
        parameters,
    )
    return [_as_told(row) for row in found]


def _in_traces(rows: Any, narrow: bool) -> tuple[str, list[Any]]:
    """SQL with parameters: stored rows of the same traces; `narrow`: only those that may tell of one call with a new
    row, because their scope is another one and either side tells no id (key B), or that were doubted before."""
    traces, scopes = rows["trace_id"].to_pylist(), [scope or "" for scope in rows["scope"].to_pylist()]
    if not narrow or len(set(scopes)) > MOST_SCOPES:
        return "trace_id in (select unhex(unnest(?)))", [_hexed(traces)]
    parts = ["trace_id in (select unhex(unnest(?))) and len(flags) > 0"]
    parameters: list[Any] = [_hexed(traces)]
    has_id = rows["response_id"].is_valid().to_pylist()
    for scope, told in sorted({*zip(scopes, has_id, strict=True)}):
        meant = [one for one, *what in zip(traces, scopes, has_id, strict=True) if what == [scope, told]]
        lacking = " and (response_id is null or len(members) > 1)" if told else ""
        parts.append(f"trace_id in (select unhex(unnest(?))) and (len(scopes) > 1 or scopes[1] <> ?){lacking}")
        parameters += [_hexed(meant), scope]
    return f"({' or '.join(f'({part})' for part in parts)})", parameters


def _hexed(ids: Sequence[bytes]) -> list[str]:
    return sorted({one.hex() for one in ids})


def _distinct(rows: Any, name: str) -> list[str]:
    return sorted({value for value in rows[name].to_pylist() if value is not None})


def _as_told(row: Row) -> Row:
    """The row as Arrow gave it to the engine: an empty list of flags is none."""
    return {**row, "flags": row["flags"] or None}


def merged(engine: Engine, rows: Any, meant: Any, near: Sequence[Row], batch: Any) -> Merged:
    """`meant`: which of the rows share a key with each other; `batch`: the new spans, which are not stored yet."""
    meant = meant | sharing(rows, list(near))
    if not meant.any():
        return Merged(rows, CALLS.empty_table())
    changed = _grouped(engine, rows.filter(pa.array(meant)).to_pylist(), near, batch)
    return Merged(pa.concat_tables([rows.filter(pa.array(~meant)), changed.added]), changed.gone)


def again(engine: Engine, near: Sequence[Row]) -> Merged:
    """Stored rows, grouped once more among themselves."""
    return _grouped(engine, [], [_as_told(row) for row in near], SPANS.empty_table())


def _grouped(engine: Engine, fresh: list[Row], near: Sequence[Row], batch: Any) -> Merged:
    """What must come and go for new rows and stored ones near them."""
    several = [row for row in near if len(row["members"]) > 1]
    atoms = fresh + [row for row in near if len(row["members"]) == 1] + _members(engine, several)
    stored = {_place(row): row for row in near}
    out = group([dict(row) for row in _with_ancestors(engine, atoms, batch)])
    same: set[Place] = set()
    added = []
    for row in out:
        row.pop("ancestors", None)
        if stored.get(_place(row)) == row:
            same.add(_place(row))
        else:
            added.append(row)
    gone = [row for place, row in stored.items() if place not in same]
    return Merged(pa.Table.from_pylist(added, schema=CALLS), _table(gone))


def _table(rows: list[Row]) -> Any:
    return pa.Table.from_pylist(rows, schema=CALLS)


def _place(row: Row) -> Place:
    return row["client"], row["span_id"]


def _members(engine: Engine, calls: list[Row]) -> list[Row]:
    """The members of these calls, one row per span again, from their spans."""
    if not calls:
        return []
    starts = [row["start_ns"] for row in calls]
    members = sorted({member for row in calls for member in row["members"]})
    spans = engine.arrow(
        f"select {', '.join(quoted(name) for name in SPANS.names)} from spans where start_ns between ? and ?"
        " and cost_confidence is not null and span_id in (select unhex(unnest(?)))",
        [min(starts) - apart_ns(), max(starts) + apart_ns(), members],
    )
    wanted = {(row["client"], member) for row in calls for member in row["members"]}
    rows: list[Row] = callrows.of_spans(spans.cast(SPANS)).to_pylist()
    return [row for row in rows if (row["client"], row["span_id"].hex()) in wanted]


def quoted(name: str) -> str:
    return f'"{name}"'


def _with_ancestors(engine: Engine, rows: list[Row], batch: Any) -> list[Row]:
    """Each row's ancestors' span ids, from the stored and the new spans of its trace."""
    starts, traces = [row["start_ns"] for row in rows], {row["trace_id"] for row in rows}
    columns = [batch[name].to_pylist() for name in ("client", "trace_id", "span_id", "parent_span_id")]
    parents = {(client, trace, span): above for client, trace, span, above in zip(*columns, strict=True) if above}
    for row in engine.query(
        "select client, trace_id, span_id, parent_span_id from spans where parent_span_id is not null"
        " and start_ns between ? and ? and trace_id in (select unhex(unnest(?)))",
        [min(starts) - apart_ns(), max(starts) + apart_ns(), sorted(trace.hex() for trace in traces)],
    ):
        parents[row["client"], row["trace_id"], row["span_id"]] = row["parent_span_id"]
    for one in rows:
        chain: set[bytes] = set()
        span = one["span_id"]
        while (above := parents.get((one["client"], one["trace_id"], span))) is not None and above not in chain:
            chain.add(above)
            span = above
        one["ancestors"] = chain
    return rows
