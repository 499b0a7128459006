"""Daily and weekly rhythm, and the slow level under it: what a value should be, known from earlier values only.

1. The level follows the values divided by (or less) their rhythm, with a half-life of three days; a value far off moves
   it no more than a usual one, so that an incident is not learnt.
2. Each cell of the day (48) and of the week (168) remembers what its values are to the level, newer ones more.
3. A rhythm is in force once it has been through three whole periods and leaves less than half of what the level alone
   misses, the day measured over three days, the week over two weeks; it is left when it no longer does. A weaker one
   would bring more noise of its own than it takes off.
"""

from __future__ import annotations

from math import exp, log
from typing import Any

DAY, WEEK = 86_400.0, 604_800.0
HALF_LIFE = 3 * DAY
SHARE = 0.25  # how much a cell moves to its newest value
GAIN, LOST = 0.45, 0.53
PERIODS = 3
FORMS = ((DAY, 48, 3 * DAY), (WEEK, 168, 2 * WEEK))


class Rhythm:
    """One period in cells: ratio to the level (or distance from it), and how well it has foretold."""

    __slots__ = ("cells", "error", "in_force", "length", "memory", "period", "plain", "seen", "since", "step", "weight")

    def __init__(self, period: float, cells: int, memory: float) -> None:
        self.period, self.length, self.memory = period, period / cells, memory
        self.step = self.weight = 0.0  # the last one, and what it weighs
        self.cells: list[float | None] = [None] * cells
        self.error = self.plain = 0.0
        self.seen, self.since, self.in_force = 0, -1.0, False

    def cell(self, at: float) -> int:
        return int(at % self.period / self.length)

    def learn(self, at: float, ratio: float, neutral: float, step: float) -> None:
        if self.since < 0:
            self.since = at
        cell = int(at % self.period / self.length)
        known = self.cells[cell]
        self.cells[cell] = ratio if known is None else known + SHARE * (ratio - known)
        if known is None:
            return
        self.seen += 1
        if step != self.step:
            self.step, self.weight = step, 1 - exp(-step / self.memory)
        weight = max(self.weight, 1 / self.seen)
        self.error += weight * (abs(ratio - known) - self.error)
        self.plain += weight * (abs(ratio - neutral) - self.plain)
        limit = (LOST if self.in_force else GAIN) * self.plain
        self.in_force = at - self.since >= PERIODS * self.period and self.error < limit

    def state(self) -> list[Any]:
        return [self.cells, self.error, self.plain, self.seen, self.since, self.in_force]

    def restore(self, told: list[Any]) -> None:
        self.cells, self.error, self.plain, self.seen, self.since, self.in_force = told


class Season:
    """`expected` in the unit of the series; `see` gives what is left of a value when rhythm and level are taken off."""

    __slots__ = ("level", "miss", "n", "ratio", "rhythms", "step", "weight")

    def __init__(self) -> None:
        self.level = self.miss = 0.0
        self.n = 0
        self.ratio = True
        self.rhythms = [Rhythm(*form) for form in FORMS]
        self.step = self.weight = 0.0

    def rhythm(self) -> Rhythm | None:
        """The one in force that misses least."""
        best = None
        for one in self.rhythms:
            if one.in_force and (best is None or one.error < best.error):
                best = one
        return best

    def expected(self, at: float) -> float:
        """Before `see`."""
        rhythm = self.rhythm()
        factor = rhythm.cells[rhythm.cell(at)] if rhythm else None
        if factor is None:
            return self.level
        return self.level * factor if self.ratio else self.level + factor

    def see(self, at: float, value: float, step: float) -> float | None:
        """What is left, by the rhythm in force; None while there is none, or no value yet at this hour."""
        self.n += 1
        if self.n == 1:
            self.level = value
        if value < 0 and self.ratio:
            self._no_ratio()
        rhythm = self.rhythm()
        known = rhythm.cells[rhythm.cell(at)] if rhythm else None
        base = self.level if self.level > 0 else 1e-9
        ratio = value / base if self.ratio else value - self.level
        neutral = 1.0 if self.ratio else 0.0
        bounded = min(ratio, 20.0) if self.ratio else ratio
        for one in self.rhythms:
            one.learn(at, bounded, neutral, step)
        self._follow(value, known, step)
        return None if known is None else ratio - known

    def _follow(self, value: float, known: float | None, step: float) -> None:
        """Move the level, by a clipped miss. In the first days each value weighs alike."""
        base = value
        if known is not None:
            base = value / known if self.ratio and known > 0.05 else self.level if self.ratio else value - known
        miss = base - self.level
        if step != self.step:
            self.step, self.weight = step, 1 - exp(-log(2) * step / HALF_LIFE)
        weight = max(self.weight, 1 / self.n)
        if self.n > 50 and self.miss > 0:
            limit = 4 * self.miss
            clipped = max(min(miss, limit), -limit)
        else:
            clipped = miss
        self.miss += max(weight, 0.002) * (min(abs(miss), 8 * self.miss if self.n > 50 else abs(miss)) - self.miss)
        self.level += weight * clipped

    def _no_ratio(self) -> None:
        """A value below zero: from here on distances, learnt anew."""
        self.ratio = False
        self.rhythms = [Rhythm(*form) for form in FORMS]

    def state(self) -> list[Any]:
        return [self.level, self.miss, self.n, self.ratio, [one.state() for one in self.rhythms]]

    def restore(self, told: list[Any]) -> None:
        self.level, self.miss, self.n, self.ratio, rhythms = told
        for one, state in zip(self.rhythms, rhythms, strict=True):
            one.restore(state)
