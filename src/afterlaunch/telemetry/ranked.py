"""The dearest values of dimensions that may have any number of them, how many there are, and what all of them sum to:
asked of the store, so that an answer costs what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.attribution import PARTS, Share
from afterlaunch.telemetry.called import PEOPLE, called
from afterlaunch.telemetry.columns import BUCKETS, DIMENSIONS
from afterlaunch.telemetry.queries import Clients, Rollups, minute_of, step_of
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.tiers import grain_of

Key = tuple[str | None, ...]
SHARED = ("calls", "cost_nano", "calls_unknown_cost", *BUCKETS, *PARTS)
EARLIER = ("calls", "cost_nano", "calls_unknown_cost")
MEASURED = {"cost": ("cost_nano",), "tokens": BUCKETS, "calls": ("calls",)}
_TOLD = ("calls", "in_uncached", "out_visible")


@dataclass(frozen=True)
class Row:
    """`was`: of the time before, without its tokens; None where nothing was called then."""

    key: Key
    now: Share
    was: Share | None


@dataclass(frozen=True)
class Ranked:
    """`rows`: those asked for, dearest first; `count`: how many there are. `total` and `was` are of all of them."""

    rows: list[Row]
    count: int
    total: Share
    was: Share


def ranked(
    start: datetime,
    end: datetime,
    group_by: Sequence[str],
    clients: Clients = None,
    equals: Mapping[str, str | None] | None = None,
    *,
    most: int | None = None,
    skip: int = 0,
    before: datetime | None = None,
) -> Ranked:
    """The whole minutes of [start, end) beside those of [before, start); what cost something before and is not called
    now comes last, as a row without calls. By dimensions, or by one of `PEOPLE`, of whom the calls themselves tell.
    Raises Invalid."""
    _check(group_by)
    bounds = [minute_of(one) for one in ((start, end) if before is None else (before, start, end))]
    rollups = Rollups(bounds[0], bounds[-1], clients, equals or {}, grain_of(bounds), bounds=bounds)
    if not rollups.any:
        return Ranked([], 0, Share(None), Share(None))
    now, past = _periods(bounds)
    keys = [f'"{name}"' for name in group_by]
    having = _told(now) + (f" or {_sum('cost_nano', past)} > 0" if past else "")
    grouped, wanted = rollups.grouped(SHARED, keys, having), rollups.wanted
    if any(name in PEOPLE for name in group_by):
        of_calls, wanted = called(group_by[0], bounds[0], bounds[-1], clients, equals or {})
        grouped = f"from ({of_calls}) as told group by {keys[0]} having {having}"
    named = "".join(f"{key}, " for key in keys)
    columns = [f"{_sum(name, now)} as {name}" for name in SHARED]
    if past:
        columns += [f"{_sum(name, past)} as was_{name}" for name in EARLIER]
        columns.append(f"{_told(past)} as was_told")
    order = [f"{_sum(name, of)} desc" for name, of in (("cost_nano", now), ("calls", now), ("cost_nano", past))]
    order += [f"{key} nulls first" for key in keys]
    page = "" if most is None else f" limit {int(most)} offset {int(skip)}"
    found = current().query(f"select {named}{', '.join(columns)} {grouped} order by {', '.join(order)}{page}", wanted)
    rows = [_row(row, group_by) for row in found]
    whole = {row["step"]: _share(row, "") for row in rollups.sums([], step_of(bounds))}
    count = len(rows) if not skip and (most is None or len(rows) < most) else _count(grouped, wanted)
    last = len(bounds) - 2
    return Ranked(rows, count, whole.get(last, Share(None)), whole.get(last - 1, Share(None)))


def _check(group_by: Sequence[str]) -> None:
    for name in group_by:
        if name not in DIMENSIONS and (name not in PEOPLE or len(group_by) > 1):
            raise Invalid(f"{name!r} is no dimension.", "Dimensions: " + ", ".join(DIMENSIONS))


def _periods(bounds: Sequence[int]) -> tuple[str, str]:
    """SQL that narrows sums to the time itself, and to the time before."""
    if len(bounds) == 2:
        return "", ""
    return f" filter (where minute >= {bounds[1]})", f" filter (where minute < {bounds[1]})"


def _sum(name: str, of: str) -> str:
    return f"coalesce(sum({name}){of}, 0)::bigint"


def _told(of: str) -> str:
    return "(" + " or ".join(f"{_sum(name, of)} > 0" for name in _TOLD) + ")"


def _count(grouped: str, wanted: Sequence[Any]) -> int:
    counted = f"select count(*) as groups from (select 1 as one {grouped}) as told"  # noqa: S608 - of names of ours
    return int(current().query(counted, wanted)[0]["groups"])


def _row(row: Mapping[str, Any], group_by: Sequence[str]) -> Row:
    was = _share({f"was_{name}": row[f"was_{name}"] for name in EARLIER}, "was_") if row.get("was_told") else None
    return Row(tuple(row[name] for name in group_by), _share(row, ""), was)


def _share(row: Mapping[str, Any], prefix: str) -> Share:
    told = {name: row[prefix + name] for name in (*EARLIER, *PARTS) if prefix + name in row}
    return Share(None, buckets={name: row.get(prefix + name, 0) for name in BUCKETS}, **told)


@dataclass(frozen=True)
class Layers:
    """Of each step the amounts of `values`, those that amount to most first, and of all others together; None where
    there are no others."""

    values: list[str | None]
    steps: list[list[int]]
    rest: list[int] | None


def layers(
    bounds: Sequence[datetime],
    name: str,
    measure: str,
    most: int,
    clients: Clients = None,
    equals: Mapping[str, str | None] | None = None,
) -> Layers:
    """One dimension between each two consecutive bounds, in nano-USD, tokens or calls (`MEASURED`)."""
    begins = [minute_of(bound) for bound in bounds]
    first, last, grain, step = begins[0], begins[-1], grain_of(begins), step_of(begins)
    given = equals or {}
    rollups = Rollups(first, last, clients, given, grain_of(()))
    summed = MEASURED[measure]
    values: list[str | None] = []
    if rollups.any:
        amount = " + ".join(_sum(one, "") for one in summed)
        grouped = rollups.grouped({*summed, *_TOLD}, [f'"{name}"'], _told(""))
        top = f'select "{name}" as value, {amount} as amount {grouped} order by amount desc, value nulls first'
        values = [row["value"] for row in current().query(f"{top} limit {most + 1}", rollups.wanted)]
    more, values = len(values) > most, values[:most]
    steps = [[0] * len(values) for _ in begins[1:]]
    places = {value: place for place, value in enumerate(values)}
    told = Rollups(first, last, clients, given, grain, among={name: values}, bounds=begins)
    for row in told.sums([name], step):
        steps[row["step"]][places[row[name]]] = sum(row[one] for one in summed)
    if not more:
        return Layers(values, steps, None)
    rest = [-sum(amounts) for amounts in steps]
    for row in Rollups(first, last, clients, given, grain).sums([], step):
        rest[row["step"]] += sum(row[one] for one in summed)
    return Layers(values, steps, rest)
