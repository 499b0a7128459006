"""Quantiles of a histogram, and how low they may truly lie. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np

CHANCE = 0.001  # the true quantile lies below the lower bound at most once in so many looks
DEVIATIONS = 3.0902  # of a normal distribution, for the same chance
EXACT_BELOW = 400.0  # expected calls above the quantile; from here on the normal distribution is exact enough


@dataclass(frozen=True)
class Quantiles:
    """In the histogram's unit. `p95_low` is the one-sided lower confidence bound of p95: when even that is above a
    line, chance is ruled out that the true p95 is below it. Distribution-free, from order statistics (David and
    Nagaraja, Order Statistics, 7.1)."""

    p50: float
    p95: float
    p99: float
    p95_low: float
    p99_low: float


@lru_cache(maxsize=4096)
def surely_above(calls: int, quantile: float) -> int:
    """The least number m of `calls` that must lie above a line so that P(Binomial(calls, 1 - quantile) >= m) is below
    CHANCE, or calls + 1 when no number would do."""
    tail = 1.0 - quantile
    expected = calls * tail
    if expected > EXACT_BELOW:
        return int(expected + DEVIATIONS * sqrt(expected * quantile)) + 1
    term = quantile**calls
    left, number = 1.0, 0
    while number <= calls and left >= CHANCE:
        left -= term
        number += 1
        term *= (calls - number + 1) / number * tail / quantile
    return number if left < CHANCE else calls + 1


def of_histogram(values: Sequence[float], counts: Sequence[int]) -> Quantiles:
    """`values` ascending, each with its positive count."""
    reached = np.cumsum(np.asarray(counts, dtype=np.int64))
    total = int(reached[-1])

    def at(rank: float) -> float:
        return float(values[min(int(np.searchsorted(reached, rank)), len(values) - 1)])

    def low(quantile: float) -> float:
        rank = total - surely_above(total, quantile) + 1  # so many calls lie at or above this one
        return at(rank) if rank >= 1 else 0.0

    return Quantiles(at(0.5 * total), at(0.95 * total), at(0.99 * total), low(0.95), low(0.99))
