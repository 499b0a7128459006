"""Whether a source says some label more often than the others do. Pure.

With scores of one class, sources are compared at equal scores: the difference of shares in each of the 20 groups of
scores, weighted as Mantel and Haenszel do, so that whom the hard cases go to does not count. Without, the share of each
label. A source is named where the difference is certainly beyond the line, and beyond what it was in the baseline; the
most certain first, and the others are asked again without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from afterlaunch.drift.chances import normal_quantile
from afterlaunch.performance import checks
from afterlaunch.performance.checks import Check
from afterlaunch.performance.crossing import SCORE_GROUPS, Array
from afterlaunch.performance.following import HOURS
from afterlaunch.performance.judging import BREACH, WARNING
from afterlaunch.performance.sources import LEAST, Trouble
from afterlaunch.performance.tally import PROBABILITY, Tally

KIND, TITLE = "reviewers", "Sources label alike"
METHOD = "share of a label by each source against the others, at equal scores where there are scores (Mantel-Haenszel)"
LINE, FAR = 0.05, 0.15  # of the share
LABELS = 20
Counts = dict[str, Array]  # by source: (strata, 2), labels and how many of them are the one that is asked about


@dataclass(frozen=True)
class Skew:
    """Share of a label beyond that of the others, and its standard error."""

    value: float
    spread: float


def check(before: Tally, now: Tally) -> Check:
    active = sorted(name for name, (count, _) in now.sources.items() if count >= LEAST)
    n = sum(now.sources[name][0] for name in active)
    if len(active) < 2:
        why = (
            f"It takes two sources with {LEAST} labels each; there {'is' if len(active) == 1 else 'are'} {len(active)}."
        )
        return checks.unknown(KIND, TITLE, METHOD, why, n)
    asked = _asked(before, now)
    troubles: list[Trouble] = []
    level = 1 - 1 / (2 * HOURS * len(active) * max(len(asked), 1))
    while len(active) > 1:
        worst = _worst(asked, active, level)
        if worst is None:
            break
        certain, name, label, skew, then = worst
        several = len(active) > 2
        names = (name,) if several else tuple(active)
        status = BREACH if several and certain > FAR else WARNING
        what = f"“{label}”" if label else "the positive class"
        way = "more" if skew.value > 0 else "less"
        said = (
            f"{name} says {what} {100 * abs(skew.value):.1f} points {way} often than the other sources"
            f"{' at equal scores' if not label else ''}"
            f"{f' ({100 * then.value:+.1f} in the baseline)' if then else ''}."
        )
        said += "" if several else " With two sources it can't be told which of them is off."
        troubles.append(Trouble(KIND, names, status, said))
        active = [one for one in active if one != name] if several else []
    calm = f"No source says a label certainly more than {100 * LINE:.0f} points more or less often than the others."
    return checks.of(KIND, TITLE, METHOD, n, troubles, calm)


def _asked(before: Tally, now: Tally) -> dict[str, tuple[Counts, Counts]]:
    """By label ('' where scores speak of it): what each source said then and now."""
    if now.speaks_of == PROBABILITY and now.source_cells:
        then = before.source_cells if before.speaks_of == PROBABILITY else {}
        return {"": (_by_scores(then), _by_scores(now.source_cells))}
    every: dict[str, int] = {}
    for told in now.source_labels.values():
        for label, count in told.items():
            every[label] = every.get(label, 0) + count
    often = sorted(every, key=lambda label: (-every[label], label))[:LABELS]
    return {label: (_by_label(before.source_labels, label), _by_label(now.source_labels, label)) for label in often}


def _by_scores(cells: Mapping[str, list[int]]) -> Counts:
    return {name: np.array(told, np.float64).reshape(2, SCORE_GROUPS).T for name, told in cells.items()}


def _by_label(told: Mapping[str, Mapping[str, int]], label: str) -> Counts:
    return {name: np.array([[sum(one.values()), one.get(label, 0)]], np.float64) for name, one in told.items()}


def _worst(
    asked: Mapping[str, tuple[Counts, Counts]], active: list[str], level: float
) -> tuple[float, str, str, Skew, Skew | None] | None:
    found = []
    z = normal_quantile(level)
    for label, (then, now) in asked.items():
        for name in active:
            here = skew(now, name, active)
            had = skew(then, name, [one for one in then if one in active])
            if here is None:
                continue
            certain = abs(here.value) - z * here.spread
            if had is not None:
                moved = abs(here.value - had.value) - z * sqrt(here.spread**2 + had.spread**2)
                certain = min(certain, moved)
            if certain > LINE:
                found.append((certain, name, label, here, had))
    return max(found, key=lambda one: one[0]) if found else None


def skew(counts: Counts, name: str, among: list[str]) -> Skew | None:
    """None: too few labels of it, or of the others."""
    mine = counts.get(name)
    others = [counts[one] for one in among if one != name and one in counts]
    if mine is None or not others:
        return None
    theirs = np.sum(others, 0)
    n, m = mine[:, 0], theirs[:, 0]
    both = (n > 0) & (m > 0)
    if min(n[both].sum(), m[both].sum()) < LEAST:
        return None
    n, m, hits, others_hits = n[both], m[both], mine[both, 1], theirs[both, 1]
    weights = n * m / (n + m)
    weights = weights / weights.sum()
    p, q = hits / n, others_hits / m
    pooled = (hits + others_hits + 0.5) / (n + m + 1)
    variance = (weights**2 * pooled * (1 - pooled) * (1 / n + 1 / m)).sum()
    return Skew(float((weights * (p - q)).sum()), sqrt(float(variance)))
