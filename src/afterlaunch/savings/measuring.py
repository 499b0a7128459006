"""What a trial or the ledger shows of a saving: two means of cost per call, compared. Pure.

The costs come from histograms of `telemetry.profiles` (within 4.5 %), scaled to the exact sum that the rollups hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from afterlaunch.telemetry import profiles

FEWEST = 100


@dataclass(frozen=True)
class Costs:
    """Calls of known cost: (bucket, calls) in order, and their exact sum in nano-USD."""

    steps: Sequence[tuple[int, int]]
    sum_nano: int

    @property
    def count(self) -> int:
        return sum(count for _, count in self.steps)

    @property
    def mean(self) -> float:
        return self.sum_nano / self.count

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        rough = sum(profiles.middle(step) * count for step, count in self.steps) / self.count
        squares = sum(count * (profiles.middle(step) - rough) ** 2 for step, count in self.steps)
        return sqrt(squares / max(1, self.count - 1) / self.count)


@dataclass(frozen=True)
class Measured:
    """`share` of the cost per call that is saved, with its 95 % interval; None while there are too few calls."""

    before: int
    after: int
    share: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def saves(self) -> bool:
        return self.low is not None and self.low > 0

    @property
    def costs_more(self) -> bool:
        return self.high is not None and self.high < 0


def compare(before: Costs, after: Costs) -> Measured:
    """1 - mean after / mean before, with the interval of a ratio of independent means (delta method)."""
    if before.count < FEWEST or after.count < FEWEST or not before.sum_nano:
        return Measured(before.count, after.count)
    ratio = after.mean / before.mean
    relative = (before.error / before.mean) ** 2 + ((after.error / after.mean) ** 2 if after.sum_nano else 0.0)
    half = 1.96 * ratio * sqrt(relative)
    return Measured(before.count, after.count, 1 - ratio, 1 - ratio - half, 1 - ratio + half)
