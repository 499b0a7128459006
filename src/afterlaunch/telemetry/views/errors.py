"""Failures by whose fault and of which kind; what was throttled, how long it cost, and how close the limits are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.look import charts, formats
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.queries import narrowed
from afterlaunch.telemetry.records import readable
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.views import reading
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.grids import COUNT, INSTANT, NUMBER, SHARE, TEXT, Column, Grid
from afterlaunch.telemetry.views.newest import newest
from afterlaunch.telemetry.views.sheets import (
    Section,
    Sheet,
    Tile,
    dimension_columns,
    groups,
    step_minutes,
    to_calls,
)
from afterlaunch.telemetry.views.sums import Group, groups_of, over_time

WHOSE = {
    "rate_limited": "rate limit",
    "overloaded": "rate limit",
    "quota_exhausted": "rate limit",
    "timeout": "timeout",
    "tool_error": "tool",
    "retrieval_error": "retrieval",
    "guardrail_block": "guard",
    "content_filter": "guard",
    "provider_error": "provider",
    "model_not_found": "application",
    "context_length": "application",
    "invalid_request": "application",
    "agent_limit": "application",
    "application": "application",
    "model_output": "provider",
    "network": "network",
    "auth": "account",
    "cancelled": "user",
}
THROTTLED = ("rate_limited", "overloaded", "quota_exhausted")
TOLD = (profiles.ERROR, profiles.PASSED_ON, profiles.RECOVERED)
MOST_EVENTS, NEWEST, FIRST = 200, 1_000, 20
TRIED_AGAIN_NS = 3_600 * 10**9  # later attempts are not those of the same failure
CALLS_ONLY = "op_kind in ('inference', 'embedding', 'rerank')"
ROOM = "start_ns, provider, model_answered, model_requested, limits, limit_headroom"
COLUMNS = (
    Column("whose", TEXT, "Whose"),
    Column("error_kind", TEXT, "Kind"),
    Column("fault", TEXT, "Fault"),
    Column("failed", COUNT, "Failed", "each failure once, where it began"),
    Column("recovered", COUNT, "Recovered", "a retry or a fallback after it succeeded"),
    Column("passed_on", COUNT, "Passed on", "failed only because something below failed; not counted again"),
    Column("share_of_failed", SHARE, "Of all failures"),
    Column("share_of_operations", SHARE, "Of the group's operations"),
)
EVENTS = (
    Column("at", INSTANT, "When"),
    Column("provider", TEXT, "Provider"),
    Column("model", TEXT, "Model"),
    Column("error_kind", TEXT, "Kind"),
    Column("limit_type", TEXT, "Limit"),
    Column("limit", NUMBER, "Limit"),
    Column("remaining", NUMBER, "Left"),
    Column("retry_after_s", NUMBER, "Retry after, s", "what the provider asked for"),
    Column("wait_s", NUMBER, "Waited, s", "until the next attempt in the trace"),
    Column("recovered", TEXT, "Recovered"),
    Column("tenant", TEXT, "Tenant"),
    Column("route", TEXT, "Route"),
    Column("trace_id", TEXT, "Trace"),
    Column("headers", TEXT, "Headers", shown=False),
)
HEADROOM = (
    Column("provider", TEXT, "Provider"),
    Column("model", TEXT, "Model"),
    Column("at", INSTANT, "Last told"),
    Column("limit_type", TEXT, "Tightest limit"),
    Column("remaining", NUMBER, "Left"),
    Column("limit", NUMBER, "of"),
    Column("headroom", SHARE, "Headroom"),
    Column("lowest", SHARE, "Lowest of these"),
)
SEND = (
    "Send response headers as http.response.header.x-ratelimit-… on the call's span; instrumentations can capture them."
)


def sheet(ask: Asked) -> Sheet:
    names = groups(ask, "op_kind")
    found = groups_of(ask, names, TOLD, operations=True)
    rows = sorted((row for one in found for row in _rows(one)), key=lambda row: -row["failed"])
    failed = sum(row["failed"] for row in rows)
    operations = sum(one["calls"] for one in found)
    for row in rows:
        row["share_of_failed"] = row["failed"] / failed if failed else None
    links = to_calls(ask, names, of="spans")
    links["error_kind"] = lambda row: ask.link("/calls", q=str(ask.search.also("error", row["error_kind"])), of="spans")
    events = throttled(ask)
    room = headrooms(ask)
    return Sheet(
        [
            Section("rows", "By whose fault", Grid([*dimension_columns(names), *COLUMNS], rows, links), NOTE,
                    "Nothing failed", "No operation in this time told a failure."),
            Section("headroom", "Before the limit", Grid(HEADROOM, room), f"Of the newest {NEWEST:,} calls.",
                    "No limits are told", SEND),
            Section("throttling", "Throttled", Grid(EVENTS, events, {"trace_id": _trace}), _lost(events),
                    "Nothing was throttled", "No 429, overload or exhausted quota in this time.", FIRST),
        ],
        _tiles(rows, failed, operations),
        (lambda: _chart(ask)) if failed else None,
        "Failures over time",
    )  # fmt: skip


NOTE = (
    "Operations are model calls, tools, retrievals, agents' runs and the like. A failure counts once, at the deepest"
    " operation that failed; what is above it and only passed it on is counted apart, a minute or so after it came."
)


def _trace(row: Any) -> str:
    return f"/traces/{row['trace_id']}"


def _rows(one: Group) -> list[dict[str, Any]]:
    whole = one["calls"]
    return [
        {**one.key, **row, "share_of_operations": row["failed"] / whole if whole > 0 else None} for row in _counted(one)
    ]


def _counted(one: Group) -> list[dict[str, Any]]:
    """By kind of failure."""
    out = []
    passed, good = (dict(one.spread.get(measure, ())) for measure in (profiles.PASSED_ON, profiles.RECOVERED))
    for code, failed in one.spread.get(profiles.ERROR, ()):
        kind, fault = profiles.error_of(code)
        whose = {"whose": WHOSE.get(kind, "unknown"), "error_kind": kind, "fault": fault}
        passed_on = min(passed.get(code, 0), failed)
        out.append({**whose, "failed": failed - passed_on, "recovered": good.get(code, 0), "passed_on": passed_on})
    return out


def by_whose(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    out: dict[str, int] = {}
    for row in rows:
        out[row["whose"]] = out.get(row["whose"], 0) + row["failed"]
    return dict(sorted(out.items(), key=lambda one: -one[1]))


def _tiles(rows: list[dict[str, Any]], failed: int, operations: int) -> list[Tile]:
    recovered = sum(row["recovered"] for row in rows)
    first = Tile("Failed", formats.percent(failed, operations), f"{failed:,} of {operations:,} operations")
    good = Tile("Recovered", formats.percent(recovered, failed), f"{recovered:,}, by a retry or a fallback")
    whose = [
        Tile(who.capitalize(), formats.count(count), formats.percent(count, failed))
        for who, count in by_whose(rows).items()
        if count
    ]
    return [first, good, *whose]


def _chart(ask: Asked) -> Any:
    points = []
    for at, one in over_time(
        ask, step_minutes(ask.start, ask.end), (profiles.ERROR, profiles.PASSED_ON), operations=True
    ):
        points.append((at, by_whose(_counted(one)) if one else {}))
    names = list(dict.fromkeys(name for _, counts in points for name in counts))
    top = sorted(names, key=lambda name: -sum(counts.get(name, 0) for _, counts in points))[:5]
    filled = [(at, {name: float(counts.get(name, 0)) for name in top}) for at, counts in points]
    return charts.lines(filled, "failures", "bar", width=1_000, height=150)


def throttled(ask: Asked) -> list[dict[str, Any]]:
    """Throttled attempts, newest first, each with what followed in its trace."""
    found = newest(ask, f"error_kind in (select unnest(?)) and {CALLS_ONLY}", "*", MOST_EVENTS, [list(THROTTLED)])
    rows = [readable(row) for row in found]
    attempts = _attempts(ask, rows)
    return [_event(row, attempts.get((row["client"], row["trace_id"]), [])) for row in rows]


def _attempts(ask: Asked, rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The calls in the traces of these rows, from the first of them until an hour after the last."""
    if not rows:
        return {}
    seen, mine = narrowed(ask.clients, {})
    starts = [row["start_ns"] for row in rows]
    traces = sorted({row["trace_id"] for row in rows})
    found = current().query(
        "select client, trace_id, span_id, provider, start_ns, failed,"
        " coalesce(model_requested, model_answered) as model, gateway"
        f" from spans where start_ns between ? and ? and {seen} and trace_id in (select unhex(unnest(?)))"
        " and op_kind in ('inference', 'embedding', 'rerank') order by start_ns",
        [min(starts), max(starts) + TRIED_AGAIN_NS, *mine, traces],
    )
    out: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in found:
        out.setdefault((row["client"], row["trace_id"].hex()), []).append(row)
    return out


