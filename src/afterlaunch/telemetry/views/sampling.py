"""Calls of sampled traces: what was sent, and what it stands for.

A sampler of OpenTelemetry writes into a trace's state which share of traces it lets through (`ot=th:T`: of 2^56 random
numbers the T lowest are left out), so that one call stands for 2^56 / (2^56 - T) of them. Sums everywhere are of what
was sent; what that stands for is told here, apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.look import formats
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.queries import CALL_KINDS, narrowed
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.grids import COUNT, SHARE, USD, Column, Grid
from afterlaunch.telemetry.views.sheets import Section, Tile, dimension_columns, to_calls

DIGITS = 14
WHOLE = 1 << (4 * DIGITS)
THRESHOLD = r"(?:^|,)\s*ot=(?:[^,]*;)?th:([0-9a-f]{1,14})(?:[;,\s]|$)"
MEASURES = ("calls", "cost", "input", "output")
COLUMNS = (
    Column("calls", COUNT, "Calls sent"),
    Column("calls_extrapolated", COUNT, "Stand for"),
    Column("share_sent", SHARE, "Sent"),
    Column("cost_usd", USD, "Cost of these"),
    Column("cost_extrapolated_usd", USD, "Stands for"),
    Column("calls_with_unknown_cost", COUNT, "Cost unknown", "calls sent, not in the cost", shown=False),
    *(
        Column(f"{side}_tokens", COUNT, f"Tokens {word}", shown=False)
        for side, word in (("input", "in"), ("output", "out"))
    ),
    *(
        Column(f"{side}_tokens_extrapolated", COUNT, f"Tokens {word}, extrapolated", shown=False)
        for side, word in (("input", "in"), ("output", "out"))
    ),
)
NOTE = (
    "Of traces whose sampler tells the share that it sends (ot=th in tracestate). The figures above are of what was"
    " sent; these are not in them."
)


def stands_for(threshold: str) -> Fraction | None:
    """How many traces one stands for, by the hexadecimal digits of its sampler's threshold; None where they tell
    nothing. Zeros at the end are left out by senders."""
    try:
        left_out = int(threshold.ljust(DIGITS, "0"), 16)
    except ValueError:
        return None
    return Fraction(WHOLE, WHOLE - left_out) if 0 <= left_out < WHOLE and len(threshold) <= DIGITS else None


def extrapolated(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """One row for each combination of `names`, the most calls first; `rows` tell sums for each of its thresholds.
    Pure."""
    found: dict[tuple[Any, ...], tuple[dict[str, int], dict[str, Fraction]]] = {}
    for row in rows:
        if (times := stands_for(row["threshold"])) is None:
            continue
        sent, meant = found.setdefault(
            tuple(row[name] for name in names),
            (dict.fromkeys((*MEASURES, "unknown"), 0), dict.fromkeys(MEASURES, Fraction())),
        )
        sent["unknown"] += row["unknown"]
        for name in MEASURES:
            sent[name] += row[name]
            meant[name] += row[name] * times
    out = [_row(dict(zip(names, key, strict=True)), sent, meant) for key, (sent, meant) in found.items()]
    return sorted(out, key=lambda row: -row["calls_extrapolated"])


def _row(key: Mapping[str, Any], sent: Mapping[str, int], meant: Mapping[str, Fraction]) -> dict[str, Any]:
    known = sent["calls"] > sent["unknown"]
    return {
        **key,
        "calls": sent["calls"],
        "calls_extrapolated": round(meant["calls"]),
        "share_sent": float(sent["calls"] / meant["calls"]),
        "cost_usd": sent["cost"] if known else None,
        "cost_extrapolated_usd": round(meant["cost"]) if known else None,
        "calls_with_unknown_cost": sent["unknown"],
        **{f"{side}_tokens": sent[side] for side in ("input", "output")},
        **{f"{side}_tokens_extrapolated": round(meant[side]) for side in ("input", "output")},
    }


def sampled(ask: Asked, names: Sequence[str]) -> list[dict[str, Any]]:
    """`extrapolated`, of the calls that are asked for; empty where no trace tells of a sampler."""
    times, told = [clock.to_ns(ask.start), clock.to_ns(ask.end)], "trace_state is not null"
    if not current().query(
        f"select 1 as one from spans where start_ns >= ? and start_ns < ? and {told} limit 1", times
    ):
        return []
    where, parameters = narrowed(ask.clients, ask.search.equals())
    sides = (("input", BUCKETS[:6]), ("output", BUCKETS[6:]))
    sums = ", ".join(
        f"coalesce(sum({' + '.join(f'coalesce({one}, 0)' for one in buckets)}), 0)::bigint as {side}"
        for side, buckets in sides
    )
    groups = "".join(f'"{name}", ' for name in names)
    return extrapolated(
        current().query(
            f"""select {groups}threshold, count(*) as calls, coalesce(sum(cost_nano), 0)::bigint as cost,
                  count(*) - count(cost_nano) as unknown, {sums}
                from (select * from calls where start_ns >= ? and start_ns < ? and {where}
                      and op_kind in {CALL_KINDS} and part is null) as counted
                join (select client as whose, span_id as told_by,
                        max(regexp_extract(trace_state, '{THRESHOLD}', 1)) as threshold
                      from spans where start_ns >= ? and start_ns < ? and {told} group by client, span_id) as samplers
                  on samplers.whose = counted.client and samplers.told_by = counted.span_id
                where threshold <> '' group by {groups}threshold""",
            [*times, *parameters, *times],
        ),
        names,
    )


def section(ask: Asked, names: Sequence[str], rows: list[dict[str, Any]]) -> Section:
    grid = Grid([*dimension_columns(names), *COLUMNS], rows, to_calls(ask, names))
    return Section("sampled", "Sampled traces", grid, NOTE)


def tile(rows: Sequence[Mapping[str, Any]]) -> Tile:
    sent, meant = (sum(row[name] for row in rows) for name in ("calls", "calls_extrapolated"))
    said = f"calls were sent, for {formats.compact(meant)}; sums are of what was sent"
    return Tile("Sampled", formats.compact(sent), said, "warning")
