"""Which slices of the rows carry a feature's drift. Pure.

Every value of every slice column is a candidate, twice: the feature may have moved inside it (two-sample chi-square on
the slice's own cells), and its share of the rows may have changed (score or Fisher's exact test). All of them are
tested, and Benjamini-Hochberg allows for all, so that of those named at most 5 % may be false. What a slice explains is
the part of the feature's PSI that goes when its rows are left out on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from afterlaunch.drift import chances, statistics
from afterlaunch.drift.evidence import Tolerance, kept_p
from afterlaunch.profiles.hashing import Array

LEAST = 100  # rows of a slice, then and now
ALPHA = 0.05
MOVED, MORE, LESS, ALIKE, NOT_ASSESSED = "moved_inside", "more_of_it", "less_of_it", "no_change_found", "not_assessed"
DIFFUSE, BEYOND = 0.2, 1.5  # of the drift, which the first slice must explain; times its share of the rows


@dataclass(frozen=True)
class Slice:
    """`psi`: inside the slice, without the part that chance gives; `share_before`, `share_now`: of the rows;
    `explains`: of the feature's PSI."""

    key: str
    value: str
    verdict: str
    psi: float | None
    share_before: float
    share_now: float
    explains: float
    q: float | None
    n_before: int
    n_now: int

    @property
    def name(self) -> str:
        return f"{self.key} = {self.value}"

    def as_document(self) -> dict[str, object]:
        found = dict(vars(self))
        found["q_value"] = found.pop("q")
        return found


def ranked(columns: Sequence[tuple[str, Sequence[str], Array, Array]], tolerance: Tolerance) -> list[Slice]:
    """`columns`: name, values, and the feature's counts in each of them, then and now (values, cells). The slices that
    changed first, by what they explain."""
    tested: list[tuple[float, Slice]] = []
    rest: list[Slice] = []
    for key, values, before, now in columns:
        whole = _psi(before.sum(0), now.sum(0))
        sides = before.sum(), now.sum()
        if not sides[0] or not sides[1]:
            continue
        for at, value in enumerate(values):
            had, has = before[at], now[at]
            n, m = int(has.sum()), int(had.sum())
            if not n and not m:
                continue
            left = _psi(before.sum(0) - had, now.sum(0) - has)
            explains = min(max((whole - left) / whole, 0.0), 1.0) if whole > 0 else 0.0
            shares = float(m / sides[0]), float(n / sides[1])
            mixed = statistics.compare_rates(m, int(sides[0]), n, int(sides[1]))
            way = MORE if mixed.difference > 0 else LESS
            counts = m, n
            tested.append((_mix_p(mixed, tolerance), Slice(key, value, way, None, *shares, explains, None, *counts)))
            if min(n, m) < LEAST:
                rest.append(Slice(key, value, NOT_ASSESSED, None, *shares, explains, None, *counts))
                continue
            p, psi = _inside(had, has, tolerance)
            tested.append((p, Slice(key, value, MOVED, psi, *shares, explains, None, *counts)))
    q_values = statistics.benjamini_hochberg([p for p, _ in tested]) if tested else []
    found: dict[str, list[Slice]] = {}
    for (_, one), q in zip(tested, q_values, strict=True):
        verdict = one.verdict if q <= ALPHA else ALIKE
        found.setdefault(one.name, []).append(Slice(**{**vars(one), "verdict": verdict, "q": q}))
    for one in rest:
        found.setdefault(one.name, []).append(one)
    kept = [_spoken(several) for several in found.values()]
    return sorted(kept, key=lambda one: (one.verdict in (ALIKE, NOT_ASSESSED), -one.explains, one.name))


def _spoken(several: list[Slice]) -> Slice:
    """Of what was found of one slice the gravest; that nothing is known of its inside comes before that its share is
    as it was."""
    order = (MOVED, MORE, LESS, NOT_ASSESSED, ALIKE)
    first = min(several, key=lambda one: (order.index(one.verdict), one.q if one.q is not None else 1.0))
    psi = next((one.psi for one in several if one.psi is not None), None)
    return Slice(**{**vars(first), "psi": psi})


def _psi(before: Array, now: Array) -> float:
    """Without the part that chance gives."""
    if not before.sum() or not now.sum():
        return 0.0
    s = statistics.inverse_size(float(before.sum()), float(now.sum()))
    cells = int(((before + now) > 0).sum())
    return max(statistics.distances(before, now)["psi"] - (cells - 1) * s, 0.0)


def _inside(had: Array, has: Array, tolerance: Tolerance) -> tuple[float, float]:
    before, now, _ = statistics.pooled(had, has)
    if len(before) < 2:
        return 1.0, 0.0
    s = statistics.inverse_size(float(had.sum()), float(has.sum()))
    statistic, df = statistics.chi_square(before, now), len(before) - 1
    tolerated = chances.shifted_chi2_tail(statistic, df, tolerance.psi / s)
    psi = statistics.distances(before, now)["psi"]
    return kept_p(chances.chi2_tail(statistic, df), tolerated), max(psi - df * s, 0.0)


def _mix_p(rate: statistics.Rate, tolerance: Tolerance) -> float:
    """A share that certainly changed by less than is tolerated did not change."""
    spread = (rate.high - rate.low) / 2 / chances.normal_quantile((1 + statistics.LEVEL) / 2)
    beyond = (abs(rate.difference) - tolerance.rate) / spread if spread else 0.0
    return kept_p(rate.p, 1.0 if beyond <= 0 else chances.normal_tail(beyond) / 2)


def told(found: Sequence[Slice]) -> str:
    """In a sentence; empty where nothing was found."""
    changed = [one for one in found if one.verdict in (MOVED, MORE, LESS)]
    if not changed:
        return ""
    first = changed[0]
    if first.explains < max(DIFFUSE, min(BEYOND * first.share_now, 0.9)):
        return f"No slice stands out: {first.name}, the first, explains {first.explains:.0%} of it."
    how = {
        MOVED: "it moved inside it",
        MORE: f"its share of the rows went from {first.share_before:.1%} to {first.share_now:.1%}",
        LESS: f"its share of the rows went from {first.share_before:.1%} to {first.share_now:.1%}",
    }[first.verdict]
    return f"{first.name} explains {first.explains:.0%} of it: {how}."
