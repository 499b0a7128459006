"""Whether an hour's calls, or what they cost, are divided otherwise than is usual. Pure.

Shares are compared by their total variation distance: the part of the whole that has gone elsewhere.

1. An hour is compared with the day before it, with the same hours (one more on either side) of the day before, and of
   the week before; the least distance counts, so that what comes back daily or weekly is no change.
2. The same is done with each hour of the week before: this is how much hours differ without anybody's doing. Hours of
   more calls differ less by chance: their distances are enlarged to what they would be with as few.
3. The line is the median of these plus five robust spreads, and never below a fifth of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOURS = 8 * 24
"""Looked at: the newest closed hour, a week before it, and the day before that week."""
ENOUGH = 100  # calls of an hour, and of what it is compared with
KNOWN = 48  # hours of the week before that can be compared
LEAST = 0.2  # of the whole that has gone elsewhere
SPREADS = 5.0
DAY, WEEK = 24, 7 * 24
_NORMAL_80 = 0.8416  # the 80th percentile of a standard normal


@dataclass(frozen=True)
class Moved:
    """`distance` of the newest hour against `line`; `shares` of the newest hour and of what it is most like, by
    value."""

    distance: float
    line: float
    now: NDArray[np.float64]
    before: NDArray[np.float64]
    hours: int

    @property
    def sudden(self) -> bool:
        return self.distance > self.line


def look(amounts: NDArray[np.float64], calls: NDArray[np.float64]) -> Moved | None:
    """`amounts`: (hours, values) of what is divided, oldest first; `calls`: of each hour. None where too little is
    known to tell."""
    newest = len(amounts) - 1
    found = _least(amounts, calls, newest)
    if found is None:
        return None
    begin = max(DAY, newest - WEEK)
    known = int((calls[begin:newest] >= ENOUGH).sum())
    if known < KNOWN:
        return None
    if found[0] <= LEAST:  # whatever is usual, the line is no lower
        return Moved(found[0], LEAST, found[1], found[2], known)
    distances = []
    for hour in range(begin, newest):
        past = _least(amounts, calls, hour)
        if past is not None:
            distances.append(past[0] * max(1.0, float(calls[hour] / calls[newest])) ** 0.5)
    if len(distances) < KNOWN:
        return None
    middle, high = np.quantile(distances, (0.5, 0.8))
    spread = max(1.4826 * float(np.median(np.abs(np.array(distances) - middle))), float(high - middle) / _NORMAL_80)
    return Moved(found[0], max(LEAST, float(middle) + SPREADS * spread), found[1], found[2], len(distances))


def _least(
    amounts: NDArray[np.float64], calls: NDArray[np.float64], hour: int
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]] | None:
    """(distance, shares of the hour, shares of what it is most like); None where the hour has too few calls, or
    nothing to be compared with."""
    now = _shares(amounts[hour : hour + 1], calls[hour : hour + 1])
    if now is None:
        return None
    found = []
    for first, last in ((hour - DAY, hour), (hour - DAY - 1, hour - DAY + 2), (hour - WEEK - 1, hour - WEEK + 2)):
        before = _shares(amounts[max(0, first) : last], calls[max(0, first) : last]) if last > 0 else None
        if before is not None:
            found.append((float(np.abs(now - before).sum() / 2), before))
    if not found:
        return None
    distance, before = min(found, key=lambda one: one[0])
    return distance, now, before


def _shares(amounts: NDArray[np.float64], calls: NDArray[np.float64]) -> NDArray[np.float64] | None:
    whole: NDArray[np.float64] = amounts.sum(axis=0)
    total = float(whole.sum())
    return whole / total if total > 0 and float(calls.sum()) >= ENOUGH else None


def most(now: NDArray[np.float64], before: NDArray[np.float64], values: Sequence[str]) -> tuple[int, int]:
    """Places of the value that gained most and of the one that lost most."""
    moved = now - before
    order = sorted(range(len(values)), key=lambda place: (float(moved[place]), values[place]))
    return order[-1], order[0]
