"""The profile of a numeric column: exact counts of its cells, in two halves, with moments and what was no number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from afterlaunch.profiles import distinct, grids, outside
from afterlaunch.profiles.distinct import Distinct, Marks
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import NumericLayout
from afterlaunch.profiles.outside import Outside

# What a row may hold that is no finite number, in the order of `apart`.
NULL, NAN, PLUS_INFINITY, MINUS_INFINITY, INVALID = range(5)
APART = ("null", "nan", "plus_infinity", "minus_infinity", "invalid")


@dataclass(frozen=True)
class NumericProfile:
    """Arrays have a row for each half. `counts` (2, cells) and `apart` (2, 5) are exact; `sums` (2, 2) holds sums of
    x - centre and of its square. `registers` and `outside` (what lies beyond the reference's range) are None where a
    part was kept before there were any."""

    layout: NumericLayout
    counts: Array
    apart: Array
    sums: Array
    least: float = np.inf
    greatest: float = -np.inf
    registers: Array | None = None
    outside: Outside | None = None

    @classmethod
    def empty(cls, layout: NumericLayout) -> NumericProfile:
        counts = np.zeros((2, layout.cells), np.int64)
        apart = np.zeros((2, len(APART)), np.int64)
        return cls(layout, counts, apart, np.zeros((2, 2)), registers=distinct.nothing(), outside=outside.NOTHING)

    @cached_property
    def cells(self) -> Array:
        """Counts of both halves together."""
        both: Array = self.counts[0] + self.counts[1]
        return both

    @cached_property
    def count(self) -> int:
        """Finite numbers."""
        return int(self.cells.sum())

    @cached_property
    def _apart(self) -> list[int]:
        first, second = self.apart.tolist()
        return [had + has for had, has in zip(first, second, strict=True)]

    @cached_property
    def records(self) -> int:
        return self.count + sum(self._apart)

    @cached_property
    def missing(self) -> int:
        return self._apart[NULL] + self._apart[NAN]

    @cached_property
    def wrong(self) -> int:
        """Infinities, and what is no number at all."""
        return self._apart[PLUS_INFINITY] + self._apart[MINUS_INFINITY] + self._apart[INVALID]

    @property
    def mean(self) -> float:
        return self.layout.centre + float(self.sums[:, 0].sum()) / self.count if self.count else float("nan")

    @property
    def deviation(self) -> float:
        """Standard deviation; NaN where there is none, or none that a float can hold."""
        if not self.count or not np.isfinite(self.sums).all():
            return float("nan")
        first, second = self.sums.sum(0) / self.count
        return float(np.sqrt(max(second - first * first, 0.0)))

    @property
    def distinct(self) -> Distinct | None:
        """Finite values that are not equal. Exact where each is alone in its cell; None: not known."""
        used = self.cells > 0
        if not used[~self.layout.single].any():
            return Distinct(int(used.sum()), True)
        return None if self.registers is None else Distinct(min(distinct.estimate(self.registers), self.count), False)

    def merge(self, other: NumericProfile) -> NumericProfile:
        if self.layout.id != other.layout.id:
            raise ValueError("Profiles of different layouts do not merge.")
        return replace(
            self,
            counts=self.counts + other.counts,
            apart=self.apart + other.apart,
            sums=self.sums + other.sums,
            least=min(self.least, other.least),
            greatest=max(self.greatest, other.greatest),
            registers=distinct.merged(self.registers, other.registers),
            outside=self.outside.merge(other.outside) if self.outside and other.outside else None,
        )

    def quantile(self, share: float) -> float:
        """By a straight line within what `bracket` tells."""
        return quantile(self, share)

    def bracket(self, share: float) -> tuple[float, float]:
        """Between what the value lies that so large a share of the values, rounded up to whole ones, does not exceed:
        its cell, or outside the reference's range its step of 5 %."""
        return bracket(self, share)


def fold(
    layout: NumericLayout,
    values: Array,
    halves: tuple[Array | slice, Array | slice],
    invalid: Array | None = None,
    marks: Marks | None = None,
) -> NumericProfile:
    """A batch as a profile.

    `values`: float64, NaN and infinities allowed; `halves`: the rows of either half, as positions or slices;
    `invalid`: positions in `values` (of any content) that were no numbers; `marks`: of `values`, where they are known.
    Nulls are counted by the caller (`with_nulls`).
    """
    counts = np.zeros((2, layout.cells), np.int64)
    apart = np.zeros((2, len(APART)), np.int64)
    sums = np.zeros((2, 2))
    least, greatest = np.inf, -np.inf
    finite = bool(np.isfinite(values).all()) and invalid is None
    wrong = np.zeros(len(values), bool)
    if invalid is not None:
        wrong[invalid] = True
    for half, rows in enumerate(halves):
        part = values[rows]
        if not finite:
            bad = wrong[rows]
            apart[half, INVALID] = int(bad.sum())
            part = part[~bad]
            apart[half, NAN] = int(np.isnan(part).sum())
            apart[half, PLUS_INFINITY] = int((part == np.inf).sum())
            apart[half, MINUS_INFINITY] = int((part == -np.inf).sum())
            part = part[np.isfinite(part)]
        if not len(part):
            continue
        low, high = _count(layout, part, counts[half])
        least, greatest = min(least, low), max(greatest, high)
        with np.errstate(over="ignore", invalid="ignore"):  # near the largest float there are no moments
            moved = part - layout.centre
            sums[half] = moved.sum(), np.square(moved).sum()  # a dot product would wake the threads of BLAS
    good = None if finite else np.isfinite(values) & ~wrong
    kept = values if good is None else values[good]
    registers = distinct.nothing()
    if marks is None:
        distinct.add_numbers(registers, kept)
    else:
        distinct.mark(registers, *(marks if good is None else (marks[0][good], marks[1][good])))
    far = _outside(layout.edges, kept) if counts[:, 0].any() or counts[:, -1].any() else outside.NOTHING
    return NumericProfile(layout, counts, apart, sums, least, greatest, registers, far)


def _outside(edges: Array, values: Array) -> Outside:
    of = outside.span(edges)
    with np.errstate(over="ignore"):
        below, above = edges[0] - values[values < edges[0]], values[values >= edges[-1]] - edges[-1]
    return Outside(outside.steps(below, of), outside.steps(above, of))


def _count(layout: NumericLayout, values: Array, into: Array) -> tuple[float, float]:
    """Finite values, at least one: counts of the cells, and the range."""
    if len(values) > grids.FEW and (grid := layout.grid) is not None:
        into[:] = grid.count(values)
        return float(values.min()), float(values.max())
    ordered = np.sort(values)
    below = np.searchsorted(ordered, layout.edges, "left")
    into[0], into[-1] = below[0], len(values) - below[-1]
    np.subtract(below[1:], below[:-1], out=into[1:-1])
    return float(ordered[0]), float(ordered[-1])


def with_nulls(profile: NumericProfile, nulls: tuple[int, int]) -> NumericProfile:
    apart = profile.apart.copy()
    apart[:, NULL] += nulls
    return replace(profile, apart=apart)


def ends(profile: NumericProfile) -> Array:
    """Ends of all cells, the outer ones closed by the profile's own range: one more than there are cells."""
    edges = profile.layout.edges
    low, high = (profile.least, profile.greatest) if profile.count else (edges[0], edges[-1])
    return np.concatenate(([min(low, edges[0])], edges, [max(high, edges[-1])]))


def quantile(profile: NumericProfile, share: float) -> float:
    if not profile.count:
        return float("nan")
    low, high, inside = _around(profile, share * profile.count)
    return float(min(max(low * (1 - inside) + high * inside, profile.least), profile.greatest))


def bracket(profile: NumericProfile, share: float) -> tuple[float, float]:
    if not profile.count:
        return float("nan"), float("nan")
    low, high, _ = _around(profile, max(float(np.ceil(share * profile.count)), 1.0))
    return max(low, profile.least), min(high, profile.greatest)


def _around(profile: NumericProfile, wanted: float) -> tuple[float, float, float]:
    """The ends of the cell or step in which so many values are reached, and how far inside, from 0 to 1."""
    reached = np.concatenate(([0], np.cumsum(profile.cells)))
    cell = int(np.clip(np.searchsorted(reached, wanted, "left") - 1, 0, len(reached) - 2))
    bounds = ends(profile)
    low, high, count = float(bounds[cell]), float(bounds[cell + 1]), int(reached[cell + 1] - reached[cell])
    rest = wanted - float(reached[cell])
    far, last = profile.outside, len(profile.cells) - 1
    if far is not None and cell in (0, last) and far.counts[cell == last] == count > 0:
        low, high, rest, count = _step(profile, far, cell == last, rest)
    return low, high, min(max(rest / max(count, 1), 0.0), 1.0)


def _step(profile: NumericProfile, far: Outside, above: bool, rest: float) -> tuple[float, float, float, int]:
    """Ends of the step in which `rest` values of that side are reached, from the least on; how many are wanted of it,
    and how many it has."""
    edges = profile.layout.edges
    of, side = outside.span(edges), far.above if above else far.below
    order = sorted(side, reverse=not above)
    at = 0
    while at < len(order) - 1 and rest > side[order[at]]:
        rest -= side[order[at]]
        at += 1
    near, distant = outside.bounds(order[at], of)
    if above:
        low, high = float(edges[-1]) + near, float(edges[-1]) + distant
    else:
        low, high = float(edges[0]) - distant, float(edges[0]) - near
    return max(low, profile.least), min(high, profile.greatest), rest, side[order[at]]
