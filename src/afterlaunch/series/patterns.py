"""Whether the shape of the last 52 values was ever seen: relative entropy against every pattern accepted so far.

2·n·KL of the counts in eight cells against each pattern (Wang, Viswanathan, Choudur, Talwar, Satterfield, Schwan:
"Statistical techniques for online anomaly detection in data centers", IM 2011). Cells lie between the quantiles of the
first values, with one cell below and one above; where the series has left them for good, they are laid out anew.
"""

from __future__ import annotations

from collections import deque
from math import log
from typing import Any

WINDOW, CELLS, FIRST, KEPT = 52, 8, 150, 40
NEW = 20.0
"""From here a pattern is new: beyond the 99.4 % point of χ² with 7 degrees."""
FLOOR = 0.02
ENDS = (0, CELLS - 1)
LEFT = 4 * WINDOW
"""Values in a row outside of the cells, after which these are laid out anew."""

# of each count that a cell may have
SHARES = tuple((count + FLOOR) / (WINDOW + FLOOR * CELLS) for count in range(WINDOW + 2))
LOGS = tuple(map(log, SHARES))
PRODUCTS = tuple(share * each for share, each in zip(SHARES, LOGS, strict=True))


class Patterns:
    __slots__ = ("codes", "counts", "first", "known", "last", "low", "outside", "width")

    def __init__(self) -> None:
        self.first: list[float] = []
        self.low = self.width = 0.0
        self._clear()

    def _clear(self) -> None:
        self.codes: deque[int] = deque()
        self.counts = [0] * CELLS
        self.known: list[list[float]] = []
        self.outside = 0
        self.last = 0.0

    def see(self, value: float) -> float:
        """The distance to the nearest known pattern; 0 while there is none."""
        if len(self.first) < FIRST:
            self.first.append(value)
            if len(self.first) == FIRST:
                self.low = min(self.first)
                self.width = max(self.first) - self.low
            return 0.0
        code = self._cell(value)
        if code in ENDS:
            self._watch(value)
        else:
            self.outside = 0
        self.codes.append(code)
        self.counts[code] += 1
        if len(self.codes) <= WINDOW:
            return 0.0
        gone = self.codes.popleft()
        self.counts[gone] -= 1
        if gone != code or not self.known:
            self.last = self._nearest()
        elif self.last > NEW:
            self.last = 0.0
        return self.last

    def _cell(self, value: float) -> int:
        if value < self.low:
            return 0
        if value > self.low + self.width:
            return CELLS - 1
        return min(int((value - self.low) / self.width * (CELLS - 2)), CELLS - 3) + 1 if self.width > 0 else 1

    def _watch(self, value: float) -> None:
        self.outside += 1
        if self.outside > LEFT:
            self.first = [value]
            self._clear()

    def _nearest(self) -> float:
        own = sum([PRODUCTS[count] for count in self.counts])
        best = -1e300
        a, b, c, d, e, f, g, h = [SHARES[count] for count in self.counts]
        for one, two, three, four, five, six, seven, eight in self.known:
            cross = (a * one + b * two + c * three + d * four + e * five + f * six + g * seven) + h * eight
            if cross > best:
                best = cross
        distance = 2 * WINDOW * (own - best) if self.known else 0.0
        if distance > NEW or not self.known:
            self.known.append([LOGS[count] for count in self.counts])
            if len(self.known) > KEPT:
                del self.known[0]
        return distance

    def state(self) -> list[Any]:
        return [self.first, self.low, self.width, list(self.codes), self.counts, self.known, self.outside, self.last]

    def restore(self, told: list[Any]) -> None:
        self.first, self.low, self.width, codes, self.counts, self.known, self.outside, self.last = told
        self.codes = deque(codes)
