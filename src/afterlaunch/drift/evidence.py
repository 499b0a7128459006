"""What two profiles of one column tell: tests with their p-values, distances, and what moved. No verdict yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np

from afterlaunch.drift import chances, statistics
from afterlaunch.drift.statistics import Effect
from afterlaunch.profiles import numeric
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


def _nothing(reason: str, told: str) -> Evidence:
    return Evidence((), reason, told)


def weigh(
    reference: NumericProfile | CategoryProfile, current: NumericProfile | CategoryProfile, tolerance: Tolerance
) -> Evidence:
    """Raises ValueError where the profiles have not one layout: they are incomparable."""
    if reference.layout.id != current.layout.id:
        raise ValueError("Profiles of different layouts are incomparable.")
    if not reference.records or not current.records:
        which = "reference" if not reference.records else "current table"
        return _nothing("no_rows", f"The {which} has no rows.")
    rates = tuple(_rates(reference, current, tolerance))
    if not reference.count or not current.count:
        which = "reference" if not reference.count else "current table"
        if rates:
            return Evidence(rates, tell=lambda: _shares_told(reference, current))
        return _nothing("no_values", f"The {which} has no values in this column.")
    if isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        return _numeric(reference, current, tolerance, rates)
    assert isinstance(reference, CategoryProfile) and isinstance(current, CategoryProfile)
    return _categories(reference, current, tolerance, rates)


def _rates(
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


def _numeric(
    reference: NumericProfile, current: NumericProfile, tolerance: Tolerance, rates: tuple[Test, ...]
) -> Evidence:
    before, now = reference.cells, current.cells
    s = statistics.inverse_size(reference.count, current.count)
    starts = statistics.grouped_at(before)
    groups, groups_now = statistics.grouped(before, starts), statistics.grouped(now, starts)
    tests = []
    psi = None
    raw = statistics.stability_index(groups, groups_now)
    if len(groups) > 1:
        df = len(groups) - 1
        psi = statistics.corrected(raw / s, df, s)
        tolerated = chances.shifted_chi2_tail(raw / s, df, tolerance.psi / s)
        tests.append(Test("psi", raw, kept_p(chances.chi2_tail(raw / s, df), tolerated), psi))
    elif reference.least == reference.greatest == current.least == current.greatest:
        if not rates:
            return _nothing("constant", f"The column is {said(reference.least)} throughout, in both.")
        return Evidence(rates, tell=lambda: _shares_told(reference, current))
    else:
        at = int(before.argmax())
        hits = [int(cells.sum() - cells[at]) for cells in (before, now)]
        tests.append(rate("other_values_rate", hits[0], reference.count, hits[1], current.count, tolerance))
    distance = statistics.kolmogorov_smirnov(before, now)
    tolerated = chances.kolmogorov_tail((distance - tolerance.ks) / sqrt(s))
    tests.append(Test("ks", distance, kept_p(chances.kolmogorov_tail(distance / sqrt(s)), tolerated), psi))
    outside = int(now[0] + now[-1])

    def moved() -> str:
        told = _median_told(reference, current)
        if outside / current.count > 0.005:
            told += f", {_share(outside / current.count)} of the values lie outside the reference's range"
        apart = _shares_told(reference, current)
        return told + (f"; {apart}" if apart else "")

    def measure() -> dict[str, float]:
        found = statistics.distances(groups, groups_now) | {"ks": distance}
        if (deviation := reference.deviation) > 0:
            bounds = numeric.ends(reference)
            bounds[0], bounds[-1] = min(bounds[0], current.least), max(bounds[-1], current.greatest)
            with np.errstate(over="ignore"):
                found["wasserstein_in_deviations"] = statistics.wasserstein(before, now, bounds) / deviation
        return found

    return Evidence((*tests, *rates), cells=len(groups), s=s, psi=psi, raw=raw, tell=moved, measure=measure)


def union(reference: CategoryProfile, current: CategoryProfile) -> tuple[list[str], Array, Array]:
    """Cells of both, the sampled unseen values apart: names, counts of the reference, counts now. What is neither
    named nor sampled comes last."""
    layout = reference.layout
    fresh = sorted(set(reference.fresh) | set(current.fresh))
    counts = []
    for profile in (reference, current):
        cells = profile.cells
        each = np.array([sum(profile.fresh.get(value, (0, 0))) for value in fresh], np.int64)
        rest = cells[layout.other] + cells[layout.unseen] - each.sum()
        counts.append(np.concatenate((cells[: layout.other], each, [rest])))
    return [*layout.names, *fresh, "other values"], counts[0], counts[1]


def _categories(
    reference: CategoryProfile, current: CategoryProfile, tolerance: Tolerance, rates: tuple[Test, ...]
) -> Evidence:
    names, before, now = union(reference, current)
    s = statistics.inverse_size(reference.count, current.count)
    had, has, stays = statistics.pooled(before, now)
    apart = _shares_told(reference, current)

    def moved() -> str:
        return _category_told(names, before, now) + (f"; {apart}" if apart else "")

    if len(had) < 2:
        top = int((before + now)[:-1].argmax())
        hits = [int(counts.sum() - counts[top]) for counts in (before, now)]
        if not stays.any() and max(before[:-1].max(), now[:-1].max()) * 20 < min(reference.count, current.count):
            told = "Nearly every value is its own, like an identifier or free text: there are no shares to compare."
            return Evidence(rates, tell=lambda: apart) if rates else _nothing("identifier", told)
        if not any(hits):
            told = f"The column is {said(names[top])} throughout, in both."
            return Evidence(rates, tell=lambda: apart) if rates else _nothing("constant", told)
        other = rate("other_values_rate", hits[0], reference.count, hits[1], current.count, tolerance)
        return Evidence((other, *rates), cells=2, s=s, tell=moved)
    statistic, df = statistics.chi_square(had, has), len(had) - 1
    raw = statistics.stability_index(had, has)
    psi = statistics.corrected(raw / s, df, s)
    tolerated = chances.shifted_chi2_tail(statistic, df, tolerance.psi / s)
    test = Test("chi_square", statistic, kept_p(chances.chi2_tail(statistic, df), tolerated), psi)

    def measure() -> dict[str, float]:
        v = statistics.cramers_v(statistic, reference.count + current.count)
        return statistics.distances(had, has) | {"cramers_v": v}

    return Evidence((test, *rates), cells=len(had), s=s, psi=psi, raw=raw, tell=moved, measure=measure)


def _category_told(names: list[str], before: Array, now: Array) -> str:
    p, q = now / now.sum(), before / before.sum()
    at = int(np.abs(p - q).argmax())
    return f"{said(names[at])} went from {_share(q[at])} to {_share(p[at])}"


def _median_told(reference: NumericProfile, current: NumericProfile) -> str:
    had, has = reference.quantile(0.5), current.quantile(0.5)
    if said(had) == said(has):
        spread = [said(profile.deviation) for profile in (reference, current)]
        return f"the median stayed {said(has)}, the standard deviation went from {spread[0]} to {spread[1]}"
    return f"the median went from {said(had)} to {said(has)}"


def _shares_told(reference: NumericProfile | CategoryProfile, current: NumericProfile | CategoryProfile) -> str:
    told = []
    for what, had, has in (
        ("missing", reference.missing, current.missing),
        ("infinite or no numbers", reference.wrong, current.wrong),
    ):
        if had or has:
            told.append(f"{what}: {_share(had / reference.records)} before, {_share(has / current.records)} now")
    return ", ".join(told)


def said(value: float | str) -> str:
    """A value as a sentence holds it."""
    if isinstance(value, str):
        return f"“{value if len(value) <= 40 else value[:39] + '…'}”"
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e9 else f"{value:.4g}"


def _share(share: float) -> str:
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.1f} %"
