"""What is noted of rows that failed: whether they only passed a failure on, whether it was made good (`origins`)."""

from __future__ import annotations

from typing import Any

from afterlaunch.telemetry.store import current


def with_courses(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `calls` or `spans`, as `readable`, with `error_propagated` and `recovered`: None where nothing failed."""
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
    return rows
