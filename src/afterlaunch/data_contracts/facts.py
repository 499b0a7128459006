"""What the first pass over a table counts: values by column, and pairs of values where columns hang together.

Memory is bounded: a column of more distinct values than `MOST_VALUES` is counted no further and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from afterlaunch.data_contracts.cells import marker, missing
from afterlaunch.data_contracts.coded import Coded
from afterlaunch.data_contracts.dependencies import Majorities, majorities
from afterlaunch.data_contracts.similar import slips
from afterlaunch.data_contracts.tables import Stretch

MOST_VALUES, MOST_PAIRS = 500_000, 2_000_000


@dataclass
class Counted:
    """`counts` is empty, and `complete` False, once there were too many different values."""

    counts: Counter[str] = field(default_factory=Counter)
    complete: bool = True

    def add(self, column: Coded) -> None:
        if not self.complete:
            return
        column = column.distinct
        often = np.bincount(column.codes, minlength=len(column.words))
        there = np.flatnonzero(often)
        counts = self.counts
        for value, n in zip(column.some(there), often[there].tolist(), strict=True):
            counts[value] += n
        if len(self.counts) > MOST_VALUES:
            self.counts, self.complete = Counter(), False


@dataclass
class PairCounts:
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    complete: bool = True

    def add(self, there: Coded, here: Coded) -> None:
        if not self.complete:
            return
        there, here = there.distinct, here.distinct
        width = len(here.words)
        pairs, often = np.unique(there.codes * width + here.codes, return_counts=True)
        left, right = there.values, ["" if gone else one for one, gone in zip(here.values, here.gone, strict=True)]
        absent = there.gone
        counts = self.counts
        for code, n in zip(pairs.tolist(), often.tolist(), strict=True):
            if not absent[code // width]:
                counts[left[code // width], right[code % width]] += n
        if len(self.counts) > MOST_PAIRS:
            self.counts, self.complete = Counter(), False

    def majorities(self) -> Majorities:
        return majorities(self.counts)


def present(text: str) -> str:
    """'' for what is missing, or is text for missing."""
    return "" if missing(text) or marker(text) else text


class Facts:
    """Of the columns and pairs that are asked for."""

    def __init__(self, columns: Iterable[str], pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.columns = {name: Counted() for name in columns}
        self.pairs = {pair: PairCounts() for pair in pairs}
        self.rows = 0

    def add(self, stretch: Stretch) -> None:
        self.rows = stretch.first + stretch.rows
        for name, counted in self.columns.items():
            if name in stretch.columns:
                counted.add(stretch.columns[name])
        for (there, here), pair in self.pairs.items():
            if there in stretch.columns and here in stretch.columns:
                pair.add(stretch.columns[there], stretch.columns[here])

    def slips(self, name: str) -> dict[str, str]:
        return slips({value: n for value, n in self.columns[name].counts.items() if present(value)})
