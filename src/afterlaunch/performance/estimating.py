"""How well a model does before its labels come: scores, calibrated by labelled ones, say how many outputs are right.

CBPE. 1. Calibrate: isotonic regression (pool adjacent violators) of labelled cells, or Platt's where there are few.
2. Of each cell so many of its rows are expected to be right; expected counts give the scores. 3. The interval holds
what chance gives (Poisson-binomial) and what the calibration does not know (its bootstrap). All of it rests on cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from afterlaunch.performance.crossing import Array
from afterlaunch.performance.scores import Z
from afterlaunch.performance.tally import CELLS, PROBABILITY, Tally, cell_middles

ENOUGH, OF_EACH = 1_000, 100  # labelled rows for isotonic regression, and of either kind
FEW, FEW_OF_EACH = 200, 20  # for Platt's
DRAWS = 200
SEED = 20_260_301
NO_SCORES = "Predictions come without a confidence, or a probability of a declared positive class."
ASSUMES = "estimate, assumes P(y|x) unchanged"


@dataclass(frozen=True)
class Calibrator:
    """`chances` (CELLS,): that the label is the positive class, or equals the output; `draws` (DRAWS, CELLS): the same
    of resampled labels."""

    method: str
    speaks_of: str
    chances: Array
    draws: Array
    labelled: int


@dataclass(frozen=True)
class Estimate:
    """`value` with its 95 % interval of the accuracy; the others are None where they can't be told."""

    rows: int
    value: float
    low: float
    high: float
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    auc: float | None = None


def calibrator(known: Tally) -> Calibrator | str:
    """Why there is none, in a sentence."""
    if known.is_regression:
        return "Quantities have no scores to estimate from."
    if known.is_ranking:
        return "Scores of a ranking say which item stands first, not how good the ranking is."
    if not known.speaks_of:
        return NO_SCORES
    labelled, hits = known.labelled_cells.sum(0), known.hit_cells.sum(0)
    count, least = int(labelled.sum()), int(min(hits.sum(), (labelled - hits).sum()))
    if count >= ENOUGH and least >= OF_EACH:
        method, fit = "isotonic", isotonic
    elif count >= FEW and least >= FEW_OF_EACH:
        method, fit = "platt", platt
    else:
        told = f"{count} labelled predictions with scores, {least} of the rarer outcome"
        return f"{told}; {FEW} and {FEW_OF_EACH} are needed."
    chances = fit(labelled, hits)
    return Calibrator(method, known.speaks_of, chances, _draws(labelled, chances, fit), count)


def _draws(labelled: Array, chances: Array, fit: object) -> Array:
    random = np.random.default_rng(SEED)
    totals = random.multinomial(labelled.sum(), labelled / labelled.sum(), DRAWS)
    hits = random.binomial(totals, np.clip(chances, 0, 1))
    return np.stack([fit(one, hit) for one, hit in zip(totals, hits, strict=True)])  # type: ignore[operator]


def isotonic(labelled: Array, hits: Array) -> Array:
    """Pool adjacent violators over the cells with rows; between them along a line."""
    at = np.flatnonzero(labelled)
    values: list[float] = []
    weights: list[float] = []
    sizes: list[int] = []
    for hit, count in zip(hits[at].tolist(), labelled[at].tolist(), strict=True):
        value, weight, size = hit / count, float(count), 1
        while values and values[-1] >= value:
            before = weights.pop()
            value = (values.pop() * before + value * weight) / (before + weight)
            weight, size = weight + before, size + sizes.pop()
        values.append(value)
        weights.append(weight)
        sizes.append(size)
    return np.asarray(np.interp(np.arange(CELLS), at, np.repeat(values, sizes)))


def platt(labelled: Array, hits: Array) -> Array:
    """Logistic regression on log odds by Newton's steps; a small ridge keeps what separates finite."""
    middle, at = cell_middles(), np.flatnonzero(labelled)
    every = np.log(middle / (1 - middle))
    labelled, hits, odds = labelled[at], hits[at], every[at]
    target = hits / labelled
    design = np.stack([odds, np.ones(len(at))])
    weights = np.array([1.0, 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(weights @ design, -35, 35)))
        gradient = design @ (labelled * (target - p))
        curve = (design * (labelled * p * (1 - p))) @ design.T + 1e-3 * np.eye(2)
        step = np.linalg.solve(curve, gradient)
        weights = weights + np.clip(step, -2, 2)
        if float(np.abs(step).max()) < 1e-6:
            break
    return np.asarray(1 / (1 + np.exp(-np.clip(weights[0] * every + weights[1], -35, 35))))


def right(speaks_of: str, chances: Array) -> Array:
    """(2, CELLS): that an output which is not the positive class, or is, is right."""
    return np.stack([1 - chances, chances]) if speaks_of == PROBABILITY else np.stack([chances, chances])


def estimate(by: Calibrator, current: Tally) -> Estimate | str:
    """Why there is none, in a sentence."""
    rows = int(current.cells.sum())
    if not rows:
        return "No prediction has a score."
    if current.speaks_of != by.speaks_of:
        return f"Scores were a {by.speaks_of} when they were calibrated."
    chance = right(by.speaks_of, by.chances)
    value = float((current.cells * chance).sum() / rows)
    sampling = float((current.cells * chance * (1 - chance)).sum()) / rows**2
    weights = (current.cells[1] - current.cells[0]) if by.speaks_of == PROBABILITY else current.cells.sum(0)
    drawn = (by.draws - by.chances) @ weights / rows
    room = Z * sqrt(sampling + float((drawn**2).mean()))
    found = Estimate(rows, value, max(value - room, 0.0), min(value + room, 1.0))
    return _with_counts(found, by, current) if by.speaks_of == PROBABILITY else found


def _with_counts(found: Estimate, by: Calibrator, current: Tally) -> Estimate:
    c = by.chances
    tp, fp = float((current.cells[1] * c).sum()), float((current.cells[1] * (1 - c)).sum())
    fn = float((current.cells[0] * c).sum())
    both = current.cells.sum(0)
    positive, negative = both * c, both * (1 - c)
    pairs = positive.sum() * negative.sum()
    auc = float((positive * (np.cumsum(negative) - negative / 2)).sum() / pairs) if pairs else None
    precision, recall = tp / (tp + fp) if tp + fp else None, tp / (tp + fn) if tp + fn else None
    f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None
    return Estimate(found.rows, found.value, found.low, found.high, precision, recall, f1, auc)


def expected_losses(by: Calibrator, current: Tally) -> tuple[Array, Array]:
    """Losses between 0 and 1, and how many rows have each."""
    return 1 - right(by.speaks_of, by.chances).ravel(), current.cells.ravel()
