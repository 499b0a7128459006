"""Questions to the rollups, calls and spans. `clients` None means all; otherwise only theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.columns import BUCKETS, DIMENSIONS
from afterlaunch.telemetry.quantiles import Quantiles, of_histogram
from afterlaunch.telemetry.schema import MEASURES, middle_ms
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.windows import Window

MINUTE_NS = 60_000_000_000
Clients = frozenset[str] | None
SUMS = (
    ", ".join(f"sum({name})::bigint as {name}" for name in MEASURES)
    + ", max(minute) - min(minute) + 1 as minutes"
    + ", coalesce(sum(calls) filter (model is null), 0)::bigint as calls_unknown_model"
    + ", greatest(max(cost_nano), 0)::bigint as top_cost_nano"
    + ", greatest(arg_max(calls, cost_nano), 0)::bigint as top_cost_calls"
)
TOLD = "sum(calls) > 0 or sum(in_uncached) > 0 or sum(out_visible) > 0"  # tokens may be known before their call is
AFTER_CURSOR = " and (start_ns < ? or (start_ns = ? and span_id < ?))"


def minute_of(instant: datetime) -> int:
    """Whole minutes since 1970."""
    return clock.to_ns(instant) // MINUTE_NS


def _check(names: Sequence[str]) -> None:
    for name in names:
        if name not in DIMENSIONS:
            raise Invalid(f"{name!r} is no dimension.", "Dimensions: " + ", ".join(DIMENSIONS))


def narrowed(clients: Clients, equals: Mapping[str, str | None]) -> tuple[str, list[Any]]:
    """SQL and parameters that narrow to the clients and to the given values."""
    _check(list(equals))
    parts: list[str] = ["true"]
    parameters: list[Any] = []
    if clients is not None:
        parts.append("list_contains(?, client)")
        parameters.append(sorted(clients))
    for name, value in equals.items():
        parts.append(f'"{name}" is not distinct from ?')
        parameters.append(value)
    return " and ".join(parts), parameters


def windows(
    start: datetime, end: datetime, group_by: Sequence[str], clients: Clients = None, **equals: str | None
) -> list[Window]:
    """Sums over the whole minutes of [start, end), one row per combination; two statements."""
    _check(group_by)
    where, parameters = narrowed(clients, equals)
    span = [minute_of(start), minute_of(end), *parameters]
    groups = ", ".join(f'"{name}"' for name in group_by) or "true"
    sums = SUMS
    tail = f"from rollup where minute >= ? and minute < ? and {where}"
    keyed = f"{groups}, " if group_by else ""
    found = current().query(f"select {keyed}{sums} {tail} group by {groups} having {TOLD}", span)
    spread = current().query(
        f"select {keyed}latency, sum(calls)::bigint as calls {tail} and latency is not null group by {groups}, latency"
        " having sum(calls) > 0 order by latency",
        span,
    )
    latencies = _quantiles(spread, group_by)
    return [_window(row, start, end, group_by, latencies) for row in found]


def _quantiles(rows: list[dict[str, Any]], group_by: Sequence[str]) -> dict[tuple[Any, ...], Quantiles]:
    by_key: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
    for row in rows:
        by_key.setdefault(tuple(row[name] for name in group_by), []).append((row["latency"], row["calls"]))
    return {
        key: of_histogram([middle_ms(step) for step, _ in pairs], [calls for _, calls in pairs])
        for key, pairs in by_key.items()
    }


def _window(
    row: dict[str, Any], start: datetime, end: datetime, group_by: Sequence[str], latencies: Mapping[Any, Any]
) -> Window:
    key = {name: row[name] for name in group_by}
    spread = latencies.get(tuple(key.values()))
    buckets = {name: row[name] for name in BUCKETS}
    return Window(
        start=start,
        end=end,
        key=key,
        calls=row["calls"],
        minutes=row["minutes"],
        failed=row["failed"],
        timeouts=row["timeouts"],
        provider_faults=row["provider_faults"],
        refused=row["refused"],
        truncated=row["truncated"],
        input_tokens=sum(buckets[name] for name in BUCKETS[:6]),
        output_tokens=sum(buckets[name] for name in BUCKETS[6:]),
        cache_known_calls=row["cache_known_calls"],
        cache_known_input=row["cache_known_input"],
        cache_read=buckets["in_cache_read"],
        cost_nano=row["cost_nano"],
        calls_unknown_cost=row["calls_unknown_cost"],
        calls_unknown_model=row["calls_unknown_model"],
        top_cost_nano=row["top_cost_nano"],
        top_cost_calls=row["top_cost_calls"],
        p50_ms=spread.p50 if spread else None,
        p95_ms=spread.p95 if spread else None,
        p99_ms=spread.p99 if spread else None,
        p95_low_ms=spread.p95_low if spread else None,
        p99_low_ms=spread.p99_low if spread else None,
        buckets=buckets,
    )


def series(
    start: datetime, end: datetime, step_minutes: int, clients: Clients = None, **equals: str | None
) -> list[Window]:
    """One window per step of [start, end), empty ones included, in order."""
    where, parameters = narrowed(clients, equals)
    first, last = minute_of(start), minute_of(end)
    sums = SUMS
    tail = f"from rollup where minute >= ? and minute < ? and {where}"
    step = f"((minute - {first}) // {int(step_minutes)})"
    found = current().query(f"select {step} as step, {sums} {tail} group by step", [first, last, *parameters])
    spread = current().query(
        f"select {step} as step, latency, sum(calls)::bigint as calls {tail} and latency is not null"
        " group by step, latency having sum(calls) > 0 order by latency",
        [first, last, *parameters],
    )
    latencies, rows = _quantiles(spread, ["step"]), {row["step"]: row for row in found}
    out = []
    for step_number in range(max(0, -(-(last - first) // step_minutes))):
        begins = clock.from_ns((first + step_number * step_minutes) * MINUTE_NS)
        ends = clock.from_ns(min(first + (step_number + 1) * step_minutes, last) * MINUTE_NS)
        row = rows.get(step_number)
        if row is None:
            out.append(Window(begins, ends, {}))
        else:
            window = _window(row, begins, ends, ["step"], latencies)
            out.append(window)
    return out


def stretches(
    bounds: Sequence[datetime], group_by: Sequence[str], clients: Clients = None, **equals: str | None
) -> list[Window]:
    """Sums between each two consecutive `bounds`, one row per stretch and combination that holds a call; without
    latencies. One statement for any number of stretches, which may be of different lengths (days of a zone)."""
    _check(group_by)
    where, parameters = narrowed(clients, equals)
    begins = [minute_of(bound) for bound in bounds]
    keys = "".join(f', "{name}"' for name in group_by)
    found = current().query(
        f"""with stretches as (select unnest(?::integer[]) as begins)
            select begins{keys}, {SUMS} from rollup asof join stretches on rollup.minute >= stretches.begins
            where minute >= ? and minute < ? and {where} group by begins{keys} having {TOLD}
            order by begins{keys}""",
        [begins[:-1], begins[0], begins[-1], *parameters],
    )
    place = {begin: number for number, begin in enumerate(begins)}
    return [_window(row, bounds[place[row["begins"]]], bounds[place[row["begins"]] + 1], group_by, {}) for row in found]


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
        parameters += _place(before)
    found = current().query(
        f"select * from calls where start_ns >= ? and start_ns < ? and {where}"
        f" order by start_ns desc, span_id desc limit {int(limit)}",
        [clock.to_ns(start), clock.to_ns(end), *parameters],
    )
    return [_readable(row) for row in found]


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
        ("trace_id = ?", _trace(trace_id) if trace_id else None),
    ]
    for sql, value in bounds:
        if value is not None:
            where += f" and {sql}"
            parameters.append(value)
    if before is not None:
        where += AFTER_CURSOR
        parameters += _place(before)
    order = f"order by start_ns desc, span_id desc limit {int(limit)}"
    found = current().query(f"select * from spans where {where} {order}", parameters)
    return [_readable(row) for row in found]


def trace(
    trace_id: str, clients: Clients = None, limit: int = 5000
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(spans in order of start, calls counted in it)."""
    where, parameters = narrowed(clients, {})
    wanted = [_trace(trace_id), *parameters]
    found = current().query(
        f"select * from spans where trace_id = ? and {where} order by start_ns limit {limit}", wanted
    )
    counted = current().query(f"select * from calls where trace_id = ? and {where}", wanted)
    return [_readable(row) for row in found], [_readable(row) for row in counted]


def total_spans() -> int:
    return int(current().query("select count(*) as total from spans")[0]["total"])


def sightings(since_ns: int) -> list[dict[str, Any]]:
    """Distinct things that spans started at or after `since_ns` tell of."""
    return current().query(
        """select distinct client, system, environment, service, release, agent, prompt_name, prompt_version, tool,
           coalesce(model_answered, model_requested) as model from spans where start_ns >= ?""",
        [since_ns],
    )


def _trace(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 16:
        raise Invalid(f"{text!r} is no trace id.", "32 hex digits")
    return raw


def _place(cursor: str) -> list[Any]:
    """A row's place in the order: its start, and its id among those that start at the same time."""
    start, _, span = cursor.partition("-")
    try:
        return [int(start), int(start), bytes.fromhex(span)]
    except ValueError:
        raise Invalid(f"{cursor!r} is no cursor.", "Take it from the answer before.") from None


def _readable(row: dict[str, Any]) -> dict[str, Any]:
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
