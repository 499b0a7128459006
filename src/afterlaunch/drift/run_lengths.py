"""Thresholds of control charts for a stated average run length (ARL), by computation.

Scores are normal with variance one, of which the share n / (n + m) is the reference's own error: it stays the same from
window to window. Given that error a chart is a Markov chain on a grid of its values (Brook and Evans 1972); the rate of
false alarms is the mean of 1 / ARL over the error (Gauss-Hermite); the threshold is where that is 1 / ARL asked for.
`thresholds` holds what this gives, since it takes a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from statistics import NormalDist

import numpy as np

from afterlaunch.profiles.hashing import Array

GRID = 81
NODES = 15
FOR_EVER = 1e15
RunLength = Callable[[float, float, float], float]  # threshold, mean and spread of the scores


def single(arl: float) -> float:
    """Of |z| in one window."""
    return NormalDist().inv_cdf(1 - 0.5 / arl)


def ewma(weight: float, share: float, arl: float) -> float:
    """L of |E|, E = (1 - weight) E + weight z. `share`: n / (n + m)."""
    return _solved(lambda limit, mean, spread: _ewma_run(weight, limit, mean, spread), share, arl, 8.0)


def cusum(slack: float, share: float, arl: float) -> float:
    """h of max(0, S + z - slack) and of its mirror; each side has half of the false alarms."""
    return _solved(lambda limit, mean, spread: _cusum_run(slack, limit, mean, spread), share, 2 * arl, 400.0)


def _solved(run_length: RunLength, share: float, arl: float, most: float) -> float:
    errors, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    spread = sqrt(1 - share)
    low, high = 0.0, most
    for _ in range(26):
        middle = (low + high) / 2
        rate = sum(w / run_length(middle, sqrt(share) * b, spread) for b, w in zip(errors, weights, strict=True))
        low, high = (middle, high) if rate > 1 / arl else (low, middle)
    return high


def _ewma_run(weight: float, limit: float, mean: float, spread: float) -> float:
    width = 2 * limit / GRID
    at = -limit + width * (np.arange(GRID) + 0.5)
    ends = -limit + width * np.arange(GRID + 1)
    jumps = ((ends[None, :] - (1 - weight) * at[:, None]) / weight - mean) / spread
    return _run_length(np.diff(_below(jumps), axis=1), GRID // 2)


def _cusum_run(slack: float, limit: float, mean: float, spread: float) -> float:
    width = limit / (GRID - 0.5)
    at = width * np.arange(GRID)
    ends = np.concatenate(([-np.inf], at + width / 2))
    jumps = (ends[None, :] - at[:, None] + slack - mean) / spread
    return _run_length(np.diff(_below(jumps), axis=1), 0)


def _run_length(moves: Array, start: int) -> float:
    """Windows until the chain leaves its grid."""
    try:
        steps = float(np.linalg.solve(np.eye(len(moves)) - moves, np.ones(len(moves)))[start])
    except np.linalg.LinAlgError:  # it never leaves, as far as floats can tell
        return FOR_EVER
    return steps if 0 < steps < FOR_EVER else FOR_EVER


def _below(z: Array) -> Array:
    """The normal distribution function (Abramowitz and Stegun 7.1.26 has 1e-7; good enough for a threshold)."""
    x = np.abs(np.clip(z, -40, 40)) / sqrt(2)
    t = 1 / (1 + 0.3275911 * x)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    tail = series * np.exp(-x * x) / 2
    below: Array = np.where(z < 0, tail, 1 - tail)
    return below
