"""What little traffic does to alerts: expected false pages, time to detection, the traffic that helps. Pure.

Both are found by playing a service in minutes: arrivals are Poisson, failures thinned from them, the pairs looked at
once a minute with the counts of their windows. The seed is fixed, so the same SLO shows the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from afterlaunch.slo.durations import DAY, MINUTE
from afterlaunch.slo.pairs import PAGE, Pair

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
MONTH_MINUTES, OUTAGE_MINUTES = 30 * DAY // MINUTE, 120
OUTAGE_RATE = 0.5
LARGEST = 2**40


@dataclass(frozen=True)
class Expected:
    """`false_pages` in 30 days of a healthy service; `detection`: median minutes to the first page of an outage of two
    hours in which half fails, None when most runs see none; `detected`: the share of them that do."""

    false_pages: float
    detection: float | None
    detected: float


def window_sums(values: Ints, minutes: int) -> Ints:
    """Of the window of so many minutes that ends with each minute; shorter at the beginning."""
    run = np.concatenate([np.zeros((values.shape[0], 1), np.int64), np.cumsum(values, axis=1)], axis=1)
    back = np.maximum(np.arange(1, run.shape[1]) - minutes, 0)
    sums: Ints = run[:, 1:] - run[:, back]
    return sums


def _fires(pairs: Sequence[Pair], target: Fraction, total: Ints, bad: Ints) -> Bools:
    """Per run and minute, whether any pair fires; compared in whole numbers."""
    out = np.zeros(total.shape, bool)
    for pair in pairs:
        line = pair.threshold(target).limit_denominator(10**7)
        long, brief = max(1, pair.long // MINUTE), max(1, pair.short // MINUTE)
        bad_long = window_sums(bad, long)
        both = bad_long * line.denominator > line.numerator * window_sums(total, long)
        both &= window_sums(bad, brief) * line.denominator > line.numerator * window_sums(total, brief)
        out |= both & (bad_long >= pair.least_bad)
    return out


def _played(dice: Any, per_hour: float, rate: float, runs: int, minutes: int) -> tuple[Ints, Ints]:
    """(total, bad) per run and minute."""
    bad = dice.poisson(per_hour / 60 * rate, (runs, minutes)).astype(np.int64)
    good = dice.poisson(per_hour / 60 * (1 - rate), (runs, minutes)).astype(np.int64)
    return bad + good, bad


def false_pages(
    pairs: Sequence[Pair], target: Fraction, per_hour: float, rate: float, runs: int = 40, seed: int = 1
) -> float:
    """Pages in 30 days of a service whose true error rate is `rate`: how often a pair begins to fire."""
    total, bad = _played(np.random.default_rng(seed), per_hour, rate, runs, MONTH_MINUTES)
    fires = _fires(pairs, target, total, bad)
    begins = fires[:, 0].sum() + (fires[:, 1:] & ~fires[:, :-1]).sum()
    return float(begins) / runs


def detection(
    pairs: Sequence[Pair], target: Fraction, per_hour: float, rate: float, runs: int = 200, seed: int = 1
) -> tuple[float | None, float]:
    """(median minutes to the first page of the outage, share of the runs that page in it)."""
    dice = np.random.default_rng(seed)
    before = max((pair.long // MINUTE for pair in pairs), default=1)
    parts = [_played(dice, per_hour, rate, runs, before), _played(dice, per_hour, OUTAGE_RATE, runs, OUTAGE_MINUTES)]
    total, bad = (np.concatenate([part[place] for part in parts], axis=1) for place in (0, 1))
    fires = _fires(pairs, target, total, bad)[:, before:]
    seen = fires.any(axis=1)
    if seen.mean() < 0.5:
        return None, float(seen.mean())
    first = np.where(seen, fires.argmax(axis=1) + 1, np.inf)
    return float(np.median(first)), float(seen.mean())


@lru_cache(maxsize=500)
def expected(
    pairs: tuple[Pair, ...], target: Fraction, per_hour: float, rate: float, runs: int = 10
) -> Expected | None:
    """Of the pairs that page, at so many events an hour and this true error rate. None without either."""
    pages = tuple(pair for pair in pairs if pair.severity == PAGE)
    if not pages or per_hour <= 0 or per_hour > LARGEST:
        return None
    rounded = float(f"{per_hour:.2g}")
    many = false_pages(pages, target, rounded, rate, runs)
    minutes, share = detection(pages, target, rounded, rate)
    return Expected(many, minutes, share)


def healthy_rate(target: Fraction, measured: Fraction | None) -> float:
    """The true error rate that expectations assume: what is measured, if the SLO is kept; half the budget else."""
    budget = 1 - target
    return float(measured if measured is not None and 0 < measured < budget else budget / 2)


# -- probes instead of traffic -----------------------------------------------------------------------------------


def probes_needed(pair: Pair, target: Fraction, detect_minutes: int, failing: Fraction = Fraction(1, 2)) -> Fraction:
    """Probes an hour so that one bad event does not fire the pair, and so that an outage in which this share fails
    brings the least number of bad events within so many minutes."""
    harmless = (1 / pair.threshold(target)) / Fraction(pair.long, 3600)
    seen = Fraction(pair.least_bad) / failing / Fraction(detect_minutes, 60)
    return max(harmless, seen)


def rounded_up(rate: Fraction) -> int:
    return ceil(rate)
