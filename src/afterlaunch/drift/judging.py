"""From evidence to verdicts: all columns are one family, and every verdict says its method, effect, sizes and why.

1. Each column's tests give one p-value. 2. Benjamini-Hochberg over the columns gives q-values. 3. A column drifts where
q <= alpha; where it lies to the line of 0.2 is told by the interval of the corrected PSI. 4. Without drift a column is
`not_assessed` where so few rows could show 0.2 without any drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from afterlaunch.drift import chances, statistics
from afterlaunch.drift.evidence import Evidence, Test, Tolerance
from afterlaunch.drift.weighing import weigh
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.numeric import NumericProfile

DRIFT, NO_DRIFT, NOT_ASSESSED = "drift", "no_drift", "not_assessed"
MISSING, NEW = "missing", "new"
Profile = NumericProfile | CategoryProfile


@dataclass(frozen=True)
class Limits:
    """`alpha`: of the family; `line`: the PSI that users know."""

    alpha: float = 0.05
    line: float = 0.2
    tolerance: Tolerance = field(default_factory=Tolerance)


@dataclass(frozen=True)
class Judged:
    """A column's verdict. `state`: above, at_line, drifted_below_line, ok, or not_assessed."""

    name: str
    kind: str
    verdict: str
    state: str
    reason: str
    why: str
    n_reference: int
    n_current: int
    evidence: Evidence | None = None
    q: float | None = None

    def summary(self) -> dict[str, Any]:
        """Without what takes as long to work out as the verdict: intervals, distances and every test."""
        found = self.evidence
        test = found.strongest if found is not None and found.tests else None
        return {
            "name": self.name,
            "kind": self.kind,
            "method": test.method if test else None,
            "statistic": test.statistic if test else None,
            "effect": test.effect.value if test and test.effect is not None else None,
            "p_value": found.p if test and found else None,
            "q_value": self.q,
            "n_reference": self.n_reference,
            "n_current": self.n_current,
            "verdict": self.verdict,
            "why": self.why,
            "state": self.state,
            "reason": self.reason,
        }

    def as_document(self) -> dict[str, Any]:
        document = self.summary()
        found = self.evidence
        if found is None or not found.tests:
            return document
        if (effect := found.strongest.effect) is not None:
            document |= {"effect_low": effect.low, "effect_high": effect.high}
        document["cells"] = found.cells
        document["distances"] = found.distances
        document["tests"] = [
            {"method": one.method, "statistic": one.statistic, "p_value": one.p} for one in found.tests
        ]
        return document


@dataclass(frozen=True)
class Weighed:
    """A column that was weighed elsewhere (vectors), to be judged with the others as one family."""

    evidence: Evidence
    kind: str
    n_reference: int
    n_current: int


def judge(
    pairs: Mapping[str, tuple[Profile, Profile]],
    limits: Limits,
    kinds: Mapping[str, str] | None = None,
    others: Mapping[str, Weighed] | None = None,
) -> list[Judged]:
    """Columns in the order given: reference and current profile of each, of one layout; then the others."""
    weighed = weigh(pairs, limits.tolerance)
    weighed |= {name: one.evidence for name, one in (others or {}).items()}
    tested = [name for name, evidence in weighed.items() if evidence.tests]
    q_values = dict(zip(tested, statistics.benjamini_hochberg([weighed[name].p for name in tested]), strict=True))
    thresholds: dict[int, float] = {}
    judged = []
    for name, (before, now) in pairs.items():
        evidence = weighed[name]
        kind = (kinds or {}).get(name) or ("numeric" if isinstance(before, NumericProfile) else "category")
        q = q_values.get(name)
        verdict, state, reason, why = _worded(evidence, q, len(tested), limits, thresholds)
        judged.append(Judged(name, kind, verdict, state, reason, why, before.count, now.count, evidence, q))
    for name, one in (others or {}).items():
        told = _worded(one.evidence, q_values.get(name), len(tested), limits, thresholds)
        judged.append(Judged(name, one.kind, *told, one.n_reference, one.n_current, one.evidence, q_values.get(name)))
    return judged


