"""What two profiles of one column tell: tests with their p-values, distances, and what moved. No verdict yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np

from afterlaunch.drift import chances, statistics
from afterlaunch.drift.statistics import Effect
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.numeric import NumericProfile

RATE_LINE = 0.02  # a change of a share that matters, as the 0.2 is for PSI


@dataclass(frozen=True)
class Tolerance:
    """Drift that does not matter, so that a million rows raise no alarm about a hair's breadth: the lower end of the
    90 % interval must lie beyond it.

    One number in units of PSI; a mean shift of d standard deviations has a PSI of d squared and a D of 0.4 d.
    """

    psi: float = 0.001
    rate: float = 0.002

    @property
    def ks(self) -> float:
        return 0.4 * sqrt(self.psi)

    @property
    def auc(self) -> float:
        """Of a classifier of vectors, beyond 1/2; it adds up what every dimension gives."""
        return 0.64 * sqrt(self.psi)


UNSURE = (1 - statistics.LEVEL) / 2


def kept_p(chance: float, tolerated: float) -> float:
    """Of no drift at all, unless what is tolerated explains the difference as well.

    `chance`, `tolerated`: tails of what was seen, without drift and with as much as is tolerated."""
    return chance if tolerated <= UNSURE else max(chance, tolerated)


def kept_ps(chance: Array, tolerated: Array) -> Array:
    """Of many at once."""
    return np.where(tolerated <= UNSURE, chance, np.maximum(chance, tolerated))


@dataclass(frozen=True)
class Test:
    """`threshold`: the line of the effect; None where that is a PSI and the line the user's."""

    method: str
    statistic: float
    p: float
    effect: Effect | None
    threshold: float | None = None


@dataclass(frozen=True)
class Evidence:
    """`reason`: why nothing could be tested, or ''. `cells`: of the PSI; `s`: 1/n + 1/m of the values compared.
    `raw`: the PSI as it is. `tell` writes what moved, `measure` all distances: asked for by few verdicts only.
    `chance_error`: of vectors, the standard deviation of a classifier's AUC without drift."""

    tests: tuple[Test, ...]
    reason: str = ""
    told: str = ""
    cells: int = 0
    s: float = 0.0
    psi: Effect | None = None
    raw: float = 0.0
    chance_error: float = 0.0
    tell: Callable[[], str] = str
    measure: Callable[[], dict[str, float]] = dict

    @cached_property
    def distances(self) -> dict[str, float]:
        return self.measure()

    @property
    def moved(self) -> str:
        return self.tell()

    @property
    def p(self) -> float:
        """Of the column: the least of its tests', times their number."""
        return min(1.0, min(one.p for one in self.tests) * len(self.tests))

    @property
    def strongest(self) -> Test:
        return min(self.tests, key=lambda one: one.p)


def nothing(reason: str, told: str) -> Evidence:
    return Evidence((), reason, told)


def rates_of(
    reference: NumericProfile | CategoryProfile, current: NumericProfile | CategoryProfile, tolerance: Tolerance
) -> Iterable[Test]:
    for method, had, has in (
        ("missing_rate", reference.missing, current.missing),
        ("invalid_rate", reference.wrong, current.wrong),
    ):
        if had + has:
            yield rate(method, had, reference.records, has, current.records, tolerance)


def rate(method: str, had: int, before: int, has: int, now: int, tolerance: Tolerance) -> Test:
    found = statistics.compare_rates(had, before, has, now)
    spread = (found.high - found.low) / 2 / chances.normal_quantile((1 + statistics.LEVEL) / 2)
    beyond = (abs(found.difference) - tolerance.rate) / spread
    p = kept_p(found.p, 1.0 if beyond <= 0 else chances.normal_tail(beyond) / 2)
    return Test(method, found.difference, p, Effect(found.difference, lambda: (found.low, found.high)), RATE_LINE)


def shares_told(reference: NumericProfile | CategoryProfile, current: NumericProfile | CategoryProfile) -> str:
    told = []
    for what, had, has in (
        ("missing", reference.missing, current.missing),
        ("infinite or no numbers", reference.wrong, current.wrong),
    ):
        if had or has:
            told.append(
                f"{what}: {share_told(had / reference.records)} before, {share_told(has / current.records)} now"
            )
    return ", ".join(told)


def said(value: float | str) -> str:
    """A value as a sentence holds it."""
    if isinstance(value, str):
        return f"“{value if len(value) <= 40 else value[:39] + '…'}”"
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e9 else f"{value:.4g}"


def share_told(share: float) -> str:
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.1f} %"
