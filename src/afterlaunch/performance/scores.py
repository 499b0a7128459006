"""Scores of a tally with their 95 % intervals. A figure that can't be told is None, never zero."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from afterlaunch.drift.chances import normal_quantile
from afterlaunch.ground.shares import wilson
from afterlaunch.performance import agreement
from afterlaunch.performance.crossing import OTHER, Array
from afterlaunch.performance.tally import MEASURES, PROBABILITY, Tally

LEVEL = 0.95
Z = normal_quantile((1 + LEVEL) / 2)


@dataclass(frozen=True)
class Score:
    """`low`, `high`: None where no interval is known. `n`: labelled predictions behind it."""

    name: str
    value: float
    low: float | None
    high: float | None
    n: int

    def as_document(self) -> dict[str, object]:
        return {"name": self.name, "value": self.value, "low": self.low, "high": self.high, "n": self.n}


def share(name: str, hits: int, count: int) -> list[Score]:
    if not count:
        return []
    return [Score(name, hits / count, *wilson(hits, count, LEVEL), count)]


def of(tally: Tally, positive: str) -> list[Score]:
    """Those that the tally can tell: of quantities, of two classes, or of many."""
    if tally.is_regression:
        return regression(tally)
    if tally.is_ranking:
        return ranking(tally)
    found = share("accuracy", tally.correct, tally.classified)
    if not found:
        return []
    found += _of_two(tally, positive) if positive else _of_many(tally)
    found += _agreement(tally) + _corrected(tally, positive)
    if tally.speaks_of == PROBABILITY:
        found += [*_log_loss(tally), *auc(tally.labelled_cells.sum(0), tally.hit_cells.sum(0))]
    return found


@dataclass(frozen=True)
class Counts:
    """Of one class against the others."""

    true_positive: int
    false_positive: int
    false_negative: int


def counts_of(tally: Tally, name: str) -> Counts:
    row = tally.confusion.get(name, {})
    hits = row.get(name, 0)
    labelled = sum(labels.get(name, 0) for labels in tally.confusion.values())
    return Counts(hits, sum(row.values()) - hits, labelled - hits)


def _of_two(tally: Tally, positive: str) -> list[Score]:
    one = counts_of(tally, positive)
    found = share("precision", one.true_positive, one.true_positive + one.false_positive)
    found += share("recall", one.true_positive, one.true_positive + one.false_negative)
    return found + f1(one)


def f1(one: Counts) -> list[Score]:
    """F1 = 2 U / (1 + U), where U is the share of true positives among all rows that are positive by output or label;
    its interval is that of U, turned the same way."""
    judged = one.true_positive + one.false_positive + one.false_negative
    if not judged:
        return []
    low, high = wilson(one.true_positive, judged, LEVEL)
    part = one.true_positive / judged
    return [Score("f1", 2 * part / (1 + part), 2 * low / (1 + low), 2 * high / (1 + high), judged)]


def classes(tally: Tally) -> list[str]:
    return sorted(set(tally.confusion) | {label for labels in tally.confusion.values() for label in labels})


def _of_many(tally: Tally) -> list[Score]:
    """Means over classes; a class that was never said has a precision of 0, as usual."""
    told = [counts_of(tally, name) for name in classes(tally)]
    precision = [one.true_positive / max(one.true_positive + one.false_positive, 1) for one in told]
    recall = [one.true_positive / max(one.true_positive + one.false_negative, 1) for one in told]
    both = [2 * one.true_positive / (2 * one.true_positive + one.false_positive + one.false_negative) for one in told]
    named = (("precision_macro", precision), ("recall_macro", recall), ("f1_macro", both))
    return [Score(name, float(np.mean(values)), None, None, tally.classified) for name, values in named]


def _agreement(tally: Tally) -> list[Score]:
    """Of outputs with labels beyond chance: of a judge (a model that grades answers) with people."""
    found = []
    ordered = agreement.are_numbers(classes(tally))
    for name, weighted in (("kappa", False), *((("kappa_weighted", True),) if ordered else ())):
        if one := agreement.kappa(tally.confusion, weighted):
            low, high = max(one.value - Z * one.spread, -1.0), min(one.value + Z * one.spread, 1.0)
            found.append(Score(name, one.value, low, high, one.n))
    if (alpha := agreement.alpha(tally.coincidences)) is not None:
        found.append(Score("alpha", alpha, None, None, round(sum(tally.coincidences.values()))))
    return found


def _corrected(tally: Tally, positive: str) -> list[Score]:
    """What all outputs would be on average had they been labelled: their mean, and what labels differ by where there
    are any (prediction-powered inference, Angelopoulos et al., Science 382, 2023). Rests on labels of chosen rows that
    are like the others."""
    names = classes(tally)
    if OTHER in names or tally.classified >= sum(tally.outputs.values()):
        return []
    if positive:
        values = {name: float(name == positive) for name in {*names, *tally.outputs}}
        named = "positive_rate"
    elif agreement.are_numbers(names) and agreement.are_numbers(sorted(tally.outputs)):
        values = {name: float(name) for name in {*names, *tally.outputs}}
        named = "mean_output"
    else:
        return []
    said = _moments([(values[name], count) for name, count in tally.outputs.items()])
    pairs = [(values[label] - values[name], n) for name, row in tally.confusion.items() for label, n in row.items()]
    off = _moments(pairs)
    room, both = Z * sqrt(said[2] / said[0]), Z * sqrt(said[2] / said[0] + off[2] / off[0])
    bounds = (0.0, 1.0) if positive else (min(values.values()), max(values.values()))

    def bounded(value: float) -> float:
        return min(max(value, bounds[0]), bounds[1])

    value = said[1] + off[1]
    return [
        Score(named, said[1], bounded(said[1] - room), bounded(said[1] + room), int(said[0])),
        Score(f"{named}_corrected", bounded(value), bounded(value - both), bounded(value + both), int(off[0])),
    ]


def _moments(pairs: list[tuple[float, int]]) -> tuple[float, float, float]:
    """Count, mean, variance."""
    n = float(sum(count for _, count in pairs))
    mean = sum(value * count for value, count in pairs) / n
    return n, mean, max(sum(value**2 * count for value, count in pairs) / n - mean**2, 0.0)


def ranking(tally: Tally) -> list[Score]:
    """Means over rankings of which anything is labelled."""
    found: list[Score] = []
    for at, name in enumerate(MEASURES):
        called = name if name == "mrr" else f"{name}@{tally.cutoff}"
        found += _mean(called, tally.judged, *tally.queries[2 + 2 * at : 4 + 2 * at].tolist())
    if tally.judged:
        found += share("nothing_relevant", int(tally.queries[1]), tally.judged)
    return found


def _mean(name: str, count: float, total: float, squares: float) -> list[Score]:
    if not count:
        return []
    mean = total / count
    room = Z * sqrt(max(squares / count - mean**2, 0.0) / count)
    return [Score(name, mean, max(mean - room, 0.0), mean + room, int(count))]


def _log_loss(tally: Tally) -> list[Score]:
    count, total, squares = tally.log_loss.tolist()
    return _mean("log_loss", count, total, squares)


def auc(labelled: Array, hits: Array) -> list[Score]:
    """By cells, equal ones counted half; interval by DeLong's variance (DeLong, DeLong, Clarke-Pearson 1988)."""
    positive, negative = hits.astype(np.float64), (labelled - hits).astype(np.float64)
    m, n = positive.sum(), negative.sum()
    if not m or not n:
        return []
    below = np.cumsum(negative) - negative / 2
    above = positive[::-1].cumsum()[::-1] - positive / 2
    of_positive, of_negative = below / n, above / m
    value = float((positive * of_positive).sum() / m)
    spread = float((positive * (of_positive - value) ** 2).sum() / max(m - 1, 1) / m)
    spread += float((negative * (of_negative - value) ** 2).sum() / max(n - 1, 1) / n)
    room = Z * sqrt(spread)
    return [Score("auc", value, max(value - room, 0.0), min(value + room, 1.0), int(m + n))]


def regression(tally: Tally) -> list[Score]:
    count = sum(tally.sizes.values())
    if not count:
        return []
    error, size, square, fourth, label, label_square = tally.errors.tolist()
    found = _mean("mae", count, size, square)
    mean_square = square / count
    room = Z * sqrt(max(fourth / count - mean_square**2, 0.0) / count)
    low, high = sqrt(max(mean_square - room, 0.0)), sqrt(mean_square + room)
    found.append(Score("rmse", sqrt(mean_square), low, high, count))
    mean_error = error / count
    room = Z * sqrt(max(mean_square - mean_error**2, 0.0) / count)
    found.append(Score("bias", mean_error, mean_error - room, mean_error + room, count))
    spread = label_square - label**2 / count
    if spread > 1e-12 * max(label_square, 1e-300):
        found.append(Score("r2", 1 - square / spread, None, None, count))
    return found
