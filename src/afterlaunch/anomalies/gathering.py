"""Which series there are, and their hours, from the rollups: a fixed number of questions, however many series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from afterlaunch.anomalies.measures import (
    DIMENSIONS,
    ENOUGH_FAILED,
    ENOUGH_LATENCY,
    FOLLOWED,
    LEAST_WEEK,
    MOST,
    MOST_SERIES,
    NANO,
)
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.queries import Rollups, minute_of, quantiles
from afterlaunch.telemetry.tiers import grain_of
from afterlaunch.telemetry.windows import extrapolated
from afterlaunch.verdicts.words import sample_words

PLACE = ("client", "system", "environment")
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
MOST_VALUES = 10_000
Key = tuple[str, str, str, str, str, str]
"""Client, system, environment, dimension, value, measure."""
Of = tuple[str, ...]
"""Client, system, environment, value."""


def wanted(until: datetime) -> list[Key]:
    """What is followed: systems that told something in the last week, and their dearest values; dearest first."""
    found: list[tuple[int, Key]] = []
    for dimension in DIMENSIONS:
        names = [*PLACE, *([dimension] if dimension else [])]
        rows = Rollups(minute_of(until - WEEK), minute_of(until), None, {}, grain_of((60,)), users=True).sums(names)
        by: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            if row["system"] and (not dimension or (row[dimension] and row["cost_nano"] >= LEAST_WEEK)):
                by[row["client"], row["system"], row["environment"] or ""].append(row)
        for place, some in by.items():
            some.sort(key=lambda row: (-row["cost_nano"], row[dimension] if dimension else ""))
            for row in some[:MOST]:
                value = row[dimension] if dimension else ""
                for measure in FOLLOWED[dimension]:
                    # a whole system comes before its parts
                    rank = (0 if dimension else 1 << 62) + row["cost_nano"]
                    found.append((rank, (*place, dimension, value[:300], measure)))  # type: ignore[arg-type]
    found.sort(key=lambda one: (-one[0], one[1]))
    return [key for _, key in found[:MOST_SERIES]]


def hours(
    dimension: str, values: Sequence[str], first: datetime, until: datetime, measures: Iterable[str]
) -> dict[Of, dict[str, dict[int, float | None]]]:
    """Of each place and value, measure -> number of the hour from `first` on -> value. Hours without a call are not in
    it; None: there were calls, and too few or too little is known."""
    names = [*PLACE, *([dimension] if dimension else [])]
    begin, end = minute_of(first), minute_of(until)
    among = {dimension: values} if dimension and len(values) <= MOST_VALUES else None
    rollups = Rollups(begin, end, None, {}, grain_of((begin, 60)), users=True, among=among)
    step = f"((minute - {begin}) // 60)"
    out: dict[Of, dict[str, dict[int, float | None]]] = defaultdict(lambda: {name: {} for name in measures})
    for row in rollups.sums(names, step):
        told = out[_of(row, dimension)]
        for name in measures:
            if name != "latency":
                told[name][row["step"]] = _figure(name, row)
    if "latency" in measures:
        spread = rollups.profile(names, (profiles.LATENCY,), step)
        for (hour, *key), found in spread.items():
            calls = sum(count for _, count in found[profiles.LATENCY])
            took = quantiles(found, profiles.LATENCY) if calls >= ENOUGH_LATENCY else None
            of = tuple(part or "" for part in key)
            out[(*of, "") if not dimension else of]["latency"][hour] = took.p95 if took else None
    return out


def of_a_sample(equals: Mapping[str, str | None], first: datetime, until: datetime) -> str:
    """Where calls of this time are of sampled traces: in words, what all of them stand for. Else empty."""
    rows = Rollups(minute_of(first), minute_of(until), None, equals, grain_of(()), users=True).sums([])
    if not rows or not rows[0]["calls_sampled"]:
        return ""
    (row,) = rows
    meant = extrapolated(row["calls"], row["calls_unsent_milli"])
    return sample_words(row["calls_sampled"], row["calls"], meant, row["cost_nano"] + row["cost_unsent_nano"])


def _of(row: dict[str, Any], dimension: str) -> Of:
    value = (row[dimension] or "")[:300] if dimension else ""
    return row["client"], row["system"] or "", row["environment"] or "", value


def _figure(measure: str, row: dict[str, Any]) -> float | None:
    match measure:
        case "cost":
            known = row["calls"] - row["calls_unknown_cost"] + row["failed"]  # what failed has no cost as a rule
            return row["cost_nano"] / NANO if known >= row["calls"] / 2 else None
        case "calls":
            return float(row["calls"])
        case "errors":
            return row["failed"] / row["calls"] if row["calls"] >= ENOUGH_FAILED else None
    raise ValueError(measure)
