"""Two versions on the labels of the same hours: what one loses more than the other, hour by hour, so that a harder day
speaks against neither. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from afterlaunch.performance import rankings
from afterlaunch.performance.judging import LEAST
from afterlaunch.performance.scores import Z
from afterlaunch.performance.tally import Tally

BETTER, WORSE, ALIKE, NOT_ASSESSED = "better", "worse", "no_difference_found", "not_assessed"


@dataclass(frozen=True)
class Compared:
    """`difference` of the mean losses, the challenger's less the champion's, with its 95 % interval; `n`, `n_champion`:
    labels in the `hours` that both answered."""

    verdict: str
    why: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    n_champion: int = 0
    hours: int = 0


def loss_of(tally: Tally) -> tuple[int, float, float]:
    """(labels, mean loss, its variance): wrong classes, 1 - nDCG, or absolute errors."""
    if tally.is_ranking:
        return (tally.judged, *rankings.mean_loss(tally)) if tally.judged else (0, 0.0, 0.0)
    if tally.is_regression:
        count = sum(tally.sizes.values())
        mean = float(tally.errors[1]) / count
        return count, mean, max(float(tally.errors[2]) / count - mean**2, 0.0)
    count = tally.classified
    wrong = (count - tally.correct) / count if count else 0.0
    return count, wrong, wrong * (1 - wrong)


def compare(champion: Mapping[datetime, Tally], challenger: Mapping[datetime, Tally]) -> Compared:
    """Mature hours of either. Each hour's difference weighs as its labels allow (n m / (n + m))."""
    pairs = [(loss_of(champion[at]), loss_of(challenger[at])) for at in sorted(set(champion) & set(challenger))]
    pairs = [(old, new) for old, new in pairs if old[0] and new[0]]
    n, m = sum(new[0] for _, new in pairs), sum(old[0] for old, _ in pairs)
    if min(n, m) < LEAST:
        why = f"{min(n, m)} labels of hours that both answered; {LEAST} are needed of either."
        return Compared(NOT_ASSESSED, why, n=n, n_champion=m, hours=len(pairs))
    weights = [old[0] * new[0] / (old[0] + new[0]) for old, new in pairs]
    whole = sum(weights)
    difference = sum(w * (new[1] - old[1]) for w, (old, new) in zip(weights, pairs, strict=True)) / whole
    # one hour's few labels tell its variance badly: that of all of them stands for it
    spread = [sum(one[side][0] * (one[side][2] + one[side][1] ** 2) for one in pairs) for side in (0, 1)]
    means = [sum(one[side][0] * one[side][1] for one in pairs) / size for side, size in ((0, m), (1, n))]
    variance = [max(total / size - mean**2, 0.0) for total, size, mean in zip(spread, (m, n), means, strict=True)]
    of = (variance[0] / old[0] + variance[1] / new[0] for old, new in pairs)
    room = Z * sqrt(sum(w**2 * each for w, each in zip(weights, of, strict=True))) / whole
    verdict = BETTER if difference + room < 0 else WORSE if difference - room > 0 else ALIKE
    interval = f"{difference - room:+.3g} to {difference + room:+.3g}"
    why = f"{difference:+.3g} ({interval}) loss for each label, {n:,} labels against {m:,}."
    return Compared(verdict, why, difference, difference - room, difference + room, n, m, len(pairs))
