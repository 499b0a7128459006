"""How the hours of each system are divided, from the rollups: one question for the estate, three for each dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afterlaunch.spend.mix import HOURS
from afterlaunch.telemetry.queries import Rollups, minute_of
from afterlaunch.telemetry.tiers import grain_of

PLACE = ("client", "system", "environment")
DIMENSIONS = ("model", "route", "tenant", "agent")
MEASURES = ("calls", "cost")
HOUR = timedelta(hours=1)
MOST, NEWEST = 6, 3
"""Values that are told apart: so many by calls and by cost of the week, and of the newest hour; the rest is one."""
REST = "all others"
Place = tuple[str, str, str]
Table = dict[Place, dict[str, dict[str, NDArray[np.float64]]]]
"""Of each place and value, measure -> hours."""


@dataclass(frozen=True)
class Parts:
    """Of one place, dimension and measure: (hours, values) of what is divided, oldest first, in calls or nano-USD."""

    dimension: str
    measure: str
    values: Sequence[str]
    amounts: NDArray[np.float64]


@dataclass(frozen=True)
class Hours:
    """Of one place: its calls by hour, and how they are divided."""

    calls: NDArray[np.float64]
    parts: Sequence[Parts]


def divided(places: frozenset[Place], end: datetime) -> dict[Place, Hours]:
    """Up to `end`. A dimension that is never told is left out, and cost where less than half of it is known."""
    first = end - HOURS * HOUR
    whole = _table(_rows((), first, end, hourly=True), "", places)
    parts: dict[Place, list[Parts]] = {place: [] for place in places}
    for dimension in DIMENSIONS:
        chosen = _chosen(dimension, places, first, end)
        among = sorted({value for values in chosen.values() for value in values})
        if not among:
            continue
        found = _table(_rows((dimension,), first, end, True, {dimension: among}), dimension, places)
        for place, values in chosen.items():
            parts[place] += _parts(dimension, values, whole[place][""], found.get(place, {}))
    return {place: Hours(whole[place][""]["calls"], some) for place, some in parts.items() if place in whole}


def _parts(
    dimension: str,
    values: Sequence[str],
    whole: Mapping[str, NDArray[np.float64]],
    found: Mapping[str, Mapping[str, NDArray[np.float64]]],
) -> list[Parts]:
    out = []
    for measure in MEASURES if whole["known"][-1] >= whole["calls"][-1] / 2 else MEASURES[:1]:
        columns = [found[value][measure] if value in found else np.zeros(HOURS) for value in values]
        rest = np.maximum(0.0, whole[measure] - np.sum(columns, axis=0))
        out.append(Parts(dimension, measure, [*values, REST], np.column_stack([*columns, rest])))
    return out


def _chosen(dimension: str, places: frozenset[Place], first: datetime, end: datetime) -> dict[Place, list[str]]:
    """The values that are told apart; places that tell none are left out."""
    out: dict[Place, set[str]] = {}
    for begin, most in ((first, MOST), (end - HOUR, NEWEST)):
        by: dict[Place, list[dict[str, Any]]] = {}
        for row in _rows((dimension,), begin, end):
            if row[dimension] and (place := _place(row)) in places:
                by.setdefault(place, []).append(row)
        for place, rows in by.items():
            for name in ("calls", "cost_nano"):
                rows.sort(key=lambda row, name=name: (-row[name], row[dimension]))  # type: ignore[misc]
                out.setdefault(place, set()).update(row[dimension] for row in rows[:most])
    return {place: sorted(values) for place, values in out.items()}


def _rows(
    names: Sequence[str],
    first: datetime,
    end: datetime,
    hourly: bool = False,
    among: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    begin = minute_of(first)
    rollups = Rollups(begin, minute_of(end), None, {}, grain_of((begin, 60)), users=True, among=among)
    return rollups.sums([*PLACE, *names], f"((minute - {begin}) // 60)" if hourly else "")


def _table(rows: Sequence[Mapping[str, Any]], dimension: str, places: frozenset[Place]) -> Table:
    out: Table = {}
    for row in rows:
        if (place := _place(row)) not in places:
            continue
        value = row[dimension] if dimension else ""
        told = out.setdefault(place, {}).setdefault(value, {name: np.zeros(HOURS) for name in (*MEASURES, "known")})
        told["calls"][row["step"]] = row["calls"]
        told["cost"][row["step"]] = row["cost_nano"]
        told["known"][row["step"]] = row["calls"] - row["calls_unknown_cost"] + row["failed"]
    return out


def _place(row: Mapping[str, Any]) -> Place:
    return row["client"] or "", row["system"] or "", row["environment"] or ""
