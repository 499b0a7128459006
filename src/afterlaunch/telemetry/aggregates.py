"""Usage told only in sum: an agent's run, a workflow or a tool that carries tokens while no call below it was told.

Conventions §6: such usage is never added to calls. When no call appeared below the span for a while, it counts once,
as one row of part `no_leaf`; when one comes later, that row is taken out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from afterlaunch.telemetry import callrows
from afterlaunch.telemetry.columns import BUCKETS, SPANS
from afterlaunch.telemetry.conventions.money import PRICED_BY, price_calls
from afterlaunch.telemetry.engines import Engine
from afterlaunch.telemetry.merging import FIELDS, Merged
from afterlaunch.telemetry.tables import CALLS, NO_LEAF

KINDS = ("agent", "workflow", "tool", "plan")
SETTLE_NS = 60_000_000_000
LOOK_BACK_NS = 3_600_000_000_000  # later leaves of older aggregates are not looked for
Key = tuple[str, bytes, bytes]  # client, trace, span
_DUE = f"""op_kind in {KINDS} and in_uncached is not null and cost_confidence is null
    and start_ns >= {{since}} and start_ns + coalesce(duration_ns, 0) < {{until}}"""


def chosen(aggregates: Iterable[Key], leaves: Iterable[Key], parents: Mapping[Key, bytes]) -> set[Key]:
    """Those that count: no leaf below them, and no other that counts above them. Pure."""
    wanted = set(aggregates)
    around = {key: above(key, parents) for key in wanted}
    with_leaf = {outer for leaf in leaves for outer in above(leaf, parents) if outer in wanted}
    out: set[Key] = set()
    for key in sorted(wanted - with_leaf, key=lambda one: len(around[one])):
        if not out & set(around[key]):
            out.add(key)
    return out


def above(key: Key, parents: Mapping[Key, bytes]) -> list[Key]:
    """The spans around one, from the nearest outwards."""
    chain: list[Key] = []
    while (parent := parents.get(key)) is not None and (*key[:2], parent) not in chain:
        key = (*key[:2], parent)
        chain.append(key)
    return chain


def settle(engine: Engine, now_ns: int) -> Merged:
    """The rows of part `no_leaf` that must come, and those that must go."""
    due = _DUE.format(since=now_ns - LOOK_BACK_NS, until=now_ns - SETTLE_NS)
    found = _keys(engine.query(f"select client, trace_id, span_id from spans where {due}"))
    if not found:
        return Merged(CALLS.empty_table(), CALLS.empty_table())
    counted = f"part = '{NO_LEAF}' and start_ns >= {now_ns - LOOK_BACK_NS}"
    have = _keys(engine.query(f"select client, trace_id, span_id from calls where {counted}"))
    inside = f"start_ns >= {now_ns - 2 * LOOK_BACK_NS} and trace_id in (select unhex(unnest(?)))"
    traces = [sorted({trace.hex() for _, trace, _ in found})]
    links = engine.query(
        f"select client, trace_id, span_id, parent_span_id from spans where parent_span_id is not null and {inside}",
        traces,
    )
    leaves = _keys(engine.query(f"select client, trace_id, span_id from calls where part is null and {inside}", traces))
    parents = {(row["client"], row["trace_id"], row["span_id"]): row["parent_span_id"] for row in links}
    want = chosen(found, leaves, parents)
    return Merged(_counted(engine, want - have, now_ns), _taken_out(engine, have - want, counted))


def _keys(rows: list[dict[str, Any]]) -> set[Key]:
    return {(row["client"], row["trace_id"], row["span_id"]) for row in rows}


def _taken_out(engine: Engine, keys: set[Key], counted: str) -> Any:
    if not keys:
        return CALLS.empty_table()
    rows = engine.query(
        f"select {FIELDS} from calls where {counted} and span_id in (select unhex(unnest(?)))",
        [sorted(span.hex() for _, _, span in keys)],
    )
    gone = [row for row in rows if (row["client"], row["trace_id"], row["span_id"]) in keys]
    return pa.Table.from_pylist(gone, schema=CALLS)


def _counted(engine: Engine, keys: set[Key], now_ns: int) -> Any:
    if not keys:
        return CALLS.empty_table()
    names = ", ".join(f'"{name}"' for name in SPANS.names)
    rows = engine.arrow(
        f"select {names} from spans where start_ns >= ? and span_id in (select unhex(unnest(?)))",
        [now_ns - LOOK_BACK_NS, sorted(span.hex() for _, _, span in keys)],
    ).cast(SPANS)
    told = zip(*(rows[name].to_pylist() for name in ("client", "trace_id", "span_id")), strict=True)
    rows = rows.filter(pa.array([key in keys for key in told])).combine_chunks()
    column = {name: rows[name].combine_chunks() for name in (*PRICED_BY, *BUCKETS)}
    buckets = {name: column[name] for name in BUCKETS}
    priced = price_calls({name: column[name] for name in PRICED_BY}, buckets)
    for name, values in priced.columns().items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, values)
    out = callrows.of_spans(rows)
    for name, values in (
        ("op_kind", pa.array(["inference"] * out.num_rows, pa.string())),  # it stands for the calls below it
        ("part", pa.array([NO_LEAF] * out.num_rows, pa.string())),
        ("flags", pa.array([[NO_LEAF]] * out.num_rows, pa.list_(pa.string()))),
    ):
        out = out.set_column(out.schema.get_field_index(name), name, values)
    return out.cast(CALLS)
