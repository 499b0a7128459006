"""Descriptors of answers to profiles: of the whole, and of each slice. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from afterlaunch.answers import layouts
from afterlaunch.answers.describing import Value
from afterlaunch.predictions.packed import Profiles
from afterlaunch.profiles import categories, hashing, numeric
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import NumericLayout
from afterlaunch.profiles.packing import Profile

SLICES = 5  # of each dimension, those with the most answers in the hour
LEAST = 5  # answers of a slice
LONGEST = 250  # characters of a slice's name


@dataclass(frozen=True)
class Described:
    """One answer. `bits`: of its span's id; `content`: whether its text is kept; `slices`: dimension -> value."""

    bits: int
    content: bool
    slices: Mapping[str, str]
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Folded:
    """`slice`: empty for the whole, else the dimension, a colon and the value."""

    slice: str
    answers: int
    with_content: int
    profiles: Profiles


def fold(answers: Sequence[Described]) -> list[Folded]:
    """The whole first, then the slices with the most answers."""
    groups: dict[str, list[Described]] = {"": list(answers)}
    by: dict[str, dict[str, list[Described]]] = defaultdict(lambda: defaultdict(list))
    for one in answers:
        for dimension, value in one.slices.items():
            by[dimension][value].append(one)
    for dimension in sorted(by):
        counted = Counter({value: len(rows) for value, rows in by[dimension].items()})
        for value, count in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:SLICES]:
            if count >= LEAST:
                groups[f"{dimension}:{value}"[:LONGEST]] = by[dimension][value]
    return [Folded(name, len(rows), sum(one.content for one in rows), _profiles(rows)) for name, rows in groups.items()]


def _profiles(rows: Sequence[Described]) -> Profiles:
    second = hashing.second_half(hashing.mixed(np.array([one.bits for one in rows], np.uint64)))
    return {name: _profile(name, rows, second) for name in layouts.in_force()}


def _profile(name: str, rows: Sequence[Described], second: Array) -> Profile:
    """Of the answers that have this descriptor."""
    layout = layouts.ALL[name]
    places = np.array([at for at, one in enumerate(rows) if name in one.values], np.int64)
    told = [rows[at].values[name] for at in places.tolist()]
    of_second = second[places] if len(places) else np.zeros(0, bool)
    if isinstance(layout, NumericLayout):
        halves = np.flatnonzero(~of_second), np.flatnonzero(of_second)
        return numeric.fold(layout, np.array(told, np.float64), halves)
    names = sorted({str(value) for value in told})
    counts = np.zeros((2, len(names)), np.int64)
    for value, half in zip(told, of_second.tolist(), strict=True):
        counts[int(half), names.index(str(value))] += 1
    return categories.fold(layout, names, counts, (0, 0))