def _event(row: dict[str, Any], attempts: list[dict[str, Any]]) -> dict[str, Any]:
    end = row["start_ns"] + (row["duration_ns"] or 0)
    later = [one for one in attempts if one["start_ns"] >= end and one["span_id"].hex() != row["span_id"]]
    told = reading.limits(row)
    tightest = min(told, key=lambda kind: _room(told[kind]), default=None)
    limit = told.get(tightest, {}) if tightest else {}
    heads = {
        name: value for name, value in reading.headers(row).items() if "ratelimit" in name or name.startswith("retry")
    }
    return {
        "at": row["start"],
        "provider": row["provider"],
        "model": row["model_answered"] or row["model_requested"],
        "error_kind": row["error_kind"],
        "limit_type": row["limit_type"] or tightest,
        "limit": limit.get("limit"),
        "remaining": limit.get("remaining"),
        "retry_after_s": row["retry_after_ns"] / 1e9 if row["retry_after_ns"] is not None else None,
        "wait_s": (later[0]["start_ns"] - end) / 1e9 if later else None,
        "recovered": ("yes" if any(not one["failed"] for one in later) else "no") if later else None,
        "tenant": row["tenant"],
        "route": row["route"],
        "trace_id": row["trace_id"],
        "headers": "; ".join(f"{name}: {value}" for name, value in sorted(heads.items())) or row["limits"],
    }


