"""p50, p95 and p99 of every kind of operation, and the time to the first token."""

from __future__ import annotations

from typing import Any

from afterlaunch.look import charts, formats
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.queries import CALL_KINDS
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.grids import COUNT, MS, SHARE, Column, Grid
from afterlaunch.telemetry.views.sheets import (
    Section,
    Sheet,
    Tile,
    dimension_columns,
    groups,
    step_minutes,
    to_calls,
)
from afterlaunch.telemetry.views.sums import Group, groups_of, merged, over_time

MEASURES = (profiles.LATENCY, profiles.TTFT)
COLUMNS = (
    Column("count", COUNT, "Count"),
    Column("failed_share", SHARE, "Failed"),
    Column("p50_ms", MS, "p50"),
    Column("p95_ms", MS, "p95"),
    Column("p99_ms", MS, "p99"),
    Column("ttft_p50_ms", MS, "First token p50"),
    Column("ttft_p95_ms", MS, "p95"),
    Column("ttft_p99_ms", MS, "p99"),
    Column("ttft_count", COUNT, "of", "calls that tell the time to their first token"),
    Column("without_duration", COUNT, "No duration", shown=False),
)
NOTE = (
    "Within 5 %. Time to first token is of the calls that tell it: gen_ai.response.time_to_first_chunk in seconds, or"
    " what other instrumentations call it."
)


def sheet(ask: Asked) -> Sheet:
    names = groups(ask, "op_kind" if ask.path.startswith("/calls/") else "model")
    equals = ask.search.equals()
    every = bool({"op_kind", "tool"} & {*names, *equals})
    found = sorted(groups_of(ask, names, MEASURES, operations=every), key=lambda one: -one["calls"])
    grid = Grid([*dimension_columns(names), *COLUMNS], [_row(one) for one in found], to_calls(ask, names, of="spans"))
    kinds = "op_kind" in equals or "tool" in equals
    return Sheet(
        [Section("rows", "By " + ", ".join(names) if names else "In all", grid, NOTE)],
        _tiles(merged(found if kinds or not every else _calls_only(ask, names, found))),
        (lambda: _chart(ask, kinds)) if found else None,
        "What was asked for, over time" if kinds else "Model calls over time",
    )


def _calls_only(ask: Asked, names: list[str], found: list[Group]) -> list[Group]:
    if "op_kind" in names:
        return [one for one in found if one.key["op_kind"] in CALL_KINDS]
    return groups_of(ask, [], MEASURES)


def _chart(ask: Asked, operations: bool) -> Any:
    points = []
    for at, one in over_time(ask, step_minutes(ask.start, ask.end), (profiles.LATENCY,), operations):
        told = one.quantiles(profiles.LATENCY) if one else None
        points.append((at, {name: getattr(told, name) if told else None for name in ("p50", "p95", "p99")}))
    return charts.lines(points, "ms", width=1_000, height=170)


def _row(one: Group) -> dict[str, Any]:
    whole, first = one.quantiles(profiles.LATENCY), one.quantiles(profiles.TTFT)
    out: dict[str, Any] = {
        **one.key,
        "count": one["calls"],
        "failed_share": one["failed"] / one["calls"] if one["calls"] else None,
    }
    for prefix, told in (("", whole), ("ttft_", first)):
        for name in ("p50", "p95", "p99"):
            out[f"{prefix}{name}_ms"] = getattr(told, name) if told else None
    known = one.known(profiles.LATENCY)
    return out | {"ttft_count": one.known(profiles.TTFT), "without_duration": max(0, one["calls"] - known)}


def _tiles(found: Group | None) -> list[Tile]:
    if found is None:
        return []
    row = _row(found)
    tiles = [Tile(name, formats.duration_ms(row[f"{name}_ms"])) for name in ("p50", "p95", "p99")]
    first = [Tile(f"First token {name}", formats.duration_ms(row[f"ttft_{name}_ms"])) for name in ("p50", "p95")]
    return [Tile("Count", formats.compact(row["count"])), *tiles, *first]
