"""Distances between two counted samples, and how surprising they are. Counts are arrays over the same cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log, sqrt

import numpy as np

from afterlaunch.drift import chances
from afterlaunch.ground.shares import newcombe
from afterlaunch.profiles.hashing import Array

LEVEL = 0.90  # of intervals


@dataclass(frozen=True)
class Groups:
    """Groups of the cells of many samples, one sample after the other. `starts`: where each begins in the samples laid
    end to end; `firsts`, `sizes` (F,): of a sample's groups, the place of the first and their number."""

    starts: Array
    firsts: Array
    sizes: Array

    def spread(self, values: Array) -> Array:
        """(F,) for each group."""
        found: Array = np.repeat(values, self.sizes)
        return found


def groups_of(reached: Array, cells: int = 10) -> Groups:
    """Groups that hold about equal shares of the reference; fewer where a single cell holds more than a group.

    `reached` (F, C): the references' counts so far, whole numbers; a sample of fewer cells has empty ones at its end.
    """
    samples, width = reached.shape
    total = reached[:, -1:]
    # All rows lie on one ascending line, on which one search finds every place.
    offset = np.arange(samples)[:, None] * (cells * int(total.max(initial=0)) + 1)
    line = reached * cells + offset
    wanted = total * np.arange(1, cells) + offset
    row = np.arange(samples)[:, None] * width
    after = np.searchsorted(line.ravel(), wanted.ravel()).reshape(wanted.shape)
    before = np.maximum(after - 1, row)
    flat = line.ravel()
    nearer = np.where(2 * wanted < flat[before] + flat[after], before, after)
    # Every group needs mass of the reference, the first and the last too.
    mass = reached.ravel()[nearer]
    begins = np.ones((samples, cells), bool)
    begins[:, 1:] = (mass > 0) & (mass < total)
    begins[:, 2:] &= nearer[:, 1:] != nearer[:, :-1]
    starts = np.concatenate((row, nearer + 1), axis=1)[begins]
    sizes = begins.sum(1)
    return Groups(starts, np.cumsum(sizes) - sizes, sizes)


def grouped_at(reference: Array, cells: int = 10) -> Array:
    """Where each group of one sample's cells begins."""
    return groups_of(np.cumsum(reference)[None], cells).starts


def grouped(counts: Array, starts: Array) -> Array:
    summed: Array = np.add.reduceat(counts, starts)
    return summed


def inverse_size(reference: float, current: float) -> float:
    """s = 1/n + 1/m."""
    return 1 / reference + 1 / current


def shares(counts: Array) -> Array:
    """With half a count added to every cell."""
    smooth = counts + 0.5
    divided: Array = smooth / smooth.sum(-1, keepdims=True)
    return divided


def stability_indexes(reference: Array, current: Array, groups: Groups) -> Array:
    """(F,): PSI alone, as `distances` tells it but for its last digits. Counts of the groups, laid end to end."""
    p, q = (one / groups.spread(np.add.reduceat(one, groups.firsts)) for one in (current + 0.5, reference + 0.5))
    found: Array = np.add.reduceat((p - q) * np.log(p / q), groups.firsts)
    return found


def stability_index(reference: Array, current: Array) -> float:
    """Of one sample."""
    none = np.zeros(1, np.int64)
    return float(stability_indexes(reference, current, Groups(none, none, np.array([len(reference)])))[0])


def distances(reference: Array, current: Array) -> dict[str, float]:
    """Population stability index, sum of (p - q) ln(p / q); Kullback-Leibler of the current shares from the reference's
    and Jensen-Shannon, both in nats; the Jensen-Shannon distance that libraries show, sqrt(JS / ln 2)."""
    p, q = shares(current), shares(reference)
    middle, logs = (p + q) / 2, np.log(p / q)
    divergence = max(float((p * np.log(p / middle) + q * np.log(q / middle)).sum()) / 2, 0.0)
    return {
        "psi": float(((p - q) * logs).sum()),
        "kl_nats": float((p * logs).sum()),
        "js_nats": divergence,
        "js_distance": sqrt(divergence / log(2)),
    }


def kolmogorov_smirnov(reference: Array, current: Array) -> Array:
    """(F,): D, of counts so far (F, C). On cells it can only be too small, by a cell's mass at most."""
    found: Array = np.abs(current / current[:, -1:] - reference / reference[:, -1:]).max(1)
    return found


def wasserstein(reference: Array, current: Array, ends: Array) -> float:
    """W1 by straight lines within the cells. `ends`: of the cells, one more than there are."""
    gaps = np.cumsum(current) / current.sum() - np.cumsum(reference) / reference.sum()
    at_ends = np.abs(np.concatenate(([0.0], gaps)))
    return float((np.diff(ends) * (at_ends[1:] + at_ends[:-1]) / 2).sum())


