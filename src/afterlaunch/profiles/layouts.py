"""What the cells of a column are. A layout is learned from a reference once; profiles with other layouts never merge.

Numeric: half-open cells between quantiles of the reference. An atom (a value with more than 1/320 of the mass) has a
cell of its own, from the value to the next float. Cell 0 lies below the reference's range, the last one above it.

Categories: the values of the reference, at most 1,000, have a cell each; where there are more, those that are surely
frequent, and others in the order of their hashes, since what was chosen for coming often by chance would come less
often the next time. Its other values share `other`; what it never had is `unseen`. Of the other values 20,000 are
remembered: where there are more, an unseen one cannot be told from them and counts as `other`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from math import sqrt
from zlib import crc32

import numpy as np

from afterlaunch.profiles.grids import Grid, grid_of
from afterlaunch.profiles.hashing import Array

CELLS = 320
NAMED = 1_000
SURE = 4.0  # spreads above the count that no longer has a cell
TAIL = 20_000  # values of the tail that are remembered, so that they can be told from unseen ones


def digest(text: str) -> int:
    """64 bits that stand for a value."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class NumericLayout:
    edges: Array  # float64, ascending: the first is the reference's least value, the last lies just above its greatest
    centre: float  # moments are taken round it, so that they keep their digits

    @property
    def cells(self) -> int:
        return len(self.edges) + 1

    @cached_property
    def id(self) -> str:
        body = np.append(self.edges, self.centre).astype("<f8").tobytes()
        return "n" + blake2b(body, digest_size=8).hexdigest()

    @cached_property
    def single(self) -> Array:
        """Of each cell whether it holds one value only."""
        inner = np.nextafter(self.edges[:-1], np.inf) == self.edges[1:]
        found: Array = np.concatenate(([False], inner, [False]))
        return found

    @cached_property
    def grid(self) -> Grid | None:
        return grid_of(self.edges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NumericLayout) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True)
class CategoryLayout:
    names: tuple[str, ...]
    tail: frozenset[int] = frozenset()  # digests of the reference's other values
    tail_complete: bool = True  # else an unseen value cannot be told from one of the tail
    _places: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        self._places.update((name, place) for place, name in enumerate(self.names))

    @property
    def cells(self) -> int:
        return len(self.names) + 2

    @property
    def other(self) -> int:
        return len(self.names)

    @property
    def unseen(self) -> int:
        return len(self.names) + 1

    @cached_property
    def id(self) -> str:
        sums = blake2b(digest_size=8)
        for name in self.names:
            sums.update(digest(name).to_bytes(8, "big"))
        for one in sorted(self.tail):
            sums.update(one.to_bytes(8, "big"))
        sums.update(b"complete" if self.tail_complete else b"cut")
        return "c" + sums.hexdigest()

    @cached_property
    def drawn(self) -> Array:
        """Cells in an order that has nothing to do with the reference's counts: that of the names' digests. Ordered by
        how often they came, ranks would regress: what came most by chance comes less the next time."""
        named = sorted(range(len(self.names)), key=lambda at: digest(self.names[at]))
        return np.array([*named, self.other, self.unseen])

    def place(self, value: str) -> int:
        found = self._places.get(value)
        if found is not None:
            return found
        if not self.tail_complete:
            return self.other
        return self.other if self.tail and digest(value) in self.tail else self.unseen


Layout = NumericLayout | CategoryLayout


def distinct(values: Array) -> Array:
    """Ascending, each once. (`np.unique` loads masked arrays, which takes longer than a file.)"""
    ordered = np.sort(values)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))] if len(ordered) else ordered


def numeric_layout(sample: Array, low: float, high: float) -> NumericLayout:
    """1. Sort the sample; its 319 inner quantiles are edges. 2. A quantile that more than 1/320 of the sample equals
    is an atom: the next float is an edge too. 3. The range closes both ends.

    `sample`: finite values, not none; `low`, `high`: the least and the greatest of all.
    """
    ordered = np.sort(np.asarray(sample, dtype=np.float64))
    inner = distinct(ordered[(np.arange(1, CELLS) * len(ordered)) // CELLS])
    runs = np.searchsorted(ordered, inner, "right") - np.searchsorted(ordered, inner, "left")
    atoms = inner[(runs > len(ordered) / CELLS) & (runs > 1)]
    ends = np.array([low, np.nextafter(high, np.inf)])
    edges = distinct(np.concatenate((inner, atoms, np.nextafter(atoms, np.inf), ends)))
    return NumericLayout(edges, float(ordered[len(ordered) // 2]))


def category_layout(counts: dict[str, int], complete: bool = True) -> CategoryLayout:
    """`counts`: of the reference's values; `complete`: whether every value is among them."""
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    names, tail = (ranked, []) if len(ranked) <= NAMED else _chosen(ranked, counts)
    kept = frozenset(digest(value) for value in tail[:TAIL])
    return CategoryLayout(tuple(names), kept, complete and len(tail) <= TAIL)


def _chosen(ranked: list[str], counts: dict[str, int]) -> tuple[list[str], list[str]]:
    """Of more than 1,000 values: those with a cell, and the others."""
    line = counts[ranked[NAMED]] + SURE * sqrt(counts[ranked[NAMED]])
    sure = [value for value in ranked[:NAMED] if counts[value] > line]
    rest = sorted(ranked[len(sure) :], key=lambda value: (crc32(value.encode("utf-8", "surrogatepass")), value))
    drawn = set(rest[: NAMED - len(sure)])
    return [*sure, *rest[: len(drawn)]], [value for value in ranked[len(sure) :] if value not in drawn]
