"""One call, one cost: which spans tell of the same model call, and what the call then is. Pure.

Telemetry conventions §6-7. `group` takes one row per span and
1. gives the usage record of a stream to the request it belongs to (the nearest earlier one with the same stream key);
2. merges rows with the same response id (key A), and a row with its ancestor of another scope (key B);
3. merges what has no id and no ancestry but is alike in everything that is told, when exactly one candidate is (key C).
Spans of the same scope are never merged. The result depends on the set of rows only, not on their order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.tables import ORPHAN

SLACK_NS = 50_000_000
APPLICATION_FIRST = (
    "system",
    "environment",
    "service",
    "agent",
    "session",
    "user",
    "transaction",
    "version",
    "release",
)
GATEWAY_FIRST = ("route", "arm", "tenant", "gateway_call", "version")
NUMBERS = (*BUCKETS, "cost_nano", "cost_confidence", "price", "finish_reason", "refused", "truncated", "estimated")

ANY = "any"

Row = dict[str, Any]


def apart_ns() -> int:
    """Members of one call start within ten minutes of each other: real ones, however fast a demo's clock runs."""
    return int(clock.lease(600).total_seconds()) * 1_000_000_000


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
    first, second = gateway, application
    if _of_ours(a) != _of_ours(b):
        first, second = (a, b) if _of_ours(a) else (b, a)
    out |= {name: _first(first[name], second[name]) for name in GATEWAY_FIRST}
    for name in ("trace_id", "span_id", "start_ns", "duration_ns", "minute"):
        out[name] = application[name]
    out["gateway"] = a["gateway"] and b["gateway"]
    out["failed"] = application["failed"]
    out["adjusted_count_milli"] = _least(a["adjusted_count_milli"], b["adjusted_count_milli"])
    out["members"] = sorted({*a["members"], *b["members"]})
    out["scopes"] = sorted({*a["scopes"], *b["scopes"]})
    out["conflict"] = a["conflict"] or b["conflict"] or conflicting(a, b)
    return out


def _of_ours(row: Row) -> bool:
    """Whether our own gateway told of it, which knows the route that it served; other proxies tell their path."""
    return row["gateway_call"] is not None


def _least(one: int | None, two: int | None) -> int | None:
    """Of a call that two senders tell: it is missing only where both left it out."""
    return min((count for count in (one, two) if count is not None), default=None)


def _first(one: Any, two: Any) -> Any:
    """Absent and "unknown" give way."""
    return two if one is None or (one == "unknown" and two is not None) else one


def totals(row: Row) -> tuple[int, int] | None:
    """Tokens in and out, where both are known."""
    if row["in_uncached"] is None or row["out_visible"] is None:
        return None
    return sum(row[n] or 0 for n in BUCKETS[:6]), sum(row[n] or 0 for n in BUCKETS[6:])


def conflicting(a: Row, b: Row) -> bool:
    """Both tell totals, and they differ. An estimate contradicts nobody."""
    if a["estimated"] or b["estimated"]:
        return False
    one, two = totals(a), totals(b)
    return one is not None and two is not None and one != two


def same_call(a: Row, b: Row) -> str | None:
    """The named reason for which two members tell of one call; None when they don't."""
    if set(a["scopes"]) & set(b["scopes"]) or a["client"] != b["client"]:
        return None
    if a["response_id"] and a["response_id"] == b["response_id"]:
        return "response_id" if abs(a["start_ns"] - b["start_ns"]) < apart_ns() else None
    if a["response_id"] and b["response_id"]:
        return None
    for outer, inner in ((a, b), (b, a)):
        if outer["trace_id"] == inner["trace_id"] and _above(outer, inner) and _inside(outer, inner):
            return "ancestor"
    return None


def _above(outer: Row, inner: Row) -> bool:
    return any(bytes.fromhex(member) in inner["ancestors"] for member in outer["members"])


def _inside(outer: Row, inner: Row) -> bool:
    """A streamed request of Logfire ends before its stream does: there it is enough that the inner one starts in it."""
    if outer["duration_ns"] is None or inner["duration_ns"] is None:
        return False
    begins, ends = outer["start_ns"] - SLACK_NS, outer["start_ns"] + outer["duration_ns"] + SLACK_NS
    last = inner["start_ns"] if outer["stream_key"] else inner["start_ns"] + inner["duration_ns"]
    return bool(begins <= inner["start_ns"] and last <= ends)


