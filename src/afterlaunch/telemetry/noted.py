"""What duties note of rows later: which failures were passed on or made good (`origins`), which sums differ."""

from __future__ import annotations

from typing import Any

from afterlaunch.telemetry.aggregates import KINDS
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.sum_checks import FLAGGED


def with_notes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `calls` or `spans`, as `readable`, with `error_propagated` and `recovered` (None where
    nothing failed), and the flags that were found later."""
    failed = [row for row in rows if row["failed"]]
    noted: dict[tuple[str, str], tuple[bool, bool]] = {}
    if failed:
        starts = [row["start_ns"] for row in failed]
        found = current().query(
            "select client, lower(hex(span_id)) as span, sum(propagated)::bigint as propagated,"
            " sum(recovered)::bigint as recovered from failures where start_ns between ? and ?"
            " and span_id in (select unhex(unnest(?))) group by client, span",
            [min(starts), max(starts), sorted({row["span_id"] for row in failed})],
        )
        noted = {(row["client"], row["span"]): (row["propagated"] > 0, row["recovered"] > 0) for row in found}
    for row in rows:
        told = noted.get((row["client"], row["span_id"]), (False, False)) if row["failed"] else (None, None)
        row["error_propagated"], row["recovered"] = told
    return _with_checks(rows)


def _with_checks(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sums of tokens that are not those of their calls are flagged."""
    sums = [row for row in rows if row["op_kind"] in KINDS and row["in_uncached"] is not None]
    if not sums:
        return rows
    starts = [row["start_ns"] for row in sums]
    found = current().query(
        "select client, lower(hex(span_id)) as span from sum_checks where start_ns between ? and ?"
        " and span_id in (select unhex(unnest(?))) group by client, span having sum(differs) > 0",
        [min(starts), max(starts), sorted({row["span_id"] for row in sums})],
    )
    flagged = {(row["client"], row["span"]) for row in found}
    for row in sums:
        if (row["client"], row["span_id"]) in flagged:
            row["flags"] = [*(row["flags"] or ()), FLAGGED]
    return rows
