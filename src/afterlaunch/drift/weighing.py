"""From profiles to evidence. Columns of numbers are weighed together: calls for single ones would take several times as
long as the sums over their 320 cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from afterlaunch.drift import chances, statistics
from afterlaunch.drift.evidence import (
    Evidence,
    Test,
    Tolerance,
    kept_p,
    kept_ps,
    nothing,
    rate,
    rates_of,
    said,
    share_told,
    shares_told,
)
from afterlaunch.drift.statistics import Groups
from afterlaunch.profiles import numeric
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.numeric import NumericProfile

AT_ONCE = 64  # columns: their counts stay in the processor's nearest memories
Profile = NumericProfile | CategoryProfile


def weigh(pairs: Mapping[str, tuple[Profile, Profile]], tolerance: Tolerance) -> dict[str, Evidence]:
    """Reference and current profile of each column, in the order given. Raises ValueError where the two have not one
    layout: they are incomparable."""
    found: dict[str, Evidence] = {}
    numbers: list[Numbers] = []
    for name, (reference, current) in pairs.items():
        rates, told = _first(reference, current, tolerance)
        if told is not None:
            found[name] = told
        elif isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
            numbers.append(Numbers(name, reference, current, rates))
        else:
            assert isinstance(reference, CategoryProfile) and isinstance(current, CategoryProfile)
            found[name] = _categories(reference, current, tolerance, rates)
    found |= _numbers(numbers, tolerance)
    return {name: found[name] for name in pairs}


def _first(reference: Profile, current: Profile, tolerance: Tolerance) -> tuple[tuple[Test, ...], Evidence | None]:
    """Tests of what is missing or invalid; evidence where that is all there is."""
    if reference.layout is not current.layout and reference.layout.id != current.layout.id:
        raise ValueError("Profiles of different layouts are incomparable.")
    if not reference.records or not current.records:
        which = "reference" if not reference.records else "current table"
        return (), nothing("no_rows", f"The {which} has no rows.")
    rates = tuple(rates_of(reference, current, tolerance))
    if reference.count and current.count:
        return rates, None
    if rates:
        return rates, Evidence(rates, tell=lambda: shares_told(reference, current))
    which = "reference" if not reference.count else "current table"
    return rates, nothing("no_values", f"The {which} has no values in this column.")


@dataclass(frozen=True)
class Numbers:
    """A column of numbers, to be weighed."""

    name: str
    reference: NumericProfile
    current: NumericProfile
    rates: tuple[Test, ...]


@dataclass(frozen=True)
class Counted:
    """What the cells of many columns give. `groups`, `groups_now`: counts of the groups, laid end to end; the others
    (F,)."""

    groups: Groups
    had: Array
    has: Array
    psi: Array
    ks: Array


def _counted(columns: Sequence[Numbers]) -> Counted:
    cells = max(len(one.reference.cells) for one in columns)
    before, now = (np.zeros((len(columns), cells), np.int64) for _ in range(2))
    for at, one in enumerate(columns):
        before[at, : len(one.reference.cells)] = one.reference.cells
        now[at, : len(one.current.cells)] = one.current.cells
    reached = before.cumsum(1)
    groups = statistics.groups_of(reached)
    had, has = (statistics.grouped(counts.ravel(), groups.starts) for counts in (before, now))
    ks = statistics.kolmogorov_smirnov(reached, now.cumsum(1))
    return Counted(groups, had, has, statistics.stability_indexes(had, has, groups), ks)


@dataclass(frozen=True)
class Weights:
    """One column of `Counted`, with its chances. `psi_p`, `ks_p`: without drift, and with as much as is tolerated."""

    s: float
    had: Array
    has: Array
    psi: float
    ks: float
    psi_p: float
    ks_p: float


def _numbers(columns: Sequence[Numbers], tolerance: Tolerance) -> dict[str, Evidence]:
    found = {}
    for start in range(0, len(columns), AT_ONCE):
        part = columns[start : start + AT_ONCE]
        for one, weights in zip(part, _weights(part, tolerance), strict=True):
            found[one.name] = _numeric(one, weights, tolerance)
    return found


def _weights(columns: Sequence[Numbers], tolerance: Tolerance) -> list[Weights]:
    counted = _counted(columns)
    sizes = np.array([(one.reference.count, one.current.count) for one in columns], np.float64)
    s: Array = (1 / sizes).sum(1)
    statistic, df = counted.psi / s, np.maximum(counted.groups.sizes - 1, 1)
    psi_p = kept_ps(chances.chi2_tails(statistic, df), chances.shifted_chi2_tails(statistic, df, tolerance.psi / s))
    root = np.sqrt(s)
    ks_p = kept_ps(
        chances.kolmogorov_tails(counted.ks / root), chances.kolmogorov_tails((counted.ks - tolerance.ks) / root)
    )
    ends = counted.groups.firsts[1:]
    parts = zip(np.split(counted.had, ends), np.split(counted.has, ends), strict=True)
    figures = zip(s.tolist(), counted.psi.tolist(), counted.ks.tolist(), psi_p.tolist(), ks_p.tolist(), strict=True)
    return [
        Weights(s, had, has, psi, ks, psi_p, ks_p)
        for (had, has), (s, psi, ks, psi_p, ks_p) in zip(parts, figures, strict=True)
    ]


def _numeric(column: Numbers, found: Weights, tolerance: Tolerance) -> Evidence:
    reference, current, rates = column.reference, column.current, column.rates
    tests, psi = [], None
    if (cells := len(found.had)) > 1:
        psi = statistics.corrected(found.psi / found.s, cells - 1, found.s)
        tests.append(Test("psi", found.psi, found.psi_p, psi))
    elif reference.least == reference.greatest == current.least == current.greatest:
        if not rates:
            return nothing("constant", f"The column is {said(reference.least)} throughout, in both.")
        return Evidence(rates, tell=lambda: shares_told(reference, current))
    else:
        at = int(reference.cells.argmax())
        hits = [one.count - int(one.cells[at]) for one in (reference, current)]
        tests.append(rate("other_values_rate", hits[0], reference.count, hits[1], current.count, tolerance))
    tests.append(Test("ks", found.ks, found.ks_p, psi))

    def moved() -> str:
        return _number_told(reference, current)

    def measure() -> dict[str, float]:
        return _distances(reference, current, found)

    return Evidence((*tests, *rates), cells=cells, s=found.s, psi=psi, raw=found.psi, tell=moved, measure=measure)


def _number_told(reference: NumericProfile, current: NumericProfile) -> str:
    told = _median_told(reference, current)
    outside = int(current.cells[0] + current.cells[-1])
    if outside / current.count > 0.005:
        told += f", {share_told(outside / current.count)} of the values lie outside the reference's range"
    apart = shares_told(reference, current)
    return told + (f"; {apart}" if apart else "")


def _distances(reference: NumericProfile, current: NumericProfile, found: Weights) -> dict[str, float]:
    told = statistics.distances(found.had, found.has) | {"ks": found.ks}
    if (deviation := reference.deviation) > 0:
        bounds = numeric.ends(reference)
        bounds[0], bounds[-1] = min(bounds[0], current.least), max(bounds[-1], current.greatest)
        with np.errstate(over="ignore"):
            apart = statistics.wasserstein(reference.cells, current.cells, bounds)
            told["wasserstein_in_deviations"] = apart / deviation
    return told


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
    apart = shares_told(reference, current)

    def moved() -> str:
        return _category_told(names, before, now) + (f"; {apart}" if apart else "")

    if len(had) < 2:
        top = int((before + now)[:-1].argmax())
        hits = [int(counts.sum() - counts[top]) for counts in (before, now)]
        if not stays.any() and max(before[:-1].max(), now[:-1].max()) * 20 < min(reference.count, current.count):
            told = "Nearly every value is its own, like an identifier or free text: there are no shares to compare."
            return Evidence(rates, tell=lambda: apart) if rates else nothing("identifier", told)
        if not any(hits):
            told = f"The column is {said(names[top])} throughout, in both."
            return Evidence(rates, tell=lambda: apart) if rates else nothing("constant", told)
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
    return f"{said(names[at])} went from {share_told(q[at])} to {share_told(p[at])}"


def _median_told(reference: NumericProfile, current: NumericProfile) -> str:
    had, has = reference.quantile(0.5), current.quantile(0.5)
    if said(had) == said(has):
        spread = [said(profile.deviation) for profile in (reference, current)]
        return f"the median stayed {said(has)}, the standard deviation went from {spread[0]} to {spread[1]}"
    return f"the median went from {said(had)} to {said(has)}"