def _room(limit: dict[str, float]) -> float:
    return limit["remaining"] / limit["limit"] if limit.get("limit") and "remaining" in limit else 2.0


def _lost(events: list[dict[str, Any]]) -> str:
    if not events:
        return ""
    waits = [one["wait_s"] for one in events if one["wait_s"] is not None]
    some = f"The newest {MOST_EVENTS}. " if len(events) == MOST_EVENTS else ""
    tried = sum(one["recovered"] is not None for one in events)
    recovered = sum(one["recovered"] == "yes" for one in events)
    lost = formats.duration_seconds(sum(waits)) if waits else "not told"
    return f"{some}{len(events)} attempts; {tried} were tried again, {recovered} of these recovered; lost time {lost}."


def headrooms(ask: Asked) -> list[dict[str, Any]]:
    """By provider and model: what the newest calls said of the limits."""
    recent = newest(ask, CALLS_ONLY, ROOM, NEWEST)
    rows = [row for row in recent if reading.limits(row)]
    out: dict[tuple[Any, Any], dict[str, Any]] = {}
    for row in rows:
        limits, room = reading.limits(row), row["limit_headroom"]
        key = (row["provider"], row["model_answered"] or row["model_requested"])
        if not limits or room is None:
            continue
        kind = min(limits, key=lambda one: _room(limits[one]))
        first = {
            "provider": key[0],
            "model": key[1],
            "at": clock.from_ns(row["start_ns"]),
            "limit_type": kind,
            "remaining": limits[kind].get("remaining"),
            "limit": limits[kind].get("limit"),
            "headroom": room,
            "lowest": room,
        }
        kept = out.setdefault(key, first)
        kept["lowest"] = min(kept["lowest"], room)
    return sorted(out.values(), key=lambda row: row["lowest"])
