"""Files to profiles: the reference teaches the layouts and is folded, the current table is folded on the same cells.

Two passes over a reference, one over a current table; a group of columns whose values fit in 24 MB is read once.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from afterlaunch.profiles import categories, hashing, numeric
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.files import Batch, Table
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import Layout, NumericLayout
from afterlaunch.profiles.learning import CategoryLearner, NumericLearner
from afterlaunch.profiles.numeric import NumericProfile
from afterlaunch.profiles.values import Categories, Numbers, share_of_numbers
from afterlaunch.profiles.values import categories as categories_of
from afterlaunch.profiles.values import numbers as numbers_of
from afterlaunch.profiles.vectors import Sample, hold_vectors

KEPT_BYTES = 24 << 20
NUMERIC_SHARE = 0.95  # of a CSV column's first values, for it to be numeric
FOLDED = {"number": "numeric", "text": "category", "truth": "category"}
Profile = NumericProfile | CategoryProfile


@dataclass
class Column:
    """One column of one table. `kind`: numeric, category, vector, time, null or what its type is called; the last four
    have no profile."""

    name: str
    kind: str
    profile: Profile | None = None
    examples: list[str] = field(default_factory=list)  # of what was no number
    vectors: Sample | None = None  # of kind vector


@dataclass
class Tabled:
    """A table, read."""

    columns: dict[str, Column]
    rows: int


def fold_array(
    layout: Layout, array: pa.Array, first: int, examples: list[str] | None = None, halved: bool = True
) -> Profile:
    """One batch of a column as a profile. `first`: the number of its first row, which decides the halves; not `halved`,
    all rows are in the first one, which takes a third less time."""
    if isinstance(layout, NumericLayout):
        found = numbers_of(array)
        if examples is not None and found.examples:
            examples.extend(one for one in found.examples if one not in examples)
            del examples[3:]
        halves, nulls = _halves(first, len(array), found.valid) if halved else _whole(found.valid)
        return numeric.with_nulls(numeric.fold(layout, found.values, halves, found.invalid), nulls)
    grouped = categories_of(array)
    halves, nulls = _halves(first, len(array), grouped.valid) if halved else _whole(grouped.valid)
    counts = np.stack([np.bincount(grouped.codes[rows], minlength=len(grouped.values)) for rows in halves])
    return categories.fold(layout, grouped.values, counts, nulls)


def _whole(valid: Array | None) -> tuple[tuple[slice, slice], tuple[int, int]]:
    return (slice(None), slice(0, 0)), (0 if valid is None else len(valid) - int(valid.sum()), 0)


def _halves(first: int, count: int, valid: Array | None) -> tuple[tuple[Array, Array], tuple[int, int]]:
    """Positions among the valid rows, and how many of either half are null."""
    if valid is None:
        return hashing.halves_of_rows(first, count), (0, 0)
    second = hashing.second_half(hashing.of_rows(first, count))
    kept = second[valid]
    gone = second[~valid]
    return (np.flatnonzero(~kept), np.flatnonzero(kept)), (len(gone) - int(gone.sum()), int(gone.sum()))


class _Kept:
    """Batches of a group, kept for a second pass while they are small."""

    def __init__(self, table: Table, names: list[str]) -> None:
        self._table, self._names = table, names
        self._batches: list[Batch] | None = []
        self._bytes = 0

    def first_pass(self) -> Iterator[Batch]:
        for batch in self._table.batches(self._names):
            self._bytes += sum(array.nbytes for array in batch.columns.values())
            if self._batches is not None:
                self._batches.append(batch)
            if self._bytes > KEPT_BYTES:
                self._batches = None
            yield batch

    def second_pass(self) -> Iterator[Batch]:
        return iter(self._batches) if self._batches is not None else self._table.batches(self._names)


def _columns(table: Table, chosen: Container[str]) -> dict[str, Column]:
    return {name: Column(name, FOLDED.get(kind, kind)) for name, kind in table.kinds().items() if name in chosen}


def read_reference(table: Table, chosen: Container[str]) -> Tabled:
    """Every chosen column with its kind, its layout and its profile."""
    columns = _columns(table, chosen)
    foldable = [name for name, one in columns.items() if one.kind in ("numeric", "category", "vector", "untyped")]
    rows = 0
    for names in table.groups(foldable):
        kept = _Kept(table, names)
        learners: dict[str, NumericLearner | CategoryLearner] = {}
        for batch in kept.first_pass():
            for name in names:
                _learn(columns[name], learners, batch.columns[name], batch.first, table.rows)
        layouts = {name: layout for name, learner in learners.items() if (layout := learner.layout()) is not None}
        for name in names:
            if name not in layouts and columns[name].vectors is None:
                columns[name].kind = "null"
        rows = max(rows, _fold(kept.second_pass(), layouts, columns))
    return Tabled(columns, rows)


def _learn(
    column: Column,
    learners: dict[str, NumericLearner | CategoryLearner],
    array: pa.Array,
    first: int,
    expected_rows: int,
) -> None:
    if column.kind == "untyped" and hold_vectors(array):
        column.kind = "vector"
    if column.kind == "vector":
        column.vectors = column.vectors or Sample()
        column.vectors.add(array, first)
        return
    if column.kind == "untyped":
        share = share_of_numbers(array)
        if share is None:
            return
        column.kind = "numeric" if share >= NUMERIC_SHARE else "category"
    learner = learners.get(column.name)
    if learner is None:
        learner = learners[column.name] = (
            NumericLearner(expected_rows) if column.kind == "numeric" else CategoryLearner()
        )
    if isinstance(learner, NumericLearner):
        found: Numbers = numbers_of(array)
        values = found.values
        if found.invalid is not None:
            values = values.copy()
            values[found.invalid] = np.nan
        learner.add(values, first, found.valid)
    else:
        grouped: Categories = categories_of(array)
        learner.add(grouped.values, np.bincount(grouped.codes, minlength=len(grouped.values)))


def read_current(table: Table, reference: Tabled, chosen: Container[str]) -> Tabled:
    """The columns that the reference has a layout for are folded on it; the others have their kind alone."""
    columns = _columns(table, chosen)
    layouts: dict[str, Layout] = {
        name: had.profile.layout
        for name, had in reference.columns.items()
        if had.profile is not None and name in columns
    }
    rows = 0
    for names in table.groups(list(layouts)):
        rows = max(rows, _fold(table.batches(names), {name: layouts[name] for name in names}, columns))
    for name, had in reference.columns.items():
        if had.vectors is not None and name in columns and columns[name].kind in ("vector", "untyped", "category"):
            rows = max(rows, _sampled(table, columns[name], had.vectors.length))
    return Tabled(columns, rows)


def _sampled(table: Table, column: Column, length: int) -> int:
    """Returns the rows."""
    column.kind, column.vectors = "vector", Sample(length)
    rows = 0
    for batch in table.batches([column.name]):
        array = batch.columns[column.name]
        column.vectors.add(array, batch.first)
        rows = batch.first + len(array)
    return rows


def _fold(batches: Iterator[Batch], layouts: dict[str, Layout], columns: dict[str, Column]) -> int:
    """Returns the rows."""
    rows = 0
    for batch in batches:
        for name, layout in layouts.items():
            column, array = columns[name], batch.columns[name]
            part = fold_array(layout, array, batch.first, column.examples, halved=False)
            column.profile = part if column.profile is None else column.profile.merge(part)  # type: ignore[arg-type]
        rows = batch.first + max((len(array) for array in batch.columns.values()), default=0)
    for name, layout in layouts.items():
        if columns[name].profile is None:
            empty = NumericProfile.empty(layout) if isinstance(layout, NumericLayout) else CategoryProfile.empty(layout)
            columns[name].profile = empty
    return rows
