"""Slow growth and decline: of the weekly level, apart from anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WEEKS = 4
CHANGE = 0.2
SLACK = 0.1
"""A step back of so little of the level does not end a trend."""


@dataclass(frozen=True)
class Trend:
    """`since`, `until` in seconds; `before`, `after` the level then."""

    since: float
    until: float
    before: float
    after: float

    @property
    def change(self) -> float:
        return (self.after - self.before) / abs(self.before) if self.before else 0.0


def trends(levels: Sequence[Sequence[float]], settled: int = 2) -> list[Trend]:
    """Stretches of four weeks or more over which the level rose or fell by a fifth. The first weeks only settle."""
    out: list[Trend] = []
    start = best = settled
    up = True
    for i in range(settled + 1, len(levels)):
        slack = SLACK * abs(levels[best][1])
        moved = (levels[i][1] - levels[best][1]) * (1 if up else -1)
        if moved >= 0:
            best = i
        elif moved < -slack:
            out += _kept(levels, start, best)
            start, best, up = best, i, not up
    return out + (_kept(levels, start, best) if start < len(levels) else [])


def _kept(levels: Sequence[Sequence[float]], start: int, end: int) -> list[Trend]:
    found = Trend(levels[start][0], levels[end][0], levels[start][1], levels[end][1])
    return [found] if end - start >= WEEKS and abs(found.change) >= CHANGE else []
