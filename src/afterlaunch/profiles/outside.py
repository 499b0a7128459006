"""Values outside the range of a reference, in steps that grow with their distance from it: each side is a count of
steps, 5 % wide, so that merging is adding and exact, and a quantile out there is known to 5 % of its distance.

(KLL, which the quantiles of a stream are usually told by, chooses by chance and in the order of merges; hours that are
judged again must give the same bytes.)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from afterlaunch.profiles.hashing import Array

WIDTH = 1.05
LEAST, MOST = -566, 566  # steps: distances from 1e-12 to 1e12 spans
Steps = dict[int, int]  # step: how many values


@dataclass(frozen=True)
class Outside:
    """`below`, `above`: steps away from the least and the greatest value of the reference."""

    below: Steps
    above: Steps

    def merge(self, other: Outside) -> Outside:
        return Outside(_added(self.below, other.below), _added(self.above, other.above))

    @property
    def counts(self) -> tuple[int, int]:
        return sum(self.below.values()), sum(self.above.values())


NOTHING = Outside({}, {})


def _added(one: Steps, other: Steps) -> Steps:
    if not other:
        return one
    found = dict(one)
    for step, count in other.items():
        found[step] = found.get(step, 0) + count
    return dict(sorted(found.items()))


def span(edges: Array) -> float:
    """What distances are told in: the range of the reference, or the size of its only value."""
    low, high = float(edges[0]), float(edges[-1])
    with np.errstate(over="ignore"):
        wide = float(np.subtract(high, low))
    size = max(abs(low), abs(high))
    return min(max(wide, size * 1e-9, 1e-300), 1e300)


def steps(distances: Array, of: float) -> Steps:
    """`distances`: from the range, none below 0, in units of the values; `of`: the span."""
    if not len(distances):
        return {}
    with np.errstate(divide="ignore", over="ignore"):
        found = np.floor(np.log(distances / of) / log(WIDTH))
    places = np.clip(found, LEAST, MOST).astype(np.int64) - LEAST
    counts = np.bincount(places)
    used = np.flatnonzero(counts)
    return dict(zip((used + LEAST).tolist(), counts[used].tolist(), strict=True))


def bounds(step: int, of: float) -> tuple[float, float]:
    """Distances between which the values of a step lie; of the first from none on, of the last without an end."""
    low = 0.0 if step <= LEAST else of * WIDTH**step
    return low, float("inf") if step >= MOST else of * WIDTH ** (step + 1)
