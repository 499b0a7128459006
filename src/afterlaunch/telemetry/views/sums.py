"""Sums and profiles of the rollups for a view: one group, one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from afterlaunch.ground import clock
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.quantiles import Quantiles
from afterlaunch.telemetry.queries import Rollups, minute_of, quantiles
from afterlaunch.telemetry.tables import MEASURES as NAMES
from afterlaunch.telemetry.tables import MINUTE_NS
from afterlaunch.telemetry.tiers import grain_of
from afterlaunch.telemetry.views.asked import Asked

MEASURES = (profiles.LATENCY, profiles.TTFT, profiles.INPUT, profiles.COST, profiles.ERROR)


@dataclass(frozen=True)
class Group:
    """`key`: dimension -> value. Figures that nobody told are None."""

    key: Mapping[str, str | None]
    sums: Mapping[str, int]
    spread: Mapping[int, list[tuple[int, int]]]

    def __getitem__(self, name: str) -> int:
        return self.sums[name]

    def known(self, measure: int) -> int:
        """How many calls tell it."""
        return sum(calls for _, calls in self.spread.get(measure, ()))

    def quantiles(self, measure: int) -> Quantiles | None:
        """Milliseconds of a time."""
        return quantiles(self.spread, measure)

    @property
    def input(self) -> int | None:
        return sum(self.sums[name] for name in BUCKETS[:6]) if self._tokens_known() else None

    @property
    def output(self) -> int | None:
        return sum(self.sums[name] for name in BUCKETS[6:]) if self._tokens_known() else None

    def _tokens_known(self) -> bool:
        return self.known(profiles.INPUT) > 0 or any(self.sums[name] for name in BUCKETS)

    @property
    def cache_rate(self) -> float | None:
        """The share of input tokens read from the provider's cache, where that is told."""
        whole = self.sums["cache_known_input"]
        return self.sums["in_cache_read"] / whole if whole else None

    @property
    def cost(self) -> int | None:
        """nano-USD, of the calls whose cost is known; None when none is."""
        known = self.sums["calls"] > self.sums["calls_unknown_cost"]
        return self.sums["cost_nano"] if known or self.sums["cost_nano"] else None

    @property
    def cost_per_call(self) -> int | None:
        known = self.sums["calls"] - self.sums["calls_unknown_cost"]
        return self.sums["cost_nano"] // known if known > 0 else None


def groups_of(
    ask: Asked,
    names: Sequence[str],
    measures: Sequence[int] = MEASURES,
    operations: bool = False,
    more: Mapping[str, str | None] | None = None,
    time: tuple[datetime, datetime] | None = None,
) -> list[Group]:
    """One per combination that holds a call, or, with `operations`, any operation."""
    start, end = time or (ask.start, ask.end)
    equals = {**ask.search.equals(), **(more or {})}
    rollups = Rollups(minute_of(start), minute_of(end), ask.clients, equals, grain_of(()), operations)
    found = rollups.sums(names)
    spread = rollups.profile(names, measures) if measures else {}
    return [
        Group({name: row[name] for name in names}, row, spread.get(tuple(row[name] for name in names), {}))
        for row in found
    ]


def merged(groups: Sequence[Group]) -> Group | None:
    """All of them as one: everything is additive."""
    if not groups:
        return None
    spread: dict[int, dict[int, int]] = {}
    for one in groups:
        for measure, steps in one.spread.items():
            into = spread.setdefault(measure, {})
            for step, calls in steps:
                into[step] = into.get(step, 0) + calls
    sums = {name: sum(one.sums[name] for one in groups) for name in NAMES}
    return Group({}, sums, {measure: sorted(into.items()) for measure, into in spread.items()})


def over_time(
    ask: Asked, step: int, measures: Sequence[int] = (), operations: bool = False
) -> list[tuple[datetime, Group | None]]:
    """One row per step of so many minutes, empty ones included: of these measures, or, without any, of the sums."""
    first, last = minute_of(ask.start) // step * step, minute_of(ask.end)
    rollups = Rollups(first, last, ask.clients, ask.search.equals(), grain_of((first, step)), operations)
    sql = f"((minute - {first}) // {int(step)})"
    rows: dict[int, Group] = {}
    if measures:
        for (number,), spread in rollups.profile([], measures, sql).items():
            rows[number] = Group({}, {}, spread)
    else:
        rows = {row["step"]: Group({}, row, {}) for row in rollups.sums([], sql)}
    count = max(0, -(-(last - first) // step))
    return [(clock.from_ns((first + number * step) * MINUTE_NS), rows.get(number)) for number in range(count)]
