"""Questions to single calls and spans. `clients` None means all; otherwise only theirs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.noted import with_notes
from afterlaunch.telemetry.queries import Clients, narrowed
from afterlaunch.telemetry.store import current

AFTER_CURSOR = " and (start_ns < ? or (start_ns = ? and span_id < unhex(?)))"


def calls(
    start: datetime,
    end: datetime,
    clients: Clients = None,
    limit: int = 100,
    before: str | None = None,
    failed: bool | None = None,
    **equals: str | None,
) -> list[dict[str, Any]]:
    """Calls, newest first; page on with the `cursor` of the last row as `before`."""
    where, parameters = narrowed(clients, equals)
    if failed is not None:
        where += " and failed = ?"
        parameters.append(failed)
    if before is not None:
        where += AFTER_CURSOR
        parameters += place(before)
    found = current().query(
        f"select * from calls where start_ns >= ? and start_ns < ? and {where}"
        f" order by start_ns desc, span_id desc limit {int(limit)}",
        [clock.to_ns(start), clock.to_ns(end), *parameters],
    )
    return with_notes([readable(row) for row in found])


def spans(
    clients: Clients = None,
    system: str | None = None,
    trace_id: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int = 100,
    before: str | None = None,
) -> list[dict[str, Any]]:
    """Spans, newest first; pages like `calls`. Raises Invalid for a trace id that is no hex."""
    where, parameters = narrowed(clients, {"system": system} if system else {})
    bounds: list[tuple[str, Any]] = [
        ("start_ns >= ?", clock.to_ns(start) if start else None),
        ("start_ns < ?", clock.to_ns(end) if end else None),
    ]
    if trace_id:
        inside, places = current().engine.holding(_trace(trace_id))
        where += f" and trace_id = unhex(?) and {inside}"
        parameters += [trace_id, *places]
    for sql, value in bounds:
        if value is not None:
            where += f" and {sql}"
            parameters.append(value)
    if before is not None:
        where += AFTER_CURSOR
        parameters += place(before)
    order = f"order by start_ns desc, span_id desc limit {int(limit)}"
    found = current().query(f"select * from spans where {where} {order}", parameters)
    return with_notes([readable(row) for row in found])


def trace(
    trace_id: str, clients: Clients = None, limit: int = 5000
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(spans in order of start, calls counted in it)."""
    where, parameters = narrowed(clients, {})
    inside, places = current().engine.holding(_trace(trace_id))
    whole = f"trace_id = unhex(?) and {where} and {inside}"
    found = current().query(f"select * from spans where {whole} limit {limit + 1}", [trace_id, *parameters, *places])
    if len(found) > limit:
        whole += f" order by start_ns limit {limit}"
        found = current().query(f"select * from spans where {whole}", [trace_id, *parameters, *places])
    found.sort(key=lambda row: row["start_ns"])
    if not found:
        return [], []
    bounds = [min(row["start_ns"] for row in found), max(row["start_ns"] for row in found)]
    counted = current().query(
        f"select * from calls where start_ns between ? and ? and trace_id = unhex(?) and {where}",
        [*bounds, trace_id, *parameters],
    )
    return [readable(row) for row in found], [readable(row) for row in counted]


def total_spans() -> int:
    return int(current().query("select count(*) as total from spans")[0]["total"])


def sightings(since_ns: int) -> list[dict[str, Any]]:
    """Distinct things that spans started at or after `since_ns` tell of."""
    return current().query(
        """select distinct client, system, environment, service, release, agent, prompt_name, prompt_version, tool,
           coalesce(model_answered, model_requested) as model from spans where start_ns >= ?""",
        [since_ns],
    )


def systems_told() -> list[dict[str, Any]]:
    """Every client, system and environment that a span ever told, however old it was."""
    return current().query("select distinct client, system, environment from series where system is not null")


def _trace(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 16:
        raise Invalid(f"{text!r} is no trace id.", "32 hex digits")
    return raw


def place(cursor: str) -> list[Any]:
    """A row's place in the order: its start, and its id among those that start at the same time."""
    start, _, span = cursor.partition("-")
    try:
        return [int(start), int(start), bytes.fromhex(span).hex()]
    except ValueError:
        raise Invalid(f"{cursor!r} is no cursor.", "Take it from the answer before.") from None


def readable(row: dict[str, Any]) -> dict[str, Any]:
    """Ids as hex, the start as an instant, and the cursor that continues after the row."""
    for name in ("trace_id", "span_id", "parent_span_id"):
        row[name] = row[name].hex() if row[name] is not None else None
    row["start"] = clock.from_ns(row["start_ns"])
    row["cursor"] = f"{row['start_ns']}-{row['span_id']}"
    return row


def gateway_calls(since: datetime, client: str, route: str) -> dict[str, int]:
    """Calls by arm that the gateway itself reports to have begun since an instant, on one route."""
    rows = current().query(
        """select arm, count(*) as calls from spans where gateway and op_kind <> 'other' and arm is not null
           and start_ns >= ? and client = ? and route = ? group by arm""",
        [clock.to_ns(since), client, route],
    )
    return {row["arm"]: int(row["calls"]) for row in rows}