def group(rows: Iterable[Row]) -> list[Row]:
    """Merge the members of each call; whatever belongs to nobody else stays alone. Those with a response id first: an
    attempt that failed must not take the place of the one that answered."""
    out: list[Row] = []
    near: dict[Any, set[int]] = defaultdict(set)  # response id or trace -> places in `out`
    for row in sorted(_with_usage(sorted(rows, key=_order)), key=lambda row: not row["response_id"]):
        around = near[row["response_id"]] | near[row["trace_id"]] if row["response_id"] else near[row["trace_id"]]
        mates = [place for place in sorted(around) if same_call(row, out[place])]
        if len(mates) == 1 or (mates and row["response_id"]):
            place = mates[0]
            out[place] = merge(out[place], row) | {"ancestors": out[place]["ancestors"] | row["ancestors"]}
        else:
            place = len(out)
            out.append(row)
        for key in (row["response_id"], row["trace_id"]):
            if key:
                near[key].add(place)
    return _merge_alike(out)


def _order(row: Row) -> tuple[int, bytes]:
    return row["start_ns"], row["span_id"]


def _with_usage(rows: list[Row]) -> list[Row]:
    """Each usage record, in order of time, goes to the nearest earlier request that has none yet."""
    out: list[Row] = []
    waiting: dict[str, list[int]] = {}
    for row in rows:
        places = waiting.setdefault(row["stream_key"], []) if row["stream_key"] else []
        if row["part"] == ORPHAN and places:
            place = places.pop()
            out[place] = told_by(out[place], row)
        else:
            out.append(row)
            if row["stream_key"] and row["part"] != ORPHAN:
                places.append(len(out) - 1)
    return out


def told_by(request: Row, record: Row) -> Row:
    """The request with the numbers of its usage record. It lasted until the record was written: the stream's end."""
    numbers = {name: record[name] for name in NUMBERS if record[name] is not None}
    lasted = max(record["start_ns"] - request["start_ns"], request["duration_ns"] or 0)
    members = sorted({*request["members"], *record["members"]})
    return {**request, **numbers, "duration_ns": lasted, "members": members}


def _merge_alike(rows: list[Row]) -> list[Row]:
    """Key C: rows that ran at the same time under different scopes, in one trace or process, and tell the same. Two
    candidates: none is merged, all are marked."""
    loose = sorted((row for row in rows if _is_loose(row)), key=_order)
    times: Counter[bytes] = Counter()
    mate: dict[bytes, Row] = {}
    for row, others in _running_beside(loose):
        own = row["span_id"]
        for other in others:
            times[own] += 1
            times[other["span_id"]] += 1
            mate[own], mate[other["span_id"]] = other, row
    gone: set[bytes] = set()
    merged: list[Row] = []
    for row in loose:
        own = row["span_id"]
        if not times[own] or own in gone:
            continue
        other = mate[own]
        if times[own] == times[other["span_id"]] == 1:
            merged.append(merge(row, other) | {"flags": ["merged_by_likeness"]})
            gone |= {own, other["span_id"]}
        else:
            row["flags"] = ["possible_duplicate"]
    return [row for row in rows if row["span_id"] not in gone] + merged


def _is_loose(row: Row) -> bool:
    told = row["duration_ns"] is not None and row["model_requested"]
    return bool(row["part"] is None and told and not row["gateway"])


def _running_beside(loose: list[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """For each row, in order of time, the earlier ones that are like it and still ran when it began. Every row stands
    under what those that are like it must share, so that no other is looked at."""
    running: dict[tuple[Any, ...], list[Row]] = {}
    scopes_seen: set[tuple[str, ...]] = set()
    for row in loose:
        scopes, numbers, has_id = tuple(sorted(row["scopes"])), totals(row), bool(row["response_id"])
        strangers = [one for one in scopes_seen if not set(one) & set(scopes)]
        ids = (False,) if has_id else (False, True)
        told = (ANY,) if numbers is None else (numbers, None)
        same = tuple(row[name] for name in ("client", "model_requested", "op_kind", "failed", "error_kind"))
        places = [("trace", row["trace_id"])]
        if row["instance"] is not None:
            places.append(("process", row["instance"]))
        found: list[Row] = []
        for place in places:
            for key in product((place,), (same,), strangers, ids, told):
                if key in running:
                    left = running[key] = [one for one in running[key] if _ends(one) >= row["start_ns"]]
                    found += [one for one in left if place[0] == "trace" or one["trace_id"] != row["trace_id"]]
            for number in (numbers, ANY):
                running.setdefault((place, same, scopes, has_id, number), []).append(row)
        scopes_seen.add(scopes)
        if found:
            yield row, found


def _ends(row: Row) -> int:
    return int(row["start_ns"] + row["duration_ns"])
