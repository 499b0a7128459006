"""How improbable a point is for the tail of its own series. Pure.

A record is soon broken where values are spread widely. The largest tenth of the ratios of value to expected gives the
tail's exponent (B. M. Hill, Annals of Statistics 3/5, 1975), and that the chance of a ratio never seen. Of a light tail
it says too much, which is the safe side.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

LEAST = 100
SHARE = 0.1


def chance(ratios: Sequence[float], ratio: float) -> float:
    """Of a ratio as large as this one in one hour; 1 where too little is known. `ratios`: those before it, above 0."""
    known = sorted(one for one in ratios if one > 0)
    if len(known) < LEAST or ratio <= 0:
        return 1.0
    top = max(10, int(len(known) * SHARE))
    edge = known[-top - 1]
    if ratio <= edge:
        return sum(one >= ratio for one in known) / len(known)
    exponent = sum(log(one / edge) for one in known[-top:]) / top
    return top / len(known) * exp(-log(ratio / edge) / exponent) if exponent > 0 else 0.0