def pooled(reference: Array, current: Array, least: float = 5.0) -> tuple[Array, Array, Array]:
    """Cells of which either sample expects fewer than `least` become one; returns both counts and which cells stayed.
    The rule looks at both samples alike, so that it favours no difference. The last cell holds what has no cell of its
    own: it is always pooled, since which values it holds is known from the reference alone."""
    both = reference + current
    share = min(reference.sum(), current.sum()) / max(both.sum(), 1)
    stays = both * share >= least
    stays[-1] = False
    rest = both[~stays].sum()
    if 0 < rest * share < least and stays.any():  # what is pooled is too thin itself: the least cell joins it
        kept = np.flatnonzero(stays)
        stays[kept[both[kept].argmin()]] = False
        rest = both[~stays].sum()
    if not rest:
        return reference[stays], current[stays], stays
    joined = [np.append(one[stays], one[~stays].sum()) for one in (reference, current)]
    return joined[0], joined[1], stays


def chi_square(reference: Array, current: Array) -> float:
    """Two samples; neither is treated as exact."""
    table = np.stack((reference, current)).astype(np.float64)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    return float(((table - expected) ** 2 / expected).sum())


def cramers_v(statistic: float, total: float) -> float:
    """Of a table with two rows."""
    return sqrt(max(statistic, 0.0) / total)


@dataclass(frozen=True)
class Rate:
    """Two shares compared. `low`, `high`: Newcombe's interval of the difference current - reference."""

    reference: float
    current: float
    low: float
    high: float
    p: float
    method: str

    @property
    def difference(self) -> float:
        return self.current - self.reference


def compare_rates(hits_reference: int, reference: int, hits_current: int, current: int) -> Rate:
    """Score test, or the exact one where any count is below 10; with Newcombe's hybrid interval."""
    p, q = hits_current / current, hits_reference / reference
    thin = min(hits_reference, hits_current, reference - hits_reference, current - hits_current) < 10
    marked, total = hits_reference + hits_current, reference + current
    if thin and min(marked, total - marked) < 20_000:
        tail, method = chances.hypergeometric_tail(hits_current, current, marked, total), "fisher"
    else:
        middle = marked / total
        spread = sqrt(middle * (1 - middle) * inverse_size(reference, current))
        tail, method = chances.normal_tail((p - q) / spread if spread else 0.0), "score"
    low, high = newcombe(hits_current, current, hits_reference, reference, LEVEL)
    return Rate(q, p, low, high, tail, method)


@dataclass(frozen=True)
class Effect:
    """A distance without the part that chance gives. `bounds`: its 90 % interval, worked out where it is asked for:
    most verdicts do not tell it."""

    value: float
    bounds: Callable[[], tuple[float, float]]

    @cached_property
    def _interval(self) -> tuple[float, float]:
        return self.bounds()

    @property
    def low(self) -> float:
        return self._interval[0]

    @property
    def high(self) -> float:
        return self._interval[1]


def corrected(statistic: float, df: int, s: float) -> Effect:
    """`statistic`: what is chi-square of `df` without drift; the distance is its shift times `s`."""
    value = max(0.0, (statistic - df) * s)

    def bounds() -> tuple[float, float]:
        low = chances.shift_where(statistic, df, (1 - LEVEL) / 2) * s
        high = chances.shift_where(statistic, df, (1 + LEVEL) / 2) * s
        return min(low, value), max(high, value)

    return Effect(value, bounds)


def kolmogorov_threshold(alpha: float, s: float) -> float:
    return sqrt(log(2 / alpha) / 2 * s)


def chi2_threshold(alpha: float, df: int) -> float:
    """The value that chance exceeds with `alpha`, by bisection."""
    low, high = 0.0, df + 20 * sqrt(2 * df) + 200
    while high - low > 1e-6 * (1 + high):
        middle = (low + high) / 2
        low, high = (middle, high) if chances.chi2_tail(middle, df) > alpha else (low, middle)
    return high


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """q-values, in the order given: q(k) = min over j >= k of K p(j) / j."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return [float(one) for one in q]


def e_benjamini_hochberg(e_values: Sequence[float], alpha: float) -> list[bool]:
    """Which streams are named: valid under any dependence (Wang and Ramdas 2022)."""
    e = np.asarray(e_values, dtype=np.float64)
    order = np.argsort(-e, kind="stable")
    enough = np.flatnonzero(e[order] >= len(e) / (np.arange(1, len(e) + 1) * alpha))
    named = np.zeros(len(e), bool)
    if len(enough):
        named[order[: enough[-1] + 1]] = True
    return [bool(one) for one in named]
