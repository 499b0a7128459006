"""The profile of a column of categories: exact counts of the reference's values, and a sample of the unseen ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from afterlaunch.profiles import distinct
from afterlaunch.profiles.distinct import Distinct
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import CategoryLayout, digest

FRESH = 256


@dataclass(frozen=True)
class CategoryProfile:
    """`counts` (2, cells) and `nulls` (2,) are exact. `fresh` has the exact counts (first half, second half) of the
    256 unseen values of the least digests: such a sample merges exactly, whatever the order. `registers`
    are of the values without a cell of their own; None where a part was kept before there were any."""

    layout: CategoryLayout
    counts: Array
    nulls: Array
    fresh: dict[str, tuple[int, int]]
    fresh_complete: bool = True
    registers: Array | None = None

    @classmethod
    def empty(cls, layout: CategoryLayout) -> CategoryProfile:
        counts = np.zeros((2, layout.cells), np.int64)
        return cls(layout, counts, np.zeros(2, np.int64), {}, registers=distinct.nothing())

    @cached_property
    def cells(self) -> Array:
        both: Array = self.counts[0] + self.counts[1]
        return both

    @cached_property
    def count(self) -> int:
        return int(self.cells.sum())

    @cached_property
    def missing(self) -> int:
        return int(self.nulls.sum())

    @property
    def wrong(self) -> int:
        return 0

    @cached_property
    def records(self) -> int:
        return self.count + self.missing

    @property
    def distinct(self) -> Distinct | None:
        """Values that are not equal. Exact where each of them is known; None: not known."""
        named = int(np.count_nonzero(self.cells[: self.layout.other]))
        if self.fresh_complete and not self.cells[self.layout.other]:
            return Distinct(named + len(self.fresh), True)
        return (
            None
            if self.registers is None
            else Distinct(min(named + distinct.estimate(self.registers), self.count), False)
        )

    def merge(self, other: CategoryProfile) -> CategoryProfile:
        if self.layout.id != other.layout.id:
            raise ValueError("Profiles of different layouts do not merge.")
        joined = dict(self.fresh)
        for value, (first, second) in other.fresh.items():
            had = joined.get(value, (0, 0))
            joined[value] = (had[0] + first, had[1] + second)
        complete = self.fresh_complete and other.fresh_complete and len(joined) <= FRESH
        return replace(
            self,
            counts=self.counts + other.counts,
            nulls=self.nulls + other.nulls,
            fresh=_least(joined),
            fresh_complete=complete,
            registers=distinct.merged(self.registers, other.registers),
        )


def _least(fresh: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    if len(fresh) <= FRESH:
        return fresh
    kept = sorted(fresh, key=lambda value: (digest(value), value))[:FRESH]
    return {value: fresh[value] for value in kept}


def fold(layout: CategoryLayout, values: Sequence[str], counts: Array, nulls: tuple[int, int]) -> CategoryProfile:
    """A batch as a profile. `counts` (2, len(values)): how often each of the distinct `values` came in either half."""
    places = np.fromiter((layout.place(value) for value in values), np.int64, len(values))
    cells = np.zeros((2, layout.cells), np.int64)
    for half in (0, 1):
        cells[half] = np.bincount(places, weights=counts[half], minlength=layout.cells).astype(np.int64)
    rest = np.flatnonzero((places >= layout.other) & (counts.sum(0) > 0)).tolist()
    new = [at for at in rest if places[at] == layout.unseen]
    registers = distinct.nothing()
    if rest:
        distinct.mark(registers, *distinct.of_texts(values[at] for at in rest))
    fresh = {values[at]: (int(counts[0, at]), int(counts[1, at])) for at in new}
    return CategoryProfile(layout, cells, np.array(nulls, np.int64), _least(fresh), len(fresh) <= FRESH, registers)
