"""Counting many numbers on the cells of a layout without sorting them: an even grid lies over the edges, and a number's
place on it tells its cell but for an edge or two, with which it is compared. Exact, as comparing with every edge is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from afterlaunch.profiles.hashing import Array

FEW = 2_048  # numbers that are sorted as fast
AT_ONCE = 8_192  # numbers: with what they are looked up in they stay in the processor's nearer memories
PLACES = 8_192
CROWDED = 0.1  # of the cells may lie where a place of the grid has more than one edge


@dataclass(frozen=True)
class Grid:
    """Of each place: `below`, how many edges lie on lesser ones; `first`, `second`: the edges that lie on it, infinity
    where there is none; `crowded`: whether there are more (None: nowhere). A number's place never lies before that of
    a lesser number, however floats are rounded."""

    edges: Array
    low: float
    scale: float
    below: Array
    first: Array
    second: Array | None
    crowded: Array | None

    def count(self, values: Array) -> Array:
        """(cells,): of finite `values`. A cell begins with its edge and ends before the next."""
        found = np.zeros(len(self.edges) + 1, np.int64)
        for start in range(0, len(values), AT_ONCE):
            found += np.bincount(self._cells(values[start : start + AT_ONCE]), minlength=len(found))
        return found

    def _cells(self, values: Array) -> Array:
        places = _places(values, self.low, self.scale)
        cells: Array = self.below[places]
        cells += values >= self.first[places]
        if self.second is not None:
            cells += values >= self.second[places]
        if self.crowded is not None and len(rest := np.flatnonzero(self.crowded[places])):
            cells[rest] = np.searchsorted(self.edges, values[rest], "right")
        return cells


def _places(values: Array, low: float, scale: float) -> Array:
    with np.errstate(over="ignore"):
        found = (values - low) * scale
    np.clip(found, 0, PLACES - 1, out=found)
    places: Array = found.astype(np.intp)
    return places


def grid_of(edges: Array) -> Grid | None:
    """None where an even grid would tell few cells apart, as of numbers of very different sizes.

    `edges`: ascending. The grid reaches from the second to the last but one, since the outer ones may lie far off."""
    low, high = (float(edges[1]), float(edges[-2])) if len(edges) > 3 else (float(edges[0]), float(edges[-1]))
    with np.errstate(over="ignore", divide="ignore"):
        scale = float(np.divide(PLACES - 3, np.subtract(high, low)))
        low -= float(np.divide(1, scale))
    if not (0 < scale < np.inf and np.isfinite(low)):
        return None
    places = _places(edges, low, scale)
    counts = np.bincount(places, minlength=PLACES)
    if counts[counts > 2].sum() > CROWDED * len(edges):
        return None
    below = np.cumsum(counts) - counts
    first, second = np.full(PLACES, np.inf), np.full(PLACES, np.inf)
    order = np.arange(len(edges)) - below[places]  # of an edge among those of its place
    first[places[order == 0]] = edges[order == 0]
    second[places[order == 1]] = edges[order == 1]
    crowded = counts > 2
    return Grid(
        edges, low, scale, below, first, second if (counts > 1).any() else None, crowded if crowded.any() else None
    )
