"""Counts of every feature in every slice of the rows, which add up as profiles do.

Slice columns are fixed by the reference: declared segments, then its columns of categories with few values. Of each of
their values stand the counts of every feature over the ten groups of cells of its rhythm, missing and wrong values
apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from afterlaunch.drift import rhythms
from afterlaunch.predictions import folding
from afterlaunch.predictions.bodies import Rows
from afterlaunch.predictions.packed import Profiles
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import CategoryLayout, Layout

COLUMNS, VALUES = 8, 20
WIDTH = rhythms.GROUPS + 2
SIZES = (1, 2, 4, 8)  # bytes
MOST = 50_000  # counts of one window
REST = ("(other)", "(new)", "(none)")  # of a slice column: rare values, those that the reference lacks, none


@dataclass(frozen=True)
class Cut:
    """`starts`: of each feature's groups; `values`: of each slice column. Counts are (values of all columns, features,
    12)."""

    features: tuple[str, ...]
    starts: dict[str, Array]
    values: dict[str, tuple[str, ...]]

    @property
    def shape(self) -> tuple[int, int, int]:
        return sum(map(len, self.values.values())), len(self.features), WIDTH

    def empty(self) -> Array:
        return np.zeros(self.shape, np.int64)


def columns_of(layouts: Mapping[str, Layout], declared: Sequence[str]) -> list[str]:
    """As many as there is room for."""
    few = [
        name
        for name, layout in layouts.items()
        if isinstance(layout, CategoryLayout) and 1 < len(layout.names) <= VALUES and not layout.tail
    ]
    first = [name for name in declared if name in few]
    found: list[str] = []
    room = MOST
    for name in dict.fromkeys((*first, *sorted(few, key=lambda one: (len(_values(layouts[one])), one)))):
        room -= len(_values(layouts[name])) * len(layouts) * WIDTH
        if room < 0 or len(found) == COLUMNS:
            break
        found.append(name)
    return found


def _values(layout: Layout) -> tuple[str, ...]:
    assert isinstance(layout, CategoryLayout)
    return (*layout.names, *REST)


def cut(layouts: Mapping[str, Layout], profiles: Profiles, columns: Sequence[str]) -> Cut:
    starts = {name: rhythms.groups_of(one) for name, one in profiles.items()}
    return Cut(tuple(layouts), starts, {name: _values(layouts[name]) for name in columns})


def counting(by: Cut, layouts: Mapping[str, Layout], rows: Rows) -> Callable[[Array], Array]:
    """Counts of some rows."""
    places = np.empty((rows.count, len(by.features)), np.int64)
    for at, name in enumerate(by.features):
        cells = folding.cells_of(layouts[name], _column(rows, name))
        starts = by.starts[name]
        groups = np.where(cells >= 0, np.searchsorted(starts, cells, "right") - 1, WIDTH - 3 - cells)
        places[:, at] = at * WIDTH + groups
    values = []
    first = 0
    for name, told in by.values.items():
        cells = folding.cells_of(layouts[name], _column(rows, name))
        values.append(first + np.where(cells >= 0, cells, len(told) - 1))
        first += len(told)
    size = len(by.features) * WIDTH

    def counts(chosen: Array) -> Array:
        found = np.zeros(first * size, np.int64)
        for one in values:
            found += np.bincount((one[chosen, None] * size + places[chosen]).ravel(), minlength=first * size)
        return found.reshape(by.shape)

    return counts


def _column(rows: Rows, name: str) -> pa.Array:
    column = rows.features.get(name)
    return pa.nulls(rows.count) if column is None else column


def pack(counts: Array) -> bytes:
    """In the narrowest numbers that hold the largest count, which the first byte tells."""
    size = next(one for one in SIZES if int(counts.max(initial=0)) < 1 << 8 * one)
    return bytes([size]) + zlib.compress(counts.astype(f"<u{size}").tobytes(), 1)


def unpack(body: bytes, by: Cut) -> Array:
    """Raises ValueError where the bytes are not of this reference."""
    return np.frombuffer(zlib.decompress(body[1:]), f"<u{body[0]}").astype(np.int64).reshape(by.shape)


def of_feature(by: Cut, name: str, before: Array, now: Array) -> list[tuple[str, tuple[str, ...], Array, Array]]:
    """As `drift.slices` asks for it; a feature is no slice of itself."""
    at, first, found = by.features.index(name), 0, []
    for key, values in by.values.items():
        part = slice(first, first + len(values))
        first += len(values)
        if key != name:
            found.append((key, values, before[part, at], now[part, at]))
    return found
