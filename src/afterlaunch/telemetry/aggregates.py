"""Usage told only in sum: an agent's run, a workflow or a tool that carries tokens while no call below it was told.

Conventions §6: such usage is never added to calls. When no call appeared below the span for a while, it counts once,
as one row of part `no_leaf`; when one comes later, that row is taken out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from afterlaunch.telemetry import schema
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.conventions.money import price_calls

PRICED_BY = ("provider", "model_answered", "model_requested", "start_ns")
KINDS = ("agent", "workflow", "tool", "plan")
SETTLE_NS = 60_000_000_000
MINUTE_NS = 60_000_000_000
LOOK_BACK_NS = 3_600_000_000_000  # later leaves of older aggregates are not looked for
Key = tuple[str, bytes, bytes]  # client, trace, span
_DUE = f"""op_kind in {KINDS} and in_uncached is not null and cost_confidence is null
    and start_ns >= {{since}} and start_ns + coalesce(duration_ns, 0) < {{until}}"""


def chosen(aggregates: Iterable[Key], leaves: Iterable[Key], parents: Mapping[Key, bytes]) -> set[Key]:
    """Those that count: no leaf below them, and no other that counts above them. Pure."""
    wanted = set(aggregates)
    above = {key: _above(key, parents) for key in wanted}
    with_leaf = {outer for leaf in leaves for outer in _above(leaf, parents) if outer in wanted}
    out: set[Key] = set()
    for key in sorted(wanted - with_leaf, key=lambda one: len(above[one])):
        if not out & set(above[key]):
            out.add(key)
    return out


def _above(key: Key, parents: Mapping[Key, bytes]) -> list[Key]:
    chain: list[Key] = []
    while (parent := parents.get(key)) is not None and (*key[:2], parent) not in chain:
        key = (*key[:2], parent)
        chain.append(key)
    return chain


def settle(cursor: Any, now_ns: int) -> int:
    """Bring the rows of part `no_leaf` up to date, inside the caller's transaction; returns how many changed."""
    due = _DUE.format(since=now_ns - LOOK_BACK_NS, until=now_ns - SETTLE_NS)
    found = cursor.execute(f"select client, trace_id, span_id from spans where {due}").fetchall()
    if not found:
        return 0
    counted = f"part = '{schema.NO_LEAF}' and start_ns >= {now_ns - LOOK_BACK_NS}"
    have = set(cursor.execute(f"select client, trace_id, span_id from calls where {counted}").fetchall())
    cursor.execute(f"create or replace temp table told as select distinct client, trace_id from spans where {due}")
    inside = "(client, trace_id) in (from told)"
    links = cursor.execute(
        "select client, trace_id, span_id, parent_span_id from spans where parent_span_id is not null"
        f" and start_ns >= {now_ns - 2 * LOOK_BACK_NS} and {inside}"
    ).fetchall()
    leaves = cursor.execute(
        f"select client, trace_id, span_id from calls where part is null and minute >= ? and {inside}",
        [(now_ns - 2 * LOOK_BACK_NS) // MINUTE_NS],
    ).fetchall()
    want = chosen(found, leaves, {(client, trace, span): parent for client, trace, span, parent in links})
    _take_out(cursor, have - want)
    _count(cursor, want - have)
    return len(have ^ want)


def _take_out(cursor: Any, keys: set[Key]) -> None:
    for key in keys:
        this = "client = ? and trace_id = ? and span_id = ?"
        cursor.execute(f"create or replace temp table gone as select * from calls where {this}", list(key))
        cursor.execute(schema.roll_up("gone", -1))
        cursor.execute(f"delete from calls where {this}", list(key))


def _count(cursor: Any, keys: set[Key]) -> None:
    if not keys:
        return
    cursor.execute("create or replace temp table chosen_span (client varchar, trace_id blob, span_id blob)")
    cursor.executemany("insert into chosen_span values (?, ?, ?)", [list(key) for key in keys])
    rows = cursor.sql("select spans.* from spans join chosen_span using (client, trace_id, span_id)").to_arrow_table()
    column = {name: rows[name].combine_chunks() for name in (*PRICED_BY, *BUCKETS)}
    buckets = {name: column[name] for name in BUCKETS}
    maker, answered, requested, start = (column[name] for name in PRICED_BY)
    priced = price_calls(np.ones(rows.num_rows, bool), maker, answered, requested, start, buckets)
    for name, values in priced.columns().items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, values)
    cursor.register("settled", rows)
    try:
        cursor.execute(f"create or replace temp table counted as {schema.calls_from('settled')}")
    finally:
        cursor.unregister("settled")
    cursor.execute(f"update counted set part = '{schema.NO_LEAF}', flags = ['{schema.NO_LEAF}']")
    cursor.execute("insert into calls by name select * from counted")
    cursor.execute(schema.roll_up("counted", 1))
