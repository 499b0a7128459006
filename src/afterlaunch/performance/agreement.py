"""Agreement beyond chance: of two who answer the same questions (Cohen's kappa), of any number of them (Krippendorff's
alpha). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from afterlaunch.performance.crossing import Array

Table = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Kappa:
    """`spread`: standard error (Fleiss, Cohen, Everitt 1969); `n`: questions that both answered."""

    value: float
    spread: float
    n: int


def of_pairs(counts: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """`Tally.pairs` of two sources as a table."""
    found: dict[str, dict[str, float]] = {}
    for key, count in counts.items():
        one, other = key.split("\t")
        found.setdefault(one, {})[other] = count
    return found


def kappa(table: Table, weighted: bool = False) -> Kappa | None:
    """`weighted`: by squared distances, of classes that are numbers. None where both always said one and the same."""
    names = sorted({*table, *(name for row in table.values() for name in row)})
    shares = np.array([[table.get(one, {}).get(other, 0) for other in names] for one in names], np.float64)
    n = float(shares.sum())
    if not n:
        return None
    shares /= n
    weights = _weights(names) if weighted else np.eye(len(names))
    rows, columns = shares.sum(1), shares.sum(0)
    same, chance = float((weights * shares).sum()), float(rows @ weights @ columns)
    if chance >= 1 - 1e-12:
        return None
    value = (same - chance) / (1 - chance)
    means = (weights @ columns)[:, None] + (rows @ weights)[None, :]
    variance = float((shares * (weights - means * (1 - value)) ** 2).sum()) - (value - chance * (1 - value)) ** 2
    return Kappa(value, sqrt(max(variance, 0.0) / n) / (1 - chance), int(n))


def _weights(names: list[str]) -> Array:
    values = np.array([float(name) for name in names])
    apart = (values[:, None] - values[None, :]) ** 2
    return np.asarray(1 - apart / max(float(apart.max()), 1e-300))


def are_numbers(names: list[str]) -> bool:
    """More than two classes, all of them numbers: an order, in which a near miss is less than a far one."""
    if len(names) < 3:
        return False
    try:
        return bool(np.isfinite([float(name) for name in names]).all())
    except ValueError:
        return False


def alpha(coincidences: Mapping[str, float]) -> float | None:
    """Of nominal values. `coincidences`: how often two answers to one question were these, both ways round, each
    question's pairs weighing 1 / (its answers - 1) (Krippendorff, Content Analysis, ch. 11). None: nothing varies."""
    total = sum(coincidences.values())
    of: dict[str, float] = {}
    apart = 0.0
    for key, weight in coincidences.items():
        one, other = key.split("\t")
        of[one] = of.get(one, 0.0) + weight
        apart += weight if one != other else 0.0
    by_chance = (total**2 - sum(weight**2 for weight in of.values())) / max(total - 1, 1e-12)
    return 1 - apart / by_chance if by_chance > 1e-12 else None
