"""Rows to profiles: of a whole table, or of windows of five minutes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from afterlaunch.drift import rhythms
from afterlaunch.ground.errors import TooLarge
from afterlaunch.predictions.bodies import Rows, halves_or_rows, second_halves, times, versions
from afterlaunch.predictions.packed import Profiles
from afterlaunch.profiles import categories, distinct, numeric
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import CategoryLayout, Layout, NumericLayout
from afterlaunch.profiles.learning import CategoryLearner, NumericLearner
from afterlaunch.profiles.packing import Profile
from afterlaunch.profiles.reading import FOLDED
from afterlaunch.profiles.values import categories as categories_of
from afterlaunch.profiles.values import numbers as numbers_of
from afterlaunch.profiles.vectors import is_vector

WINDOW = timedelta(minutes=5)
FOLDS = 20_000  # windows times columns, of one body
MODELS = 50
VERSION = 200  # characters
LEFT_OUT = {"time": "a column of times", "vector": "fewer than 50 vectors of one length"}
Fold = Callable[[Array], Profile]


@dataclass(frozen=True)
class Folded:
    """One window of one version of the model; `places`: its rows in the body."""

    version: str
    start: datetime
    rows: int
    profiles: Profiles
    places: Array


def _kind(column: pa.Array) -> str:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    types = pa.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_boolean(kind):
        return "truth"
    if is_vector(kind):
        return "vector"
    return "time" if types.is_temporal(kind) else "null" if types.is_null(kind) else "text"


def learn(rows: Rows) -> tuple[dict[str, Layout], dict[str, str]]:
    """Layouts of a reference's columns; and why others have none."""
    layouts: dict[str, Layout] = {}
    left_out: dict[str, str] = {}
    for name, column in rows.features.items():
        kind = _kind(column)
        if kind not in FOLDED:
            left_out[name] = LEFT_OUT.get(kind, "no value in it")
            continue
        found = _learned(column, kind, rows.count)
        if found is None:
            left_out[name] = "no value in it that could be compared"
        else:
            layouts[name] = found
    return layouts, left_out


def _learned(column: pa.Array, kind: str, rows: int) -> Layout | None:
    if kind == "number":
        learner = NumericLearner(rows)
        numbers = numbers_of(column)
        learner.add(numbers.values, 0, numbers.valid)
        return learner.layout()
    texts = CategoryLearner()
    grouped = categories_of(column)
    texts.add(grouped.values, np.bincount(grouped.codes, minlength=len(grouped.values)))
    return texts.layout()


def _numbers(layout: NumericLayout, column: pa.Array, second: Array) -> Fold:
    found = numbers_of(column)
    valid = np.ones(len(column), bool) if found.valid is None else found.valid
    values, wrong = np.full(len(column), np.nan), np.zeros(len(column), bool)
    values[valid] = found.values
    if found.invalid is not None:
        wrong[np.flatnonzero(valid)[found.invalid]] = True
    registers, marks = distinct.of_numbers(values)

    def fold(rows: Array) -> Profile:
        kept, gone = rows[valid[rows]], rows[~valid[rows]]
        invalid = np.flatnonzero(wrong[kept])
        marked = registers[kept], marks[kept]
        profile = numeric.fold(layout, values[kept], _halves(second[kept]), invalid if len(invalid) else None, marked)
        return numeric.with_nulls(profile, _counts(second[gone]))

    return fold


def _texts(layout: CategoryLayout, column: pa.Array, second: Array) -> Fold:
    found = categories_of(column)
    valid = np.ones(len(column), bool) if found.valid is None else found.valid
    codes = np.zeros(len(column), np.int64)
    codes[valid] = found.codes

    def fold(rows: Array) -> Profile:
        kept, gone = rows[valid[rows]], rows[~valid[rows]]
        used, places = np.unique(codes[kept], return_inverse=True)
        counts = np.stack([np.bincount(places[part], minlength=len(used)) for part in _halves(second[kept])])
        return categories.fold(layout, [found.values[at] for at in used.tolist()], counts, _counts(second[gone]))

    return fold


def _halves(second: Array) -> tuple[Array, Array]:
    return np.flatnonzero(~second), np.flatnonzero(second)


