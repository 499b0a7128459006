"""Drift of vectors: a classifier that tells now from then.

1. Either table's rows fall into halves by a hash. 2. On the first halves two classifiers are fitted: *location* weighs
every number of the vector by its difference of means (diagonal linear discriminant, on all dimensions); *shape* looks
at the reference's 16 principal directions, their squares, and what they leave of the vector (ridge discriminant). 3. On
the second halves, which no fit has seen, the AUC of each is the chance that it ranks a row of now above one of then.
Without drift it is 1/2 with a variance that is known whatever the distribution (Mann-Whitney), so the p-values are
calibrated without a permutation. 4. Intervals: Hanley and McNeil (1982). 0.60 is the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from afterlaunch.drift import chances, statistics
from afterlaunch.drift.evidence import Evidence, Test, Tolerance, kept_p, rate
from afterlaunch.drift.judging import CLASSIFIERS
from afterlaunch.drift.statistics import Effect
from afterlaunch.profiles import numeric
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import numeric_layout
from afterlaunch.profiles.numeric import NumericProfile
from afterlaunch.profiles.vectors import Sample

DIRECTIONS = 16
LEAST = 100  # rows of each table that are tested
LINE = 0.1  # of the AUC beyond 1/2


@dataclass(frozen=True)
class Weighed:
    """`then`, `now`: the stronger classifier's scores of the tested rows."""

    evidence: Evidence
    then: NumericProfile | None = None
    now: NumericProfile | None = None


def _nothing(reason: str, told: str) -> Weighed:
    return Weighed(Evidence((), reason, told))


def weigh(reference: Sample, current: Sample, tolerance: Tolerance) -> Weighed:
    if not current.count and current.wrong:
        told = f"The vectors have another length than the {reference.length} numbers of the reference: another model?"
        return _nothing("incomparable", told)
    (before, before_test), (now, now_test) = reference.halves(), current.halves()
    if min(len(one) for one in (before, before_test, now, now_test)) < LEAST:
        rows = min(reference.count, current.count)
        return _nothing("too_few_rows", f"A classifier needs {2 * LEAST} vectors and more of either table, not {rows}.")
    spread = before.std(0)
    if not (np.concatenate((before, now)) != before[0]).any():
        return _nothing("constant", "The vector is the same throughout, in both.")
    scale = np.where(spread > 0, spread, max(float(spread.max()), 1e-12))
    middle = before.mean(0)
    parts = [(one - middle) / scale for one in (before, now, before_test, now_test)]
    scores = _location(*parts), _shape(*parts)
    tests = [_test(name, *pair, tolerance) for name, pair in zip(CLASSIFIERS, scores, strict=True)]
    strongest = min(range(len(tests)), key=lambda at: tests[at].p)
    if reference.nulls or current.nulls:
        totals = [one.count + one.nulls + one.wrong for one in (reference, current)]
        tests.append(rate("missing_rate", reference.nulls, totals[0], current.nulls, totals[1], tolerance))
    n, m = len(now_test), len(before_test)
    means = (before_test.mean(0), now_test.mean(0))
    cosine = float(means[0] @ means[1] / max(float(np.linalg.norm(means[0]) * np.linalg.norm(means[1])), 1e-30))
    distances = {"cosine_of_means": cosine, **{test.method: test.statistic for test in tests[:2]}}
    moved = f"the means of the vectors have a cosine of {cosine:.3f}"
    error = _error(n, m)
    evidence = Evidence(tuple(tests), measure=lambda: distances, s=error**2, chance_error=error, tell=lambda: moved)
    return Weighed(evidence, *_profiles(*scores[strongest]))


def _error(n: int, m: int) -> float:
    """Standard deviation of an AUC of 1/2."""
    return sqrt((n + m + 1) / (12 * n * m))


def _location(before: Array, now: Array, before_test: Array, now_test: Array) -> tuple[Array, Array]:
    spread = (before.var(0) + now.var(0)) / 2
    weights = (now.mean(0) - before.mean(0)) / (spread + 1e-3 * float(spread.mean()) + 1e-12)
    return before_test @ weights, now_test @ weights


def _shape(before: Array, now: Array, before_test: Array, now_test: Array) -> tuple[Array, Array]:
    directions = principal_directions(before)
    fitted, fresh, tested, newest = (_features(one, directions) for one in (before, now, before_test, now_test))
    middle, scale = fitted.mean(0), fitted.std(0) + 1e-12
    fitted, fresh, tested, newest = ((one - middle) / scale for one in (fitted, fresh, tested, newest))
    covariance = (np.cov(fitted.T) + np.cov(fresh.T)) / 2
    ridge = 0.05 * float(np.trace(covariance)) / len(covariance) + 1e-12
    weights = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), fresh.mean(0) - fitted.mean(0))
    return tested @ weights, newest @ weights


def principal_directions(values: Array) -> Array:
    """(d, k): principal directions by three rounds of subspace iteration from a fixed start."""
    wanted = min(DIRECTIONS, values.shape[1])
    found = np.random.default_rng(1).normal(size=(values.shape[1], min(wanted + 8, values.shape[1])))
    for _ in range(3):
        found = np.linalg.qr(values.T @ (values @ found))[0]
    return np.asarray(found[:, :wanted])


def _features(values: Array, directions: Array) -> Array:
    projected = values @ directions
    rest = np.sqrt(np.maximum((values**2).sum(1) - (projected**2).sum(1), 0.0))
    return np.column_stack((projected, projected**2, rest, np.linalg.norm(values, axis=1)))


def auc(before: Array, now: Array) -> float:
    """The chance that a score of now lies above one of then; ties count half."""
    ordered = np.sort(before)
    below = np.searchsorted(ordered, now, "left").astype(np.float64)
    below += np.searchsorted(ordered, now, "right")
    return float(below.mean() / 2 / len(before))


def _test(method: str, before: Array, now: Array, tolerance: Tolerance) -> Test:
    found, n, m = auc(before, now), len(now), len(before)
    chance = 1.0 if found <= 0.5 else chances.normal_tail((found - 0.5) / _error(n, m)) / 2
    spread = _spread(found, n, m)
    beyond = (found - 0.5 - tolerance.auc) / spread
    p = kept_p(chance, 1.0 if beyond <= 0 else chances.normal_tail(beyond) / 2)
    reach = spread * chances.normal_quantile((1 + statistics.LEVEL) / 2)
    effect = Effect(found - 0.5, lambda: (max(found - 0.5 - reach, -0.5), min(found - 0.5 + reach, 0.5)))
    return Test(method, found, p, effect, LINE)


def _spread(found: float, n: int, m: int) -> float:
    """Standard error of an AUC (Hanley and McNeil 1982, Radiology 143:29)."""
    inside = min(max(found, 1e-6), 1 - 1e-6)
    one, two = inside / (2 - inside), 2 * inside**2 / (1 + inside)
    variance = (inside * (1 - inside) + (n - 1) * (one - inside**2) + (m - 1) * (two - inside**2)) / (n * m)
    return sqrt(max(variance, 1e-12))


def _profiles(before: Array, now: Array) -> tuple[NumericProfile, NumericProfile]:
    low, high = float(min(before.min(), now.min())), float(max(before.max(), now.max()))
    layout = numeric_layout(before, low, high)

    def fold(scores: Array) -> NumericProfile:
        places = np.arange(len(scores))
        return numeric.fold(layout, scores, (places[::2], places[1::2]))

    return fold(before), fold(now)
