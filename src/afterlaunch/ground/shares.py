"""How sure a share is, and the difference of two. Pure."""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from statistics import NormalDist

LEVEL = 0.95
Interval = tuple[float, float]


@lru_cache(maxsize=64)
def _normal(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(hits: int, count: int, level: float = LEVEL) -> Interval:
    """Of the share of hits (E. B. Wilson, 1927); of none, all there is."""
    if not count:
        return 0.0, 1.0
    z = _normal(level)
    middle, room = hits + z * z / 2, z * sqrt(hits * (count - hits) / count + z * z / 4)
    return max((middle - room) / (count + z * z), 0.0), min((middle + room) / (count + z * z), 1.0)


def newcombe(hits: int, count: int, before_hits: int, before: int, level: float = LEVEL) -> Interval:
    """Of the difference of two shares, now less before, from their own (R. G. Newcombe, Stat. Med. 17/8, 1998, method
    10)."""
    now, was = hits / count, before_hits / before
    (low, high), (low_was, high_was) = wilson(hits, count, level), wilson(before_hits, before, level)
    difference = now - was
    return (
        difference - sqrt((now - low) ** 2 + (high_was - was) ** 2),
        difference + sqrt((high - now) ** 2 + (was - low_was) ** 2),
    )
