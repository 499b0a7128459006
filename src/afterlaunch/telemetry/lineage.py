"""What a span does not tell of itself, its nearest ancestor in the trace tells: whose it is, and in which course of
what (telemetry conventions §4.3). What was taken over is named in the column `inherited`.

Spans of one commit are looked through at once, column by column. Where the ancestors come in another one (a parent
ends, and is told, after what it called), a duty corrects the calls; those spans stay as told.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.conventions.arrow import flag_lists, valid
from afterlaunch.telemetry.engines import Engine
from afterlaunch.telemetry.merging import FIELDS, Merged
from afterlaunch.telemetry.remembered import of_ids
from afterlaunch.telemetry.tables import CALLS

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
GROUPS: tuple[tuple[str, ...], ...] = (
    ("session",),
    ("user",),
    ("transaction",),
    ("tenant",),
    ("agent", "agent_id", "agent_version"),
    ("workflow",),
    ("route",),
    ("prompt_name", "prompt_version"),
    ("release",),
)
"""What is taken over together, where the first of them is missing."""
DEEPEST = 64  # steps up
OF_CALLS = ("session", "user", "transaction", "tenant", "agent", "route")
LONGEST_NS, TRACES = 6 * 3_600 * 10**9, 5_000
_NAMES = [name for names in GROUPS for name in names]
_READ = ("client", "trace_id", "span_id", "parent_span_id", *_NAMES)
_STEPS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def inherited(spans: Any) -> Any:
    """The table (columns as in SPANS, one chunk each) with what was missing and an ancestor in it tells."""
    parent = _parents(spans)
    if not (parent >= 0).any():
        return spans
    taken: dict[str, Bools] = {}
    for names in GROUPS:
        source = _nearest(parent, valid(spans[names[0]].combine_chunks()))
        rows = source >= 0
        if not rows.any():
            continue
        places = pa.array(np.where(rows, source, np.arange(len(source))))
        for name in names:
            spans = _with(spans, name, spans[name].combine_chunks().take(places))
        taken[names[0]] = rows
    if not taken or "inherited" not in spans.column_names:
        return spans
    return _with(spans, "inherited", flag_lists(taken, spans.num_rows))


def _with(spans: Any, name: str, values: Any) -> Any:
    place = spans.schema.get_field_index(name)
    return spans.set_column(place, spans.schema.field(place), values)


def _parents(spans: Any) -> Ints:
    """The row of each span's parent; -1 where it has none here."""
    trace = of_ids(spans["trace_id"])
    traces = _mixed(trace)
    own = of_ids(spans["span_id"]) ^ traces
    above = spans["parent_span_id"].combine_chunks()
    has = valid(above)
    if not has.any():
        return np.full(len(own), -1)
    meant = of_ids(above) ^ traces
    order = np.argsort(own)
    found = order[np.minimum(np.searchsorted(own[order], meant), len(own) - 1)]
    client = spans["client"].combine_chunks().dictionary_encode().indices.to_numpy()
    here = has & (own[found] == meant) & (trace[found] == trace) & (client[found] == client)
    return np.where(here & (found != np.arange(len(own))), found, -1)


def _mixed(keys: Any) -> Any:
    """Every bit of a key changes every bit, so that ids which count upwards meet no others (splitmix64's last step)."""
    for shift, factor in _STEPS:
        keys = (keys ^ (keys >> np.uint64(shift))) * np.uint64(factor)
    return keys ^ (keys >> np.uint64(31))


def _nearest(parent: Ints, told: Bools) -> Ints:
    """For each row that tells nothing, the first one above it that does; else -1."""
    source = np.full(len(parent), -1)
    rows = np.flatnonzero(~told & (parent >= 0)) if told.any() else np.zeros(0, np.int64)
    above = parent[rows]
    for _ in range(DEEPEST):
        if not len(rows):
            break
        hit = told[above]
        source[rows[hit]] = above[hit]
        rows, above = rows[~hit], parent[above[~hit]]
        rows, above = rows[above >= 0], above[above >= 0]
    return source


def candidates(engine: Engine, since_ns: int, until_ns: int) -> list[list[str]]:
    """Traces (hex) with a call that lacks what a span around it tells that ended in this time, so many at once."""
    found = engine.query(_CANDIDATES.format(since=since_ns, until=until_ns, first=since_ns - LONGEST_NS))
    traces = sorted({row["trace_id"].hex() for row in found})
    return [traces[first : first + TRACES] for first in range(0, len(traces), TRACES)]


def late(engine: Engine, since_ns: int, traces: list[str]) -> Merged:
    """For calls of these traces that lack what an ancestor tells: rows that must come, rows that must go."""
    inside = f"start_ns >= {since_ns - 2 * LONGEST_NS} and trace_id in (select unhex(unnest(?)))"
    columns = ", ".join(f'"{name}"' for name in _READ)
    schema = pa.schema([SPANS.field(name) for name in _READ])
    found = engine.arrow(f"select {columns} from spans where {inside}", [traces])
    spans = inherited(found.cast(schema).combine_chunks())
    told = {(row["client"], row["trace_id"], row["span_id"]): row for row in spans.to_pylist()}
    added, gone = [], []
    for row in engine.query(f"select {FIELDS} from calls where {inside}", [traces]):
        of_span = told.get((row["client"], row["trace_id"], row["span_id"]))
        new = row if of_span is None else _filled(row, of_span)
        if new != row:
            added.append(new)
            gone.append(row)
    return Merged(pa.Table.from_pylist(added, schema=CALLS), pa.Table.from_pylist(gone, schema=CALLS))


def _filled(row: dict[str, Any], of_span: dict[str, Any]) -> dict[str, Any]:
    """A row of `calls` with what its span knows by now."""
    values = {name: of_span[name] for name in (*OF_CALLS, "release")}
    values["version"] = of_span["prompt_version"] or of_span["release"]
    return {**row, **{name: value for name, value in values.items() if row[name] is None}}


_TOLD = (*OF_CALLS, "release")
_LACKS = " or ".join(f'(c."{name}" is null and g."{name}" is not null)' for name in _TOLD)
_CANDIDATES = f"""select distinct c.client, c.trace_id from calls as c join (
        select client, trace_id, start_ns as begins, start_ns + coalesce(duration_ns, 0) as ends,
            {", ".join(f'"{name}"' for name in _TOLD)} from spans
        where start_ns >= {{first}} and start_ns < {{until}} and cost_confidence is null
            and start_ns + coalesce(duration_ns, 0) >= {{since}} and start_ns + coalesce(duration_ns, 0) < {{until}}
            and ({" or ".join(f'"{name}" is not null' for name in _TOLD)})
    ) as g on c.client = g.client and c.trace_id = g.trace_id
    where c.start_ns >= {{first}} and c.start_ns < {{until}} and c.start_ns >= g.begins and c.start_ns <= g.ends
        and ({_LACKS})"""
