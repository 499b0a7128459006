"""How strong a score must be to alert, so that there are no more alerts than may be.

The threshold for one false alert a week was chosen on the public half of a benchmark and on null series
(docs/anomalies.md). A tenth of that budget asks for 0.08 more. On top, the series itself is looked at: when the
alerts of the last eight weeks are surely more than the budget (the lower 95 % Poisson bound of their rate lies above
it), the threshold is raised to where they would not have been; of a series that wanders, when they are likely more. It
is never lowered below the first one.
"""

from __future__ import annotations

from math import exp, log10
from typing import Any

WEEK = 604_800.0
SPAN = 8 * WEEK
AT_ONE_A_WEEK, PER_DECADE = 0.265, 0.08
LEAST, MOST = 0.12, 0.95
SURELY, LIKELY = 0.05, 0.7
"""Chances of the alerts that there were by the budget: below the first they are surely too many; of a series that
wanders (`wandering`), whose records go on for ever, below the second."""


def threshold(per_week: float) -> float:
    return min(max(AT_ONE_A_WEEK - PER_DECADE * log10(per_week), LEAST), MOST)


def allowed(expected: float, chance: float = SURELY) -> int:
    """The most alerts that are not too many: so many or more come with more than that chance."""
    if expected > 50:
        return int(expected + (1.645 * expected**0.5 if chance == SURELY else 0.0))
    n, term = 0, exp(-expected)
    tail = 1.0
    while tail - term > chance:
        tail -= term
        n += 1
        term *= expected / n
    return n


class Budget:
    """Times and scores of what reached the first threshold; `raised` is what the next one must reach."""

    __slots__ = ("base", "born", "per_week", "raised", "told")

    def __init__(self, per_week: float) -> None:
        self.per_week = per_week
        self.base = self.raised = threshold(per_week)
        self.born: float | None = None
        self.told: list[list[float]] = []

    def retune(self, per_week: float) -> None:
        """Another budget from now on: there are more series, or fewer, to share one."""
        self.per_week, self.base = per_week, threshold(per_week)
        self.raised = max(self.raised, self.base)

    def judge(self, at: float, score: float, wanders: bool = False) -> bool:
        if self.born is None:
            self.born = at
        if score < self.base:
            return False
        while self.told and self.told[0][0] < at - SPAN:
            del self.told[0]
        weeks = max(min(at - self.born, SPAN) / WEEK, 1.0)
        most = allowed(self.per_week * weeks, LIKELY if wanders else SURELY)
        before = sorted((each[1] for each in self.told), reverse=True)
        self.raised = max(self.base, before[most]) if len(before) > most else self.base
        self.told.append([at, score])
        return score > self.raised or (score == self.raised == self.base)

    def state(self) -> list[Any]:
        return [self.per_week, self.base, self.raised, self.born, self.told]

    def restore(self, told: list[Any]) -> None:
        self.per_week, self.base, self.raised, self.born, self.told = told
