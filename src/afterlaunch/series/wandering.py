"""Whether a series wanders without end, as sums of steps do: then its records are no events.

The variance of the values is compared with half their mean squared step, over the last 700 values or so. It is 1 for
values that do not depend on each other, 1 / (1 - r) where each keeps a share r of the one before, and grows without end
for a random walk. One step counts at most five times the usual one, so that a jump is no wandering.
"""

from __future__ import annotations

WEIGHT = 0.0015
LINE = 40.0
LEAST = 300  # values
WIDEST, KNOWN = 25.0, 50  # usual squared steps that one may count; from so many values on


class Wandering:
    __slots__ = ("last", "mean", "n", "spread", "square")

    def __init__(self) -> None:
        self.mean = self.spread = self.square = self.last = 0.0
        self.n = 0

    def see(self, value: float) -> None:
        if not self.n:
            self.mean = self.last = value
        weight = max(WEIGHT, 1 / (self.n + 1))
        off, step = value - self.mean, (value - self.last) ** 2
        if self.n > KNOWN:
            step = min(step, WIDEST * self.square)
        self.mean += weight * off
        self.spread += weight * (off * off * (1 - weight) - self.spread)
        self.square += weight * (step - self.square)
        self.last, self.n = value, self.n + 1

    @property
    def wanders(self) -> bool:
        return self.n > LEAST and self.square > 0 and 2 * self.spread > LINE * self.square

    def state(self) -> list[float]:
        return [self.mean, self.spread, self.square, self.last, self.n]

    def restore(self, told: list[float]) -> None:
        self.mean, self.spread, self.square, self.last, n = told
        self.n = int(n)
