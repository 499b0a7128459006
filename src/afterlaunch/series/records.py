"""How far a value lies beyond everything seen before, as a share of the range seen before.

A record alone says little: of n like values the last is one with probability 2/n. So it must also be unlikely for the
tail of this very series: the mean excess of its twenty highest peaks (one for each cluster), as in peaks over
threshold, puts a probability on it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from math import inf, log
from typing import Any

PEAKS, CLUSTER = 20, 10
LEAST = 50  # values before the first record counts
VALUES, MOVES = 3.2 * log(10), 4.5 * log(10)
"""A record of values counts from one in 1,600, of moves (which follow from values) from one in 30,000: log n of being
the first of n, and its excess over the tail's mean excess."""


class Side:
    """The highest values of one side. `sign` turns the lowest into the highest."""

    __slots__ = ("cluster", "high", "last", "peaks")

    def __init__(self) -> None:
        self.high, self.cluster, self.last = 0.0, 0.0, -CLUSTER - 1
        self.peaks: list[float] = []

    def surprise(self, value: float, width: float, n: int) -> float:
        """How improbable, as −ln of a probability."""
        excess = 0.0
        if len(self.peaks) >= 5:
            least = self.peaks[0]
            mean = sum(self.peaks) / len(self.peaks) - least
            excess = (value - self.high) / (mean + 0.02 * width + 1e-12 + 1e-9 * abs(value))
        return log(n) + excess

    def peak(self, value: float, at: int) -> None:
        """Keep it among the peaks; of values within a cluster only the highest stands."""
        peaks = self.peaks
        if at - self.last <= CLUSTER:
            if value <= self.cluster:
                return
            j = bisect_left(peaks, self.cluster)
            if j < len(peaks) and peaks[j] == self.cluster:
                del peaks[j]
        insort(peaks, value)
        if len(peaks) > PEAKS:
            del peaks[0]
        self.cluster, self.last = value, at

    def shrink(self, by: float, factor: float) -> None:
        """Peaks come closer to the middle as they age."""
        self.high -= by
        if self.peaks:
            top = self.peaks[-1]
            self.peaks = [top - by - (top - peak) * factor for peak in self.peaks]
            self.cluster = top - by - (top - self.cluster) * factor

    def state(self) -> list[Any]:
        return [self.high, self.cluster, self.last, self.peaks]

    def restore(self, told: list[Any]) -> None:
        self.high, self.cluster, self.last, self.peaks = told[0], told[1], told[2], list(told[3])


class Records:
    """`bars`: between them a value is neither a record nor a peak, which nearly all are."""

    __slots__ = ("above", "bar_above", "bar_below", "below", "n", "unlikely")

    def __init__(self, unlikely: float = VALUES) -> None:
        self.above, self.below, self.n, self.unlikely = Side(), Side(), 0, unlikely
        self.bar_above, self.bar_below = -inf, inf

    def see(self, value: float) -> float:
        """Excess over the record as a share of the range; 0 where it is none, or not improbable. Then remember it."""
        n = self.n
        self.n = n + 1
        if self.bar_below < value < self.bar_above:
            return 0.0
        above, below = self.above, self.below
        if n == 0:
            above.high, below.high = value, -value
        out = 0.0
        high, low = above.high, -below.high
        if value > high:
            width = high - low
            if n > LEAST and above.surprise(value, width, n) >= self.unlikely:
                out = (value - high) / (width + 1e-9 + 1e-9 * abs(value))
            above.high = value
        elif value < low:
            width = high - low
            if n > LEAST and below.surprise(-value, width, n) >= self.unlikely:
                out = (low - value) / (width + 1e-9 + 1e-9 * abs(value))
            below.high = -value
        if len(above.peaks) < PEAKS or value > above.peaks[0]:
            above.peak(value, n)
        if len(below.peaks) < PEAKS or -value > below.peaks[0]:
            below.peak(-value, n)
        self._bars()
        return out

    def _bars(self) -> None:
        above, below = self.above.peaks, self.below.peaks
        self.bar_above = above[0] if len(above) >= PEAKS else -inf
        self.bar_below = -below[0] if len(below) >= PEAKS else inf

    def age(self, share: float) -> None:
        """Forget a share of the range: what is long past hides no longer what is new."""
        by = (self.above.high + self.below.high) * share / 2
        self.above.shrink(by, 1 - share)
        self.below.shrink(by, 1 - share)
        self._bars()

    def state(self) -> list[Any]:
        return [self.n, self.above.state(), self.below.state()]

    def restore(self, told: list[Any]) -> None:
        self.n = told[0]
        self.above.restore(told[1])
        self.below.restore(told[2])
        self._bars()
