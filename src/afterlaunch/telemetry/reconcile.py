"""What several writers stored of one call without seeing each other, made one call afterwards.

Two processes that commit members of a call at the same moment each store a row of their own. Both are new then; so it
is enough to look, among the newest rows, for those that share a key, and to let `calls.group` decide again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from typing import Any

from afterlaunch.telemetry.calls import Row
from afterlaunch.telemetry.engines import Engine
from afterlaunch.telemetry.merging import FIELDS, Merged, again
from afterlaunch.telemetry.tables import CALLS, NO_LEAF, ORPHAN

_SUSPICIOUS = {
    "response_id": "count(*) > 1",
    "trace_id": "count(*) > 1 and count(distinct scopes) > 1 and count(*) filter (where response_id is null) > 0",
    "stream_key": f"count(*) > 1 and count(*) filter (where part = '{ORPHAN}') > 0",
}
"""Column -> when rows that are equal in it may tell of one call (`suspects`)."""
MOST = 5_000


def reconcile(engine: Engine, lately: str) -> Merged:
    """`lately`: SQL, rows of `calls` that came a short while ago. What must come and go."""
    here = f"{lately} and part is distinct from '{NO_LEAF}'"
    found: dict[tuple[str, int, bytes], Row] = {}
    for column, suspicious in _SUSPICIOUS.items():
        keys = (
            f"select {column} from calls where {here} and {column} is not null"
            f" group by client, {column} having {suspicious} limit {MOST}"
        )
        rows = engine.query(f"select {FIELDS} from calls where {here} and {column} in ({keys})")
        found |= {(row["client"], row["start_ns"], row["span_id"]): row for row in rows}
    near = sharing(found.values())
    return again(engine, near) if near else Merged(CALLS.empty_table(), CALLS.empty_table())


def sharing(rows: Iterable[Row]) -> list[Row]:
    """Those that have a partner. Pure."""
    rows = list(rows)
    count: Counter[Hashable] = Counter()
    scopes: dict[Hashable, set[Any]] = defaultdict(set)
    for row in rows:
        count.update(_keys(row))
        scopes[row["client"], row["trace_id"]].add(tuple(row["scopes"]))
    return [
        row
        for row in rows
        if any(count[key] > 1 for key in _keys(row)) or len(scopes[row["client"], row["trace_id"]]) > 1
    ]


def _keys(row: Row) -> list[Hashable]:
    return [(name, row["client"], row[name]) for name in ("response_id", "stream_key") if row[name] is not None]
