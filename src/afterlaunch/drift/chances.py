"""Tails of the distributions that the judges compare with. Written out, since a whole library for six functions would
cost the command more time than its arithmetic; `tests/test_chances.py` compares them with published tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from math import erfc, exp, lgamma, log, pi, sqrt

import numpy as np

from afterlaunch.profiles.hashing import Array

FEW, FAR = 60, 300.0  # degrees of freedom and halves of x that are summed term by term; NEAR: halves of shifts
NEAR = 30.0
SMALLEST = 1e-300  # what a tail beyond the floats is called


def normal_tail(z: float) -> float:
    """P(|Z| >= |z|)."""
    return max(erfc(abs(z) / sqrt(2)), SMALLEST)


@cache
def normal_quantile(share: float) -> float:
    """By bisection: asked for a few shares only."""
    low, high = -40.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if erfc(-middle / sqrt(2)) / 2 < share else (low, middle)
    return (low + high) / 2


def chi2_tail(x: float, df: int) -> float:
    """P(chi-square >= x), by the finite sums for whole degrees of freedom (Abramowitz and Stegun 26.4.4, 26.4.5)."""
    if x <= 0:
        return 1.0
    half = x / 2
    if df <= FEW and half < FAR:
        return min(max(_summed(half, df), SMALLEST), 1.0)
    terms = np.arange(df // 2 if df % 2 == 0 else (df - 1) // 2)
    shift = 0.0 if df % 2 == 0 else 0.5
    total = 0.0 if df % 2 == 0 else erfc(sqrt(half))
    if len(terms):
        logs = (terms + shift) * log(half) - half - _log_gamma(terms + shift + 1)
        total += float(np.exp(logs).sum())
    return min(max(total, SMALLEST), 1.0)


def chi2_tails(x: Array, df: Array) -> Array:
    """`chi2_tail` of many at once, but for its last digits."""
    near = (df <= FEW) & (x < 2 * FAR) & (x > 0)
    half, odd = np.where(near, x / 2, 1.0), df % 2 == 1
    total = np.where(odd, _each(erfc, np.sqrt(half)), 0.0)
    term = np.exp(-half) * np.where(odd, 2 * np.sqrt(half / pi), 1.0)
    at = np.where(odd, 1.5, 1.0)
    terms = np.where(near, df // 2, 0)
    for step in range(int(terms.max(initial=0))):
        total += np.where(step < terms, term, 0.0)
        term *= half / at
        at += 1
    found = np.clip(total, SMALLEST, 1.0)
    for one in np.flatnonzero(~near).tolist():
        found[one] = chi2_tail(float(x[one]), int(df[one]))
    return found


def _each(function: Callable[[float], float], values: Array) -> Array:
    return np.array([function(one) for one in values.tolist()])


def _summed(half: float, df: int) -> float:
    """The same sums, each term from the one before: of a few terms that is ten times as fast."""
    if df % 2:
        total, term, at = erfc(sqrt(half)), 2 * sqrt(half / pi) * exp(-half), 1.5
    else:
        total, term, at = 0.0, exp(-half), 1.0
    for _ in range(df // 2):
        total += term
        term *= half / at
        at += 1
    return total


def _log_gamma(values: np.ndarray) -> np.ndarray:
    """For ascending values a step of one apart."""
    if not len(values):
        return values
    return lgamma(values[0]) + np.concatenate(([0.0], np.cumsum(np.log(values[:-1]))))


class _Shifted:
    """Noncentral chi-squares at one `x`: Poisson mixtures of central ones, over the terms that carry all but 1e-15.
    What does not depend on the shift is worked out once."""

    def __init__(self, x: float, df: int) -> None:
        self._half, self._df = x / 2, df
        self._first, self._base = 0, chi2_tail(x, df)
        self._logs, self._rises, self._tails = np.zeros(0), np.zeros(0), np.zeros(0)

    def tail(self, shift: float) -> tuple[float, float]:
        """(P(noncentral chi-square >= x), its slope by the shift)."""
        mean = shift / 2
        reach = 9 * sqrt(mean) + 40
        first, last = max(0, int(mean - reach)), int(mean + reach)
        if first < self._first or last >= self._first + len(self._rises):
            self._work_out(first, last + 40)
        held = slice(first - self._first, last + 1 - self._first)
        weights = np.exp(np.arange(first, last + 1) * log(mean) - mean - self._logs[held])
        tail, slope = float(weights @ self._tails[held]), float(weights @ self._rises[held]) / 2
        return min(max(tail, SMALLEST), 1.0), slope

    def _work_out(self, first: int, last: int) -> None:
        """Q(a + 1, y) = Q(a, y) + y ** a exp(-y) / gamma(a + 1)."""
        steps = np.arange(first, last + 1, dtype=np.float64)
        halves = steps + self._df / 2
        self._first, self._logs = first, _log_gamma(steps + 1)
        self._rises = np.exp(halves * log(self._half) - self._half - _log_gamma(halves + 1))
        least = chi2_tail(2 * self._half, self._df + 2 * first) if first else self._base
        self._tails = np.minimum(least + np.concatenate(([0.0], np.cumsum(self._rises[:-1]))), 1.0)


@lru_cache(maxsize=16)
def _shifted(x: float, df: int) -> _Shifted:
    return _Shifted(x, df)


def shifted_chi2_tail(x: float, df: int, shift: float) -> float:
    """P(noncentral chi-square >= x)."""
    if shift <= 0:
        return chi2_tail(x, df)
    if 0 < x < 2 * FAR and shift < 2 * NEAR and df <= FEW:
        return min(max(_mixture(x / 2, df, shift / 2), SMALLEST), 1.0)
    return _shifted(x, df).tail(shift)[0] if x > 0 else 1.0


def _mixture(half: float, df: int, mean: float) -> float:
    """As `_Shifted`, for small shifts, each term from the one before."""
    tail, at = chi2_tail(2 * half, df), df / 2
    rise = exp(at * log(half) - half - lgamma(at + 1))
    weight, left = exp(-mean), 1.0
    total, count = 0.0, 0
    while left > 1e-16 and count < 400:
        total += weight * min(tail, 1.0)
        left -= weight
        tail += rise
        at += 1
        rise *= half / at
        count += 1
        weight *= mean / count
        if count > mean and weight < 1e-18:
            break
    return total


def shifted_chi2_tails(x: Array, df: Array, shift: Array) -> Array:
    """`shifted_chi2_tail` of many at once, but for its last digits."""
    near = (x > 0) & (x < 2 * FAR) & (shift > 0) & (shift < 2 * NEAR) & (df <= FEW)
    half, mean, at = np.where(near, x / 2, 1.0), np.where(near, shift / 2, 0.0), df / 2
    tail = chi2_tails(2 * half, df)
    rise = np.exp(at * np.log(half) - half - _each(lgamma, at + 1))
    weight, total, left = np.exp(-mean), np.zeros(len(x)), np.ones(len(x))
    for count in range(1, 401):
        total += weight * np.minimum(tail, 1.0)
        left -= weight
        if not ((left > 1e-16) & ((count <= mean) | (weight > 1e-18))).any():
            break
        tail += rise
        at = at + 1
        rise *= half / at
        weight *= mean / count
    found = np.clip(total, SMALLEST, 1.0)
    for one in np.flatnonzero(~near).tolist():
        found[one] = shifted_chi2_tail(float(x[one]), int(df[one]), float(shift[one]))
    return found


def shift_where(x: float, df: int, tail: float) -> float:
    """The noncentrality at which P(noncentral chi-square >= x) is `tail`; 0 where even none exceeds it."""
    if chi2_tail(x, df) >= tail:
        return 0.0
    # Where the square root of the variable is near normal; then Newton's steps, or halves where one leads astray.
    at = max((sqrt(max(x, 1e-9)) + normal_quantile(tail)) ** 2 - df + 1, 1e-6)
    low, high = 0.0, 2 * (x + df + 10 * sqrt(x + df) + 50)
    for _ in range(60):
        found, slope = _shifted(x, df).tail(at)
        gap = found - tail
        if abs(gap) < 1e-6:
            break
        low, high = (at, high) if gap < 0 else (low, at)
        step = at - gap / slope if slope > 0 else high
        was, at = at, step if low < step < high else (low + high) / 2
        if abs(at - was) < 1e-6 * (1 + at):
            break
    return at


def kolmogorov_tail(t: float) -> float:
    """P(sup |Brownian bridge| >= t)."""
    if t < 0.27:
        return 1.0
    if t < 1.0:  # Marsaglia, Tsang and Wang (2003): the other series converges faster here
        total = sum(exp(-((2 * k - 1) ** 2) * pi * pi / (8 * t * t)) for k in range(1, 5))
        return min(max(1 - sqrt(2 * pi) / t * total, 0.0), 1.0)
    total = 2 * sum((1 if k % 2 else -1) * exp(-2 * k * k * t * t) for k in range(1, 6))
    return min(max(total, SMALLEST), 1.0)


def kolmogorov_tails(t: Array) -> Array:
    """`kolmogorov_tail` of many at once, but for its last digits."""
    small, large = np.clip(t, 0.27, 1.0), np.maximum(t, 1.0)
    near = sum(np.exp(-((2 * k - 1) ** 2) * pi * pi / (8 * small * small)) for k in range(1, 5))
    far = 2 * sum((1 if k % 2 else -1) * np.exp(-2 * k * k * large * large) for k in range(1, 6))
    found = np.where(t < 1.0, np.clip(1 - sqrt(2 * pi) / small * near, 0.0, 1.0), np.clip(far, SMALLEST, 1.0))
    return np.where(t < 0.27, 1.0, found)


def hypergeometric_tail(hits: int, drawn: int, marked: int, total: int) -> float:
    """Two-sided exact chance of the 2 x 2 table (Fisher): tables no likelier than this one."""
    low, high = max(0, drawn + marked - total), min(drawn, marked)
    at = np.arange(low, high + 1)
    logs = np.array([_choose(marked, k) + _choose(total - marked, drawn - k) for k in at.tolist()]) - _choose(
        total, drawn
    )
    seen = logs[hits - low]
    return min(max(float(np.exp(logs[logs <= seen + 1e-9]).sum()), SMALLEST), 1.0)


def _choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
