"""One call, one cost: which spans tell of the same model call, and what the call then is. Pure.

Telemetry conventions §6-7, thin: key A (equal response id) and key B (one is the other's ancestor, other scope,
interval inside). Spans of the same scope are never merged. The result does not depend on the order of arrival:
`merge` is commutative over the members' ranks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from afterlaunch.telemetry.columns import BUCKETS

SDK_SCOPES = ("com.anthropic.sdk.python",)
SLACK_NS = 50_000_000
APPLICATION_FIRST = ("system", "environment", "service", "agent", "session", "user", "version", "release")
GATEWAY_FIRST = ("route", "arm", "tenant", "gateway_call", "version")
NUMBERS = (*BUCKETS, "cost_nano", "cost_confidence", "price", "finish_reason", "refused", "truncated")

Row = dict[str, Any]


def rank(scope: str | None, scope_version: str | None, gateway: bool, streaming: bool | None) -> int:
    """How far a member's numbers are trusted: 3 wire readers, 1 others, 0 known to be wrong."""
    if gateway or scope in SDK_SCOPES:
        return 3
    if scope == "opentelemetry.instrumentation.anthropic" and streaming:
        return 0
    return 1


def known(row: Mapping[str, Any]) -> int:
    return sum(row[bucket] is not None for bucket in BUCKETS)


def better(a: Row, b: Row) -> tuple[Row, Row]:
    """(the member whose numbers count, the other one)."""

    def order(row: Row) -> tuple[Any, ...]:
        total = sum(row[bucket] or 0 for bucket in BUCKETS[:6])
        return (
            row["rank"] if known(row) else -1,
            known(row),
            total,
            not row["gateway"],
            row["scope"] or "",
            row["span_id"],
        )

    return (a, b) if order(a) >= order(b) else (b, a)


def merge(a: Row, b: Row) -> Row:
    """One call out of two members, or of a call and a further member."""
    best, other = better(a, b)
    application, gateway = (a, b) if b["gateway"] and not a["gateway"] else (b, a)
    if a["gateway"] == b["gateway"]:
        application, gateway = best, other
    out = {name: value if value is not None else other[name] for name, value in best.items()}
    if known(best):
        out |= {name: best[name] for name in NUMBERS}
    out |= {name: _first(application[name], gateway[name]) for name in APPLICATION_FIRST}
    out |= {name: _first(gateway[name], application[name]) for name in GATEWAY_FIRST}
    for name in ("trace_id", "span_id", "start_ns", "duration_ns", "minute"):
        out[name] = application[name]
    out["gateway"] = a["gateway"] and b["gateway"]
    out["failed"] = application["failed"]
    out["members"] = sorted({*a["members"], *b["members"]})
    out["scopes"] = sorted({*a["scopes"], *b["scopes"]})
    out["conflict"] = a["conflict"] or b["conflict"] or conflicting(a, b)
    return out


def _first(one: Any, two: Any) -> Any:
    """Absent and "unknown" give way."""
    return two if one is None or (one == "unknown" and two is not None) else one


def conflicting(a: Row, b: Row) -> bool:
    """Both tell totals, and they differ."""

    def totals(row: Row) -> tuple[int, int] | None:
        if row["in_uncached"] is None or row["out_visible"] is None:
            return None
        return sum(row[n] or 0 for n in BUCKETS[:6]), sum(row[n] or 0 for n in BUCKETS[6:])

    one, two = totals(a), totals(b)
    return one is not None and two is not None and one != two


def same_call(a: Row, b: Row) -> str | None:
    """The named reason for which two members tell of one call; None when they don't."""
    if set(a["scopes"]) & set(b["scopes"]) or a["client"] != b["client"]:
        return None
    if a["response_id"] and a["response_id"] == b["response_id"]:
        return "response_id" if abs(a["start_ns"] - b["start_ns"]) < 600_000_000_000 else None
    if a["response_id"] and b["response_id"]:
        return None
    for outer, inner in ((a, b), (b, a)):
        if outer["trace_id"] == inner["trace_id"] and outer["span_id"] in inner["ancestors"] and _inside(outer, inner):
            return "ancestor"
    return None


def _inside(outer: Row, inner: Row) -> bool:
    if outer["duration_ns"] is None or inner["duration_ns"] is None:
        return False
    starts = inner["start_ns"] >= outer["start_ns"] - SLACK_NS
    ends = inner["start_ns"] + inner["duration_ns"] <= outer["start_ns"] + outer["duration_ns"] + SLACK_NS
    return bool(starts and ends)


def group(rows: Iterable[Row]) -> list[Row]:
    """Merge the members of each call; whatever belongs to nobody else stays alone."""
    out: list[Row] = []
    for row in sorted(rows, key=lambda r: (r["start_ns"], r["span_id"])):
        mates = [place for place, other in enumerate(out) if same_call(row, other)]
        if len(mates) == 1 or (mates and row["response_id"]):
            out[mates[0]] = merge(out[mates[0]], row)
        else:
            out.append(row)
    return out
