"""Eight views of a series, each from past values only: the value, its means over 5, 20 and 60 values, how far it moved,
and the means of that."""

from __future__ import annotations

from typing import Any

from afterlaunch.series.records import MOVES, VALUES, Records

SPANS = (5, 20, 60)
VIEWS = ("value", "mean of 5", "mean of 20", "mean of 60", "move", "moves of 5", "moves of 20", "moves of 60")
ASKED = (0, 4, 1, 5, 2, 6, 3, 7)
"""Of equal excesses the first is named."""
AFRESH = 1024
"""So often sums are made anew: rounding does not add up."""


class Views:
    """The last 60 values and moves in rings, the sums over the spans, and the records of each view."""

    __slots__ = ("moves", "n", "records", "sums", "values")

    def __init__(self) -> None:
        self.values, self.moves = [0.0] * SPANS[-1], [0.0] * SPANS[-1]
        self.sums = [0.0] * (2 * len(SPANS))
        self.n = 0
        self.records = [Records(VALUES if i < 4 else MOVES) for i in range(len(VIEWS))]

    def see(self, value: float) -> tuple[float, int]:
        """The largest excess over a record, as a share of its range, and the view it was in."""
        n, values, moves, sums = self.n, self.values, self.moves, self.sums
        move = abs(value - values[(n - 1) % 60]) if n else 0.0
        at = n % 60
        seen = [value, 0.0, 0.0, 0.0, move, 0.0, 0.0, 0.0]
        for j, span in enumerate(SPANS):
            if n >= span:
                old = (n - span) % 60
                sums[j] += value - values[old]
                sums[j + 3] += move - moves[old]
                held = span
            else:
                sums[j] += value
                sums[j + 3] += move
                held = n + 1
            seen[1 + j], seen[5 + j] = sums[j] / held, sums[j + 3] / held
        best, view = 0.0, 0
        for each in ASKED:
            one, told = self.records[each], seen[each]
            if one.bar_below < told < one.bar_above:
                one.n += 1
                continue
            excess = one.see(told)
            if excess > best:
                best, view = excess, each
        values[at], moves[at] = value, move
        self.n = n + 1
        if self.n % AFRESH == 0:
            self._afresh()
        return best, view

    def _afresh(self) -> None:
        for j, span in enumerate(SPANS):
            last = [(self.n - 1 - i) % 60 for i in range(span)]
            self.sums[j] = sum(self.values[i] for i in last)
            self.sums[j + 3] = sum(self.moves[i] for i in last)

    def age(self, share: float) -> None:
        for one in self.records:
            one.age(share)

    def state(self) -> list[Any]:
        return [self.n, self.values, self.moves, self.sums, [one.state() for one in self.records]]

    def restore(self, told: list[Any]) -> None:
        self.n, self.values, self.moves, self.sums, records = told
        for one, state in zip(self.records, records, strict=True):
            one.restore(state)
