"""How large errors of quantities are expected to be, before labels come: a model of the absolute error, learnt from
labelled rows (direct loss estimation). Pure.

1. Columns become bins between quantiles; categories take the smoothed mean error of their value. 2. Gradient boosting
(Friedman 2001) of squared loss with trees of depth 3 on bins. 3. Five models, each without a fifth of the rows: their
mean is the estimate, their spread (delete-a-group jackknife) what the models do not know; rows that a model did not see
tell how far single errors lie from it. 4. One more model says how likely an error is a large one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from afterlaunch.performance.crossing import Array, Coded
from afterlaunch.performance.tally import EXPECTED_FOLDS as FOLDS

LEAST = 500  # labelled rows
MOST = 10_000  # that are learnt from
BINS, TREES, DEPTH, RATE, LEAF = 32, 40, 3, 0.15, 20
SMOOTH = 20.0  # rows of the overall mean that each category begins with
SEED = 20_260_401
Column = Array | Coded


@dataclass(frozen=True)
class Forest:
    """`edges`: of each column's bins; `values`: of a column of categories what each counts as; trees (TREES, nodes):
    which column, below which bin to the left; leaves (TREES, 8)."""

    base: float
    edges: list[Array]
    values: list[dict[str, float] | None]
    split: Array
    below: Array
    leaves: Array

    def of(self, columns: list[Column]) -> Array:
        bins = _binned(columns, self.edges, self.values, self.base)
        found = np.full(bins.shape[1], self.base)
        rows = np.arange(bins.shape[1])
        for split, below, leaves in zip(self.split, self.below, self.leaves, strict=True):
            node = np.zeros(bins.shape[1], np.int64)
            for _ in range(DEPTH):
                node = 2 * node + 1 + (bins[split[node], rows] >= below[node])
            found += leaves[node - (2**DEPTH - 1)]
        return found


@dataclass(frozen=True)
class Expecting:
    """`names` of the columns; `folds` say how large the error is, `large` how likely it lies beyond `beyond`; `spread`:
    of single errors as a share of the expected one; `rows` learnt from; `usual`: mean of the folds on rows they did not
    see, `usual_large` of `large`."""

    names: list[str]
    folds: list[Forest]
    large: Forest
    beyond: float
    spread: float
    rows: int

    def sums(self, columns: list[Column]) -> tuple[Array, Array]:
        """Rows, the sum of expected errors, of their squares, and the sum by each fold; and how likely a large error
        is, by cells of a hundredth."""
        each = np.stack([np.maximum(one.of(columns), 0.0) for one in self.folds])
        mean = each.mean(0)
        likely = np.clip(self.large.of(columns), 0.0, 1.0)
        cells = np.bincount(np.rint(100 * likely).astype(np.int64), minlength=101)
        return np.array([len(mean), mean.sum(), (mean**2).sum(), *each.sum(1)]), cells


def learn(columns: Mapping[str, Column], sizes: Array, beyond: float) -> Expecting | str:
    """`sizes` (rows,): absolute errors. Why there is none, in a sentence."""
    if len(sizes) < LEAST:
        return f"{len(sizes)} labelled predictions are kept of the baseline; {LEAST} are needed to learn their errors."
    random = np.random.default_rng(SEED)
    rows = random.permutation(len(sizes))[:MOST]
    names = list(columns)
    given = [taken(columns[name], rows) for name in names]
    sizes = sizes[rows]
    fold = np.arange(len(rows)) % FOLDS
    folds, unseen = [], np.empty(len(rows))
    for at in range(FOLDS):
        seen, held = np.flatnonzero(fold != at), np.flatnonzero(fold == at)
        folds.append(_grown([taken(one, seen) for one in given], sizes[seen]))
        unseen[held] = np.maximum(folds[-1].of([taken(one, held) for one in given]), 0.0)
    least = max(float(sizes.mean()) * 1e-3, 1e-300)
    spread = float(np.sqrt((((sizes - unseen) / np.maximum(unseen, least)) ** 2 * unseen**2).sum() / (unseen**2).sum()))
    large = _grown(given, (sizes > beyond).astype(np.float64))
    return Expecting(names, folds, large, beyond, spread, len(rows))


def taken(column: Column, rows: Array) -> Column:
    return Coded(column.values, column.codes[rows]) if isinstance(column, Coded) else column[rows]


def _grown(columns: list[Column], target: Array) -> Forest:
    base = float(target.mean())
    values = [_means(one, target, base) if isinstance(one, Coded) else None for one in columns]
    numbers = [_numbers(one, told, base) for one, told in zip(columns, values, strict=True)]
    edges = [_edges(one) for one in numbers]
    bins = np.stack([np.searchsorted(edge, one, side="right") for edge, one in zip(edges, numbers, strict=True)])
    found = np.full(len(target), base)
    trees = []
    for _ in range(TREES):
        split, below, leaves, leaf = _tree(bins, target - found)
        found += leaves[leaf]
        trees.append((split, below, leaves))
    return Forest(base, edges, values, *(np.stack(one) for one in zip(*trees, strict=True)))


def _means(column: Coded, target: Array, base: float) -> dict[str, float]:
    known = column.codes >= 0
    count = np.bincount(column.codes[known], minlength=len(column.values))
    total = np.bincount(column.codes[known], target[known], minlength=len(column.values))
    means = (total + SMOOTH * base) / (count + SMOOTH)
    return dict(zip(column.values, means.tolist(), strict=True))


def _numbers(column: Column, values: Mapping[str, float] | None, base: float) -> Array:
    if isinstance(column, Coded):
        told = values or {}
        return np.array([*(told.get(one, base) for one in column.values), base])[column.codes]
    return np.where(np.isfinite(column), column, -np.inf)  # what is missing has a bin of its own


def _edges(numbers: Array) -> Array:
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return np.zeros(0)
    return np.asarray(np.unique(np.quantile(finite, np.linspace(0, 1, BINS - 1), method="inverted_cdf")))


def _binned(columns: list[Column], edges: list[Array], values: list[dict[str, float] | None], base: float) -> Array:
    numbers = [_numbers(one, told, base) for one, told in zip(columns, values, strict=True)]
    return np.stack([np.searchsorted(edge, one, side="right") for edge, one in zip(edges, numbers, strict=True)])


def _tree(bins: Array, rest: Array) -> tuple[Array, Array, Array, Array]:
    """Splits of the inner nodes, the leaves' values, and each row's leaf. A node that gains nothing by a split sends
    all its rows to the left."""
    inner, wide = 2**DEPTH - 1, BINS + 1
    split, below = np.zeros(inner, np.int64), np.full(inner, wide, np.int64)
    node = np.zeros(len(rest), np.int64)
    for level in range(DEPTH):
        first, many = 2**level - 1, 2**level
        best = np.zeros(many)
        for column, one in enumerate(bins):
            key = (node - first) * wide + one
            count: Array = np.bincount(key, minlength=many * wide).reshape(many, wide).cumsum(1)
            total = np.bincount(key, rest, minlength=many * wide).reshape(many, wide).cumsum(1)
            gain = _gain(count, total)
            at = gain.argmax(1)
            better = gain[np.arange(many), at] > best
            best = np.where(better, gain[np.arange(many), at], best)
            split[first : first + many] = np.where(better, column, split[first : first + many])
            below[first : first + many] = np.where(better, at + 1, below[first : first + many])
        node = 2 * node + 1 + (bins[split[node], np.arange(len(rest))] >= below[node])
    leaf = node - inner
    total, of = np.bincount(leaf, rest, minlength=inner + 1), np.bincount(leaf, minlength=inner + 1)
    return split, below, RATE * total / np.maximum(of, 1), leaf


def _gain(count: Array, total: Array) -> Array:
    """Of a split after each bin, in squared error."""
    right, others = count[:, -1:] - count, total[:, -1:] - total
    found = total**2 / np.maximum(count, 1.0) + others**2 / np.maximum(right, 1.0)
    found -= total[:, -1:] ** 2 / np.maximum(count[:, -1:], 1)
    return np.where((count >= LEAF) & (right >= LEAF), found, 0.0)


def pack(one: Expecting) -> bytes:
    told: dict[str, Any] = {name: getattr(one, name) for name in ("names", "beyond", "spread", "rows")}
    told["folds"], told["large"] = [vars(forest) for forest in one.folds], vars(one.large)
    return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)


def unpack(body: bytes) -> Expecting:
    told = orjson.loads(body)
    return Expecting(**{**told, "folds": [_forest(one) for one in told["folds"]], "large": _forest(told["large"])})


def _forest(told: dict[str, Any]) -> Forest:
    arrays = {name: np.array(told[name]) for name in ("split", "below", "leaves")}
    return Forest(told["base"], [np.array(one, np.float64) for one in told["edges"]], told["values"], **arrays)