def _worded(
    evidence: Evidence, q: float | None, family: int, limits: Limits, thresholds: dict[int, float]
) -> tuple[str, str, str, str]:
    """Verdict, state, reason, sentence."""
    if q is None:
        return NOT_ASSESSED, NOT_ASSESSED, evidence.reason, f"Not assessed. {evidence.told}"
    test = evidence.strongest
    if q <= limits.alpha:
        state = _place(test, limits)
        return DRIFT, state, test.method, _drift_told(evidence, test, state, q, limits)
    if evidence.s == 0.0:  # there were no values to compare, and the rates moved within chance
        return NOT_ASSESSED, NOT_ASSESSED, "no_values", "Not assessed. There are no values to compare in one of them."
    if evidence.chance_error:
        return _calm_classifier(evidence, limits.alpha / family, q)
    df = max(evidence.cells - 1, 1)
    if df not in thresholds:
        thresholds[df] = statistics.chi2_threshold(limits.alpha / family, df)
    by_chance = thresholds[df] * evidence.s
    if by_chance > limits.line:
        told = f"With so few rows chance alone gives a PSI up to {by_chance:.2f}, beyond the line of {limits.line:g}."
        return NOT_ASSESSED, NOT_ASSESSED, "too_few_rows", f"Not assessed. {told}"
    return NO_DRIFT, "ok", "within_chance", _calm_told(evidence, by_chance, q)


def _calm_classifier(evidence: Evidence, alpha: float, q: float) -> tuple[str, str, str, str]:
    test = min((one for one in evidence.tests if one.method in CLASSIFIERS), key=lambda one: one.p)
    by_chance = 0.5 + chances.normal_quantile(1 - alpha / len(evidence.tests)) * evidence.chance_error
    if test.threshold is not None and by_chance > 0.5 + test.threshold:
        told = f"With so few rows chance alone gives an AUC up to {by_chance:.2f}, beyond {0.5 + test.threshold:g}."
        return NOT_ASSESSED, NOT_ASSESSED, "too_few_rows", f"Not assessed. {told}"
    told = f"A classifier has an AUC of {test.statistic:.3f}; chance alone gives up to {by_chance:.3f} (q = {q:.2g})."
    return NO_DRIFT, "ok", "within_chance", told


def _place(test: Test, limits: Limits) -> str:
    line = limits.line if test.threshold is None else test.threshold
    effect = test.effect
    if effect is None:
        return "drifted_below_line"
    low, value = effect.low, effect.value
    if effect.high < 0:
        low, value = -effect.high, -effect.value
    elif effect.value < 0:
        low, value = 0.0, -effect.value
    if low > line:
        return "above"
    return "at_line" if value > line else "drifted_below_line"


PLACES = {
    "above": "certainly above the line of {line}",
    "at_line": "at the line of {line}",
    "drifted_below_line": "below the line of {line}",
}
METHODS = {
    "psi": "PSI",
    "ks": "Kolmogorov-Smirnov",
    "chi_square": "chi-square",
    "missing_rate": "missing values",
    "invalid_rate": "infinities and what is no number",
    "other_values_rate": "values other than the usual one",
    "location_classifier": "a classifier of the means",
    "shape_classifier": "a classifier of the shape",
}


CLASSIFIERS = ("location_classifier", "shape_classifier")


def _drift_told(evidence: Evidence, test: Test, state: str, q: float, limits: Limits) -> str:
    line = f"{limits.line:g}" if test.threshold is None else f"{100 * test.threshold:g} points"
    place = PLACES[state].format(line=line)
    effect = test.effect
    sure = f"{_sure(q)} by {METHODS[test.method]}"
    if effect is None:
        size = f"D = {test.statistic:.3g}"
    elif test.method in CLASSIFIERS:
        place = PLACES[state].format(line=f"{0.5 + (test.threshold or 0):.2f}")
        low, high = 0.5 + effect.low, 0.5 + effect.high
        size = f"a classifier tells new from old with an AUC of {test.statistic:.3f} ({low:.3f} to {high:.3f}), {place}"
    elif test.threshold is None:
        raw = evidence.raw
        size = f"PSI {raw:.3g}, without chance {effect.value:.3g} ({effect.low:.3g} to {effect.high:.3g}), {place}"
    else:
        size = f"{METHODS[test.method]} changed by {100 * effect.value:+.3g} points, {place}"
        sure = _sure(q)
    moved = evidence.moved[:1].upper() + evidence.moved[1:]
    return f"{moved}; {size}; {sure}."


def _sure(q: float) -> str:
    return f"q = {q:.2g}" if q >= 1e-12 else "q below 1e-12"


def _calm_told(evidence: Evidence, by_chance: float, q: float) -> str:
    if evidence.psi is None:
        return f"What differs is within chance (q = {q:.2g})."
    raw = evidence.raw
    return f"PSI {raw:.3g}; chance alone gives up to {by_chance:.3g} at these sizes (q = {q:.2g})."
