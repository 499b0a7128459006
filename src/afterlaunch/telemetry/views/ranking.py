"""How good a ranked list is, against what was judged to be relevant. Pure.

Sources: Järvelin and Kekäläinen (2002) for nDCG with gain / log2(rank + 1); Manning, Raghavan, Schütze, Introduction to
Information Retrieval, chapter 8, for the rest. All are of the first `k`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2


@dataclass(frozen=True)
class Score:
    """Each 0 to 1."""

    recall: float
    precision: float
    ndcg: float
    reciprocal_rank: float


def score(found: Sequence[str], gains: Mapping[str, float], k: int) -> Score | None:
    """None when nothing was judged relevant: there is nothing to find then. A document that comes twice counts once,
    at its first rank."""
    relevant = {name: gain for name, gain in gains.items() if gain > 0}
    if not relevant or k < 1:
        return None
    ranked = list(dict.fromkeys(found))[:k]
    hits = [rank for rank, name in enumerate(ranked, 1) if name in relevant]
    gained = sum(relevant[ranked[rank - 1]] / log2(rank + 1) for rank in hits)
    ideal = sorted(relevant.values(), reverse=True)[:k]
    best = sum(gain / log2(rank + 1) for rank, gain in enumerate(ideal, 1))
    return Score(
        recall=len(hits) / len(relevant),
        precision=len(hits) / len(ranked) if ranked else 0.0,
        ndcg=gained / best,
        reciprocal_rank=1 / hits[0] if hits else 0.0,
    )
