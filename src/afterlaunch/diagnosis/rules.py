"""Where an incident concentrates: shares of trouble beside shares of traffic. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.words import MINIMUM_CALLS, chance_of

CHANCE = 0.001
MEASURES: Mapping[str, Callable[[Window], int]] = {
    "failed": lambda row: row.failed,
    "refused": lambda row: row.refused,
    "truncated": lambda row: row.truncated,
    "timed out": lambda row: row.timeouts,
}


@dataclass(frozen=True)
class Concentration:
    """`hits` of `all_hits` came from `calls` of `all_calls`. `chance`: how often so many hits would fall here if they
    were spread like the traffic."""

    measure: str
    dimension: str
    value: str | None
    hits: int
    all_hits: int
    calls: int
    all_calls: int
    chance: float

    @property
    def share_of_trouble(self) -> float:
        return self.hits / self.all_hits

    @property
    def share_of_traffic(self) -> float:
        return self.calls / self.all_calls

    @property
    def explanation(self) -> str:
        where = f"{self.dimension} {self.value}" if self.value else f"calls that tell no {self.dimension}"
        return (
            f"{self.hits} of {self.all_hits} {self.measure} calls ({self.share_of_trouble:.0%}) come from {where}, "
            f"which has {self.share_of_traffic:.0%} of the calls."
        )


@dataclass(frozen=True)
class Answer:
    """`reason`: concentrated, spread, no_trouble_seen, too_few_calls or telemetry_unavailable.
    Only the first has rows."""

    reason: str
    explanation: str
    rows: tuple[Concentration, ...] = ()


def concentrate(by_dimension: Mapping[str, Sequence[Window]]) -> Answer:
    """Rank the values that hold more of the trouble than their traffic explains, by what they hold too much."""
    calls = max((sum(row.calls for row in rows) for rows in by_dimension.values()), default=0)
    if calls < MINIMUM_CALLS:
        return Answer("too_few_calls", f"Only {calls} calls around the incident; {MINIMUM_CALLS} are needed to tell.")
    found, trouble = [], 0
    for dimension, rows in by_dimension.items():
        for measure, count in MEASURES.items():
            trouble += sum(count(row) for row in rows)
            found += _above_share(dimension, rows, measure, count)
    if not trouble:
        return Answer("no_trouble_seen", f"None of {calls} calls failed, was refused, was truncated or timed out.")
    if not found:
        return Answer("spread", "The trouble is spread like the traffic: no value holds more than its share.")
    found.sort(key=lambda one: (one.calls / one.all_calls * one.all_hits - one.hits, one.chance))
    return Answer("concentrated", found[0].explanation, tuple(found))


def _above_share(
    dimension: str, rows: Sequence[Window], measure: str, count: Callable[[Window], int]
) -> list[Concentration]:
    all_calls, all_hits = sum(row.calls for row in rows), sum(count(row) for row in rows)
    out = []
    for row in rows:
        hits = count(row)
        if not hits or row.calls == all_calls:
            continue  # a value that has all the traffic explains nothing
        chance = chance_of(hits, all_hits, row.calls / all_calls)
        if hits / all_hits > row.calls / all_calls and chance < CHANCE:
            out.append(
                Concentration(measure, dimension, row.key[dimension], hits, all_hits, row.calls, all_calls, chance)
            )
    return out
