"""Tokens, the prompt cache and cost, by any dimension; and what one transaction, session or user costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.look import charts, formats
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.queries import narrowed
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.views import sampling
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.grids import COUNT, SHARE, TEXT, USD, Column, Grid, Later
from afterlaunch.telemetry.views.quality import incomplete
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

COLUMNS = (
    Column("calls", COUNT, "Calls"),
    Column("input_tokens", COUNT, "Tokens in"),
    Column("output_tokens", COUNT, "Tokens out"),
    Column("prompt_cache_hit_rate", SHARE, "From cache", "of the input tokens, where the provider tells it"),
    Column("cost_usd", USD, "Cost"),
    Column("cost_per_call_usd", USD, "Per call", "mean of the calls whose cost is known"),
    Column("cost_p95_usd", USD, "p95 per call", "within 5 %"),
    Column("calls_with_unknown_cost", COUNT, "Cost unknown", "calls, not in the sum"),
    Column("cost_estimated_usd", USD, "Estimated", "part of the cost, of calls whose tokens nobody told"),
    Column("calls_estimated", COUNT, "Calls estimated", shown=False),
    Column("calls_with_unknown_tokens", COUNT, "Tokens unknown", "calls, not in the sum", shown=False),
    *(Column(name, COUNT, name, shown=False) for name in BUCKETS),
)
UNITS = {"transaction": 'coalesce("transaction", lower(hex(trace_id)))', "session": "session", "user": '"user"'}
UNIT_COLUMNS = (
    Column("unit", TEXT, "One"),
    Column("count", COUNT, "How many"),
    Column("calls", COUNT, "Calls"),
    Column("cost_mean_usd", USD, "Mean"),
    Column("cost_p50_usd", USD, "p50"),
    Column("cost_p95_usd", USD, "p95"),
    Column("cost_max_usd", USD, "Most"),
    Column("with_unknown_cost", COUNT, "Not all known", "not in these figures"),
)


def sheet(ask: Asked) -> Sheet:
    names = groups(ask, "model")
    found = sorted(groups_of(ask, names, (profiles.INPUT, profiles.COST)), key=lambda one: -(one.cost or 0))
    rows = [_row(one) for one in found]
    estimated = any(row["calls_estimated"] for row in rows)
    figures = [one if estimated or one.name != "cost_estimated_usd" else replace(one, shown=False) for one in COLUMNS]
    grid = Grid([*dimension_columns(names), *figures], rows, to_calls(ask, names))
    of_samples = sampling.sampled(found)
    return Sheet(
        [
            Section("rows", "By " + ", ".join(names) if names else "In all", grid),
            Section(
                "units",
                "What one of them costs",
                Grid(UNIT_COLUMNS, Later(lambda: units(ask)), {"unit": lambda row: ask.link(f"/calls/{row['unit']}s")}),
                UNITS_NOTE,
                later=True,
            ),
            *([sampling.section(ask, names, of_samples)] if of_samples else []),
        ],
        [*_tiles(found, ask), *([sampling.tile(of_samples)] if of_samples else [])],
        (lambda: _chart(ask)) if any(one["cost_nano"] for one in found) else None,
        "Cost over time",
    )


def _chart(ask: Asked) -> Any:
    steps = over_time(ask, step_minutes(ask.start, ask.end))
    points = [(at, {"USD": one["cost_nano"] / 1e9 if one else 0.0}) for at, one in steps]
    return charts.lines(points, "USD", "bar", width=1_000, height=150)


UNITS_NOTE = "A transaction is what afterlaunch.transaction names, else a trace."


def _row(one: Group) -> dict[str, Any]:
    p95 = one.spread.get(profiles.COST)
    return {
        **one.key,
        "calls": one["calls"],
        "input_tokens": one.input,
        "output_tokens": one.output,
        "prompt_cache_hit_rate": one.cache_rate,
        "cost_usd": one.cost,
        "cost_per_call_usd": one.cost_per_call,
        "cost_p95_usd": round(profiles.middle(profiles.holding(p95, 0.95))) if p95 else None,
        "calls_with_unknown_cost": one["calls_unknown_cost"],
        "calls_with_unknown_tokens": max(0, one["calls"] - one.known(profiles.INPUT)),
        "cost_estimated_usd": one["cost_estimated_nano"],
        "calls_estimated": one["calls_estimated"],
        **{name: one[name] for name in BUCKETS},
    }


def _tiles(found: list[Group], ask: Asked) -> list[Tile]:
    calls = sum(one["calls"] for one in found)
    unknown = sum(one["calls_unknown_cost"] for one in found)
    tokens = [side for one in found for side in (one.input, one.output) if side is not None]
    cached, whole = sum(one["in_cache_read"] for one in found), sum(one["cache_known_input"] for one in found)
    costs = [one.cost for one in found if one.cost is not None]
    per_call = sum(costs) // (calls - unknown) if calls > unknown else None
    return [
        Tile("Calls", formats.compact(calls)),
        _of_tokens(sum(tokens) if tokens else None, ask),
        Tile("From prompt cache", formats.percent(cached, whole), "of input, where told"),
        Tile("Known cost", formats.money(sum(costs) if costs else None)),
        Tile("Per call", formats.money(per_call)),
        *([Tile("Cost unknown", formats.compact(unknown), "calls, not in the sum", "warning")] if unknown else []),
    ]


def _of_tokens(known: int | None, ask: Asked) -> Tile:
    """With what the metrics of some services tell beyond it."""
    missing = max((row["missing"] for row in incomplete(ask)), default=None)
    if missing is None:
        return Tile("Tokens", formats.compact(known))
    said = f"spans incomplete: of one service {missing:.0%} are missing"
    return Tile("Tokens", formats.compact(known), said, "warning", ask.link("/calls/quality", q=""))


def units(ask: Asked) -> list[dict[str, Any]]:
    """Cost per transaction, session and user; units with a call of unknown cost are counted apart."""
    where, parameters = narrowed(ask.clients, ask.search.equals())
    bounds = [clock.to_ns(ask.start), clock.to_ns(ask.end)]
    out = []
    for name, column in UNITS.items():
        row = current().query(
            f"""select count(*) as units, coalesce(sum(calls), 0)::bigint as calls, sum(cost)::bigint as cost,
                  count(*) filter (where cost is null) as unknown, max(cost)::bigint as most,
                  min(cost) filter (where place >= 0.5 * told)::bigint as p50,
                  min(cost) filter (where place >= 0.95 * told)::bigint as p95
                from (select *, row_number() over (order by cost nulls last) as place, count(cost) over () as told
                      from (select {column} as unit, count(*) as calls,
                              case when count(*) = count(cost_nano) then sum(cost_nano) end as cost
                            from calls where start_ns >= ? and start_ns < ? and {where} and {column} is not null
                            group by client, {column}) as units) as placed""",
            [*bounds, *parameters],
        )[0]
        known = row["units"] - row["unknown"]
        if row["units"]:
            out.append(
                {
                    "unit": name,
                    "count": row["units"],
                    "calls": row["calls"],
                    "cost_mean_usd": row["cost"] // known if known else None,
                    "cost_p50_usd": row["p50"],
                    "cost_p95_usd": row["p95"],
                    "cost_max_usd": row["most"],
                    "with_unknown_cost": row["unknown"],
                }
            )
    return out
