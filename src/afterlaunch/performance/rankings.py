"""Rankings against the labels that came: what each query's best items would have been, and where they stood.

Measures are those of trec_eval, gains the grades themselves: an item without a label is not relevant in a query
of which any item has one; a query of which nothing relevant was shown counts 0. Sums add up over hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from afterlaunch.performance import shown, tally
from afterlaunch.performance.crossing import Array, Coded, losses_by
from afterlaunch.performance.tally import GAINS, MEASURES, Tally

NEAR = (GAINS - 1) * 1.0


@dataclass(frozen=True)
class Shown:
    """Items as they were shown: `queries` (rows,) say which belong together, the highest of `scores` stands first.
    `grades` and `lags` are not a number where there is no label; `items`: 32 bits each."""

    queries: Array
    scores: Array
    grades: Array
    lags: Array
    cutoff: int
    segments: Mapping[str, Coded] = field(default_factory=dict)
    items: Array | None = None


def ranked(given: Shown) -> Tally:
    """`Tally.queries`: rankings, those of which nothing relevant was shown, then of each measure sum and squares over
    those of which anything is labelled."""
    labelled = np.isfinite(given.grades)
    found = Tally(rows=len(given.scores), labelled=int(labelled.sum()), cutoff=given.cutoff)
    found.without_output = int((~np.isfinite(given.scores)).sum())
    found.lags = tally.lags_in(given.lags)
    if not found.rows:
        return found
    gains = np.where(labelled, np.maximum(given.grades, 0.0), 0.0)
    scores = np.where(np.isfinite(given.scores), given.scores, -np.inf)
    order = np.lexsort((-scores, given.queries))
    best = np.lexsort((-gains, given.queries))
    starts = np.flatnonzero(np.append(True, np.diff(given.queries[order]) != 0))
    place = 1 + np.arange(found.rows) - np.repeat(starts, np.diff(np.append(starts, found.rows)))
    if given.items is not None:
        found.items = shown.counted(given.items[order], place, given.cutoff)
    asked = np.add.reduceat(labelled[order].astype(np.int64), starts) > 0
    told = _measures(gains[order], gains[best], place, starts, given.cutoff)
    first = order[starts]
    found.queries[0] = len(starts)
    found.queries[1] = int((asked & (np.add.reduceat(gains[order], starts) == 0)).sum())
    for at, name in enumerate(MEASURES):
        found.queries[2 + 2 * at : 4 + 2 * at] = told[name][asked].sum(), (told[name][asked] ** 2).sum()
    found.gains = np.bincount(np.rint(told["ndcg"][asked] * NEAR).astype(np.int64), minlength=GAINS)
    segments = {name: Coded(one.values, one.codes[first]) for name, one in given.segments.items()}
    found.segments = losses_by(segments, len(starts), asked, np.where(asked, 1 - told["ndcg"], 0.0))
    return found


def _measures(gains: Array, ideal: Array, place: Array, starts: Array, cutoff: int) -> dict[str, Array]:
    """(queries,) each."""
    discount = np.where(place <= cutoff, 1 / np.log2(place + 1), 0.0)
    reached, possible = np.add.reduceat(gains * discount, starts), np.add.reduceat(ideal * discount, starts)
    relevant = gains > 0
    among = np.add.reduceat((relevant & (place <= cutoff)).astype(np.float64), starts)
    every = np.add.reduceat(relevant.astype(np.float64), starts)
    first = np.minimum.reduceat(np.where(relevant, place, np.inf), starts)
    return {
        "ndcg": np.clip(reached / np.where(possible > 0, possible, 1.0), 0.0, 1.0),
        "mrr": 1 / first,
        "precision": among / cutoff,
        "recall": among / np.maximum(every, 1.0),
    }


def losses(of: Tally) -> tuple[Array, Array]:
    """1 - nDCG by cells, and how many rankings have each."""
    return 1 - np.arange(GAINS) / NEAR, of.gains


def mean_loss(of: Tally) -> tuple[float, float]:
    """And its variance."""
    count, total, squares = of.judged, float(of.queries[2]), float(of.queries[3])
    mean = total / count
    return 1 - mean, max(squares / count - mean**2, 0.0)