def _counts(second: Array) -> tuple[int, int]:
    return len(second) - int(second.sum()), int(second.sum())


def _folds(layouts: Mapping[str, Layout], rows: Rows, second: Array) -> dict[str, Fold]:
    """A column that the body lacks is null in every row."""
    found: dict[str, Fold] = {}
    for name, layout in layouts.items():
        column = rows.features.get(name)
        column = pa.nulls(rows.count) if column is None else column
        if isinstance(layout, NumericLayout):
            found[name] = _numbers(layout, column, second)
        else:
            found[name] = _texts(layout, column, second)
    return found


def whole(layouts: Mapping[str, Layout], rows: Rows) -> Profiles:
    """A table that may have no ids and no times."""
    every = np.arange(rows.count)
    return {name: fold(every) for name, fold in _folds(layouts, rows, halves_or_rows(rows)).items()}


def parts(layouts: Mapping[str, Layout], rows: Rows, chosen: Sequence[Array]) -> list[tuple[int, Profiles]]:
    """Of a table, some rows each: how many, and their profiles."""
    folds = _folds(layouts, rows, halves_or_rows(rows))
    return [(len(some), {name: fold(some) for name, fold in folds.items()}) for some in chosen]


def grouped(
    layouts: Mapping[str, Layout], profiles: Profiles, rows: Rows, places: Array, count: int
) -> dict[str, Array]:
    """Of each feature how its values lie over the groups of its rhythm, in each of `count` parts of the table: `places`
    says which part a row belongs to. As `rhythms.counts_of` tells it of profiles."""
    found = {}
    for name, layout in layouts.items():
        starts = rhythms.groups_of(profiles[name])
        cells = cells_of(layout, rows.features[name])
        groups = np.where(cells >= 0, np.searchsorted(starts, cells, "right") - 1, len(starts) - 1 - cells)
        width = len(starts) + 2
        found[name] = np.bincount(places * width + groups, minlength=count * width).reshape(count, width)
    return found


def cells_of(layout: Layout, column: pa.Array) -> Array:
    """Of each row; -1: it has no value, -2: what it has is no number."""
    places = np.full(len(column), -1)
    if pa.types.is_null(column.type):
        return places
    if isinstance(layout, NumericLayout):
        read = numbers_of(column)
        cells = np.searchsorted(layout.edges, read.values, "right")
        cells = np.where(np.isnan(read.values), -1, np.where(np.isinf(read.values), -2, cells))
        if read.invalid is not None:
            cells[read.invalid] = -2
        valid = read.valid
    else:
        texts = categories_of(column)
        cells = np.array([layout.place(one) for one in texts.values], np.int64)[texts.codes]
        valid = texts.valid
    places[slice(None) if valid is None else valid] = cells
    return places


def windows(layouts: Mapping[str, Layout], rows: Rows, latest: datetime) -> list[Folded]:
    """By version and window of event time, in that order. `latest`: no time may lie beyond it."""
    second = second_halves(rows)
    width = int(WINDOW.total_seconds() * 10**6)
    starts = times(rows, latest) // width
    names, codes = versions(rows)
    for name in names:
        if len(name) > VERSION or "\x00" in name:
            raise TooLarge(f"A model_version may have {VERSION} characters.")
    if len(names) > MODELS:
        raise TooLarge(f"A body may have {MODELS} versions of a model; this one has {len(names)}.", "Split it.")
    keys, places = np.unique(starts * len(names) + codes, return_inverse=True)
    if len(keys) * max(len(layouts), 1) > FOLDS:
        most = FOLDS // max(len(layouts), 1)
        raise TooLarge(f"With so many columns a body may touch {most:,} windows of five minutes.", "Split it by time.")
    order = np.argsort(places, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(places, minlength=len(keys)))[:-1])
    folds = _folds(layouts, rows, second)
    found = []
    for key, group in zip(keys.tolist(), groups, strict=True):
        number, code = divmod(key, len(names))
        start = datetime.fromtimestamp(number * width // 10**6, UTC)
        profiles = {name: fold(group) for name, fold in folds.items()}
        found.append(Folded(names[code], start, len(group), profiles, group))
    return sorted(found, key=lambda one: (one.version, one.start))
