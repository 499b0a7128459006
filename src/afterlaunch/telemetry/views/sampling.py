"""Calls of sampled traces: what was sent, and what it stands for.

Sums everywhere are of what was sent. Where samplers tell the share that they let through (`conventions.sampling`), or
an operator has told it (`keeping.rates`), the rollups keep beside them what was left out; it is shown here, apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from afterlaunch.look import formats
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.grids import COUNT, SHARE, USD, Column, Grid
from afterlaunch.telemetry.views.sheets import Section, Tile, dimension_columns, to_calls
from afterlaunch.telemetry.views.sums import Group
from afterlaunch.telemetry.windows import extrapolated

COLUMNS = (
    Column("calls", COUNT, "Calls sent"),
    Column("calls_sampled", COUNT, "Of samples", "calls of traces whose sampler lets but a share of them through"),
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
    "Extrapolated by the share of traces that samplers say they send (ot=th in tracestate, or an attribute), or that"
    " Settings, Keeping tells. The figures above are of what was sent; what was left out is not in them, and in no"
    " budget."
)


def sampled(groups: Iterable[Group]) -> list[dict[str, Any]]:
    """Of those that hold calls of samples, the most calls first. Pure."""
    rows = [_row(one) for one in groups if one["calls_sampled"]]
    return sorted(rows, key=lambda row: -row["calls_extrapolated"])


def _row(one: Group) -> dict[str, Any]:
    calls = extrapolated(one["calls"], one["calls_unsent_milli"])
    tokens = {"input": one.input, "output": one.output}
    return {
        **one.key,
        "calls": one["calls"],
        "calls_sampled": one["calls_sampled"],
        "calls_extrapolated": calls,
        "share_sent": one["calls"] / calls,
        "cost_usd": one.cost,
        "cost_extrapolated_usd": None if one.cost is None else one.cost + one["cost_unsent_nano"],
        "calls_with_unknown_cost": one["calls_unknown_cost"],
        **{f"{side}_tokens": count for side, count in tokens.items()},
        **{
            f"{side}_tokens_extrapolated": None if count is None else count + one[f"{side}_unsent"]
            for side, count in tokens.items()
        },
    }


def section(ask: Asked, names: Sequence[str], rows: list[dict[str, Any]]) -> Section:
    grid = Grid([*dimension_columns(names), *COLUMNS], rows, to_calls(ask, names))
    return Section("sampled", "Sampled traces", grid, NOTE)


def tile(rows: Sequence[Mapping[str, Any]]) -> Tile:
    sent, meant = (sum(row[name] for row in rows) for name in ("calls", "calls_extrapolated"))
    said = f"calls were sent, for {formats.compact(meant)}; sums are of what was sent"
    return Tile("Sampled", formats.compact(sent), said, "warning")
