"""Whether what an agent's run or a workflow tells in sum is what its calls tell: flag `rollup_mismatch` (telemetry
conventions §6.3). The calls win; the flag says that one of both is wrong, or that spans are missing.

A duty looks at the sums of spans that ended within the last minutes. What it finds is a row of `sum_checks`, and
counted among the flags that senders' spans have (`tally`); calls that come late correct both by the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from afterlaunch.telemetry.aggregates import KINDS, LOOK_BACK_NS, SETTLE_NS, above
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.engines import Changes, Engine
from afterlaunch.telemetry.tables import ATTRIBUTE_COUNTS, HOUR_NS, SUM_CHECKS
from afterlaunch.telemetry.tally import FLAG

FLAGGED = "rollup_mismatch"
APART = 0.01
LATELY_NS = 600_000_000_000  # calls that come later change the flag no more
_PLACE = ("client", "system", "environment", "service", "scope", "scope_version")
_KEYS = ("client", "start_ns", "trace_id", "span_id")
Key = tuple[str, Any, Any]  # client, trace, span
Row = Mapping[str, Any]


def key_of(row: Row) -> Key:
    return row["client"], row["trace_id"], row["span_id"]


def totals(row: Row) -> tuple[int, int] | None:
    """Tokens in and out; None where either is unknown."""
    if row["in_uncached"] is None or row["out_visible"] is None:
        return None
    return sum(row[name] or 0 for name in BUCKETS[:6]), sum(row[name] or 0 for name in BUCKETS[6:])


def mismatched(sums: Iterable[Row], leaves: Iterable[Row], parents: Mapping[Key, Any]) -> set[Key]:
    """Those spans whose own tokens are more than APART from those of the calls below them, where all of these are
    known; one that failed may leave its tokens out. Pure."""
    told = {key_of(row): found for row in sums if (found := totals(row))}
    below: dict[Key, list[tuple[int, int] | None]] = {}
    for leaf in leaves:
        if leaf["failed"] and totals(leaf) is None:
            continue  # most that fail use nothing
        for outer in above(key_of(leaf), parents):
            if outer in told:
                below.setdefault(outer, []).append(totals(leaf))
    out: set[Key] = set()
    for key, parts in below.items():
        known = [part for part in parts if part is not None]
        if len(known) == len(parts) and any(
            abs(one - other) > APART * max(one, other)
            for one, other in zip(told[key], map(sum, zip(*known, strict=True)), strict=True)
        ):
            out.add(key)
    return out


def look(engine: Engine, now_ns: int) -> Changes | None:
    """What must be added so that the sums of the last minutes are flagged as they are."""
    columns = ", ".join(dict.fromkeys((*_KEYS, *_PLACE, *BUCKETS)))
    sums = engine.query(
        f"select {columns} from spans where op_kind in {KINDS} and in_uncached is not null and cost_confidence is null"
        " and start_ns >= ? and start_ns + coalesce(duration_ns, 0) >= ? and start_ns + coalesce(duration_ns, 0) < ?",
        [now_ns - LOOK_BACK_NS, now_ns - LATELY_NS, now_ns - SETTLE_NS],
    )
    if not sums:
        return None
    inside = f"start_ns >= {now_ns - 2 * LOOK_BACK_NS} and trace_id in (select unhex(unnest(?)))"
    traces = [sorted({row["trace_id"].hex() for row in sums})]
    links = engine.query(
        f"select client, trace_id, span_id, parent_span_id from spans where parent_span_id is not null and {inside}",
        traces,
    )
    told = ", ".join(("client", "trace_id", "span_id", "failed", *BUCKETS))
    leaves = engine.query(f"select {told} from calls where part is null and {inside}", traces)
    found = mismatched(sums, leaves, {key_of(row): row["parent_span_id"] for row in links})
    held = {
        key_of(row): (int(row["differs"]), int(row["changes"]))
        for row in engine.query(
            "select client, trace_id, span_id, sum(differs)::bigint as differs, sum(changes)::bigint as changes"
            f" from sum_checks where {inside} group by client, trace_id, span_id",
            traces,
        )
    }
    return _difference(sums, found, held)


def _difference(sums: Iterable[Row], found: set[Key], held: Mapping[Key, tuple[int, int]]) -> Changes | None:
    rows, counts = list[dict[str, Any]](), list[dict[str, Any]]()
    digest = blake2b(digest_size=16)
    for row in sorted(sums, key=key_of):
        before, changes = held.get(key_of(row), (0, 0))
        more = int(key_of(row) in found) - before
        if not more:
            continue
        digest.update(repr((key_of(row), more, changes)).encode())  # the same change twice lands once
        rows.append({**{name: row[name] for name in _KEYS}, "differs": more, "changes": 1})
        place = {name: row[name] or "" for name in _PLACE}
        counts.append({"hour": row["start_ns"] // HOUR_NS, **place, "what": FLAG, "key": FLAGGED, "spans": more})
    if not rows:
        return None
    tables = {
        "sum_checks": pa.Table.from_pylist(rows, schema=SUM_CHECKS),
        "attribute_counts": pa.Table.from_pylist(counts, schema=ATTRIBUTE_COUNTS),
    }
    return Changes(f"sums-{digest.hexdigest()}", tables)
