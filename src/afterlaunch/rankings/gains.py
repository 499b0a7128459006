"""Measures of gain: what a reader wins by a document, less the further down it stands.

nDCG: Järvelin, Kekäläinen, ACM TOIS 20 (2002), gain / log2(rank + 1). RBP: Moffat, Zobel, ACM TOIS 27 (2008).
Gains are the grades, unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from math import log2

from afterlaunch.rankings.ranking import Ranking

Gains = Mapping[int, float]


def _own(ranking: Ranking, gains: Gains) -> list[float]:
    return [gains.get(grade, float(max(grade, 0))) for grade in ranking.grades]


def _ideal(ranking: Ranking, gains: Gains) -> list[float]:
    """Of the best ranking that can be: only documents that gain something."""
    all_gains = ((gains.get(grade, float(grade)), n) for grade, n in ranking.levels.items())
    return [gain for gain, n in sorted(all_gains, reverse=True) for _ in range(n) if gain > 0]


def _discounted(gains: list[float]) -> list[float]:
    """Cumulated over the first 0, 1, 2, … documents."""
    return [0.0, *accumulate(gain / log2(i) for i, gain in enumerate(gains, 2))]


def dcg(ranking: Ranking, gains: Gains) -> float:
    return _discounted(_own(ranking, gains))[-1]


def ideal_dcg(ranking: Ranking, gains: Gains) -> float:
    return _discounted(_ideal(ranking, gains))[-1]


def ndcg(ranking: Ranking, gains: Gains) -> float:
    best = ideal_dcg(ranking, gains)
    return dcg(ranking, gains) / best if best else 0.0


def ndcg_cut(ranking: Ranking, cutoffs: tuple[int, ...]) -> list[float]:
    mine, best = _discounted(_own(ranking, {})), _discounted(_ideal(ranking, {}))
    ideal = [best[min(cut, len(best) - 1)] for cut in cutoffs]
    return [mine[min(cut, len(mine) - 1)] / top if top else 0.0 for cut, top in zip(cutoffs, ideal, strict=True)]


def ndcg_rel(ranking: Ranking, gains: Gains) -> float:
    """nDCG averaged over the relevant documents; one not found counts with the nDCG at the end."""
    own = _own(ranking, gains)
    mine, best = _discounted(own), _discounted(_ideal(ranking, gains))
    relevant = len(best) - 1
    if not relevant:
        return 0.0
    at = [mine[i] / best[min(i, relevant)] for i, gain in enumerate(own, 1) if gain > 0]
    return (sum(at) + (relevant - len(at)) * mine[-1] / best[-1]) / relevant


def ndcg_at_levels(ranking: Ranking, gains: Gains) -> float:
    """Rndcg: nDCG averaged over the ranks at which the ideal gain falls, and the end."""
    if not ranking.relevant:
        return 0.0
    ideal = _ideal(ranking, gains)
    mine, best = _discounted(_own(ranking, gains)), _discounted(ideal)
    falls = [i for i in range(1, len(ideal) + 1) if i == len(ideal) or ideal[i] != ideal[i - 1]]
    at = [mine[min(i, len(mine) - 1)] / best[i] for i in falls]
    if ranking.retrieved > len(ideal) + 1:
        at.append(mine[-1] / best[-1])
    return sum(at) / len(at) if at else 0.0


def normalised_gain(ranking: Ranking, gains: Gains) -> float:
    """G: a gain counts less the more was lost before it: gain / log2(2 + what could have been − what was)."""
    own, ideal = _own(ranking, gains), _ideal(ranking, gains)
    if not ideal:
        return 0.0
    sum_own = cost = total = 0.0
    for i, gain in enumerate(own):
        sum_own += gain
        cost += max(ideal[i] if i < len(ideal) else 0.0, 1.0)
        if gain and 2 + cost - sum_own > 1:
            total += gain / log2(2 + cost - sum_own)
    return total / sum(ideal)


def binary_gain(ranking: Ranking) -> float:
    """binG: the mean over the relevant of 1 / log2(2 + not relevant ones before)."""
    so_far = ranking.so_far
    total = sum(1 / log2(3 + i - so_far[i + 1]) for i in _relevant(ranking))
    return total / ranking.relevant if ranking.relevant else 0.0


def _relevant(ranking: Ranking) -> list[int]:
    return [i for i, grade in enumerate(ranking.grades) if grade >= ranking.level]


def rank_biased_precision(ranking: Ranking, gains: Gains, persistence: float) -> float:
    """Gains are brought into 0..1 when they lie outside."""
    known = {grade: gains.get(grade, float(grade)) for grade in {*range(max(ranking.levels, default=0) + 1), *gains}}
    low, high = min(known.values()), max(known.values())
    if low < 0 or high > 1:
        known = {grade: (gain - low) / (high - low) for grade, gain in known.items()}
    weights = accumulate(ranking.grades, lambda weight, _: weight * persistence, initial=1.0)
    told = zip(ranking.grades, weights, strict=False)
    return (1 - persistence) * sum(known.get(grade, 0.0) * weight for grade, weight in told)


def rank_biased_residual(ranking: Ranking, persistence: float = 0.9) -> float:
    """What the unjudged could still add; 0 where all retrieved ones are judged."""
    unjudged = sum(persistence**i for i, grade in enumerate(ranking.grades) if grade < 0)
    return persistence**ranking.retrieved + (1 - persistence) * unjudged if unjudged else 0.0
