"""The estimate before labels, weighted for covariate shift: what scores mean may differ from segment to segment; the
plain estimate errs then as soon as the shares of segments change.

1. The segment whose shares changed most (PSI) is taken; no outcome takes part in the choice. 2. Its values crossed with
groups of scores are cells; a labelled row of the baseline weighs as many rows as its cell has now for each labelled
one then (density ratio). 3. Within each group of scores the weighted rate of hits less the unweighted one corrects the
plain estimate. 4. Where few labelled rows bear the weight (effective size, Kish), or cells of today had no labels,
there is no such estimate. It still assumes that the truth of equal questions is what it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from afterlaunch.performance.crossing import SCORE_GROUPS, Array
from afterlaunch.performance.estimating import Estimate
from afterlaunch.performance.scores import Z
from afterlaunch.performance.tally import PROBABILITY, Tally

LEAST_SIZE = 200.0
UNCOVERED = 0.02  # of the rows may lie in cells without a label


@dataclass(frozen=True)
class Weighted:
    """`value` with its 95 % interval of the accuracy. `effective`: labelled rows of equal weight that would tell as
    much."""

    segment: str
    value: float
    low: float
    high: float
    effective: float


def weighted(plain: Estimate, baseline: Tally, current: Tally) -> Weighted | str:
    """Why there is none, in a sentence; '' where no segment is declared. `plain`: the estimate of `current`."""
    keys = sorted(set(baseline.segments) & set(current.segments))
    if not keys:
        return ""
    tables = {key: _tables(key, baseline, current) for key in keys}
    whole = int(baseline.labelled_cells.sum()), int(current.cells.sum())
    told = {key: one for key, one in tables.items() if (int(one[0][2].sum()), int(one[1][:2].sum())) == whole}
    if not told:
        return "Hours or the baseline were counted before scores were kept by segment."
    key = max(told, key=lambda one: _moved(*told[one]))
    return _weighed(key, plain, *told[key], current.speaks_of)


def _tables(key: str, baseline: Tally, current: Tally) -> tuple[Array, Array]:
    """(4, values, groups) of either: rows whose output is not the positive class, or is; labelled ones; hits."""
    held = [one.segment_cells.get(key, {}) for one in (baseline, current)]
    names = sorted({value for one in held for value in one})
    found = np.zeros((2, 4, max(len(names), 1), SCORE_GROUPS))
    for side, one in enumerate(held):
        for at, value in enumerate(names):
            if value in one:
                found[side, :, at] = np.reshape(one[value], (4, SCORE_GROUPS))
    return found[0], found[1]


def _moved(before: Array, now: Array) -> float:
    p, q = (one[:2].sum((0, 2)) + 0.5 for one in (now, before))
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) * np.log(p / q)).sum())


def _weighed(key: str, plain: Estimate, before: Array, now: Array, speaks_of: str) -> Weighted | str:
    labelled, hits = before[2], before[3]
    rows, there = now[0] + now[1], labelled > 0
    count = float(rows.sum())
    bare = float(rows[~there].sum()) / count
    if bare > UNCOVERED:
        return f"{bare:.1%} of the predictions are of values or scores of {key} that had no labels in the baseline."
    borne = float((rows[there] ** 2 / labelled[there]).sum())
    effective = float(rows[there].sum()) ** 2 / borne
    if effective < LEAST_SIZE:
        said = f"By today's shares of {key} the baseline's labels weigh as {effective:,.0f} of equal weight"
        return f"{said}; {LEAST_SIZE:,.0f} are needed."
    turned = (now[1] - now[0] if speaks_of == PROBABILITY else rows) / count
    usual = hits.sum(0) / np.maximum(labelled.sum(0), 1)
    rate = np.where(there, hits / np.maximum(labelled, 1), usual)
    value = min(max(plain.value + float((turned * (rate - usual)).sum()), 0.0), 1.0)
    smooth = (hits + 0.5) / (labelled + 1)
    noise = float((turned**2 * smooth * (1 - smooth) / np.maximum(labelled, 1))[there].sum())
    room = sqrt(max(plain.high - plain.value, plain.value - plain.low) ** 2 + Z * Z * noise)
    return Weighted(key, value, max(value - room, 0.0), min(value + room, 1.0), effective)
