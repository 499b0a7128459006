"""Whether a source turns labels in one slice: there, and not elsewhere, it contradicts the outputs more than the other
sources do. Pure.

Of each source and value of a declared segment: (its rate of contradiction there less its rate elsewhere) less the same
difference of the other sources, which a slice that is merely hard does not move, nor a source that is merely strict. It
is named where that is certainly beyond the line, and beyond what it was in the baseline; the most certain first, and
the others are asked again without it, as `reviewers` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from afterlaunch.drift.chances import normal_quantile
from afterlaunch.performance import checks
from afterlaunch.performance.checks import Check
from afterlaunch.performance.following import HOURS
from afterlaunch.performance.judging import BREACH, WARNING
from afterlaunch.performance.sources import LEAST, Trouble
from afterlaunch.performance.tally import Tally

KIND, TITLE = "flips", "Labels are not turned in one slice"
METHOD = "contradictions of a source in a slice and elsewhere, against those of the others (difference in differences)"
LINE, FAR = 0.10, 0.25  # of the rate
FEW = 30  # labels of a source in a slice
Counts = dict[str, dict[str, dict[str, list[int]]]]


@dataclass(frozen=True)
class Turned:
    """Rate of contradiction in the slice, elsewhere, and of the others there; the difference in differences with its
    standard error."""

    here: float
    elsewhere: float
    others: float
    value: float
    spread: float


def check(before: Tally, now: Tally) -> Check:
    counts = now.source_segments
    active = sorted(name for name, (count, _) in now.sources.items() if count >= LEAST and name in counts)
    n = sum(now.sources[name][0] for name in active)
    if not now.segments:
        return checks.unknown(KIND, TITLE, METHOD, "No segments are declared.", n)
    if len(active) < 2:
        are = "is" if len(active) == 1 else "are"
        why = f"It takes two sources with {LEAST} labels; there {are} {len(active)}."
        return checks.unknown(KIND, TITLE, METHOD, why, n)
    slices = sorted({(key, value) for name in active for key, told in counts[name].items() for value in told})
    asked = [(name, *one) for name in active for one in slices if turned(counts, name, active, *one) is not None]
    if not asked:
        why = f"No source has {FEW} labels in a slice, and as many elsewhere, beside as many of the others."
        return checks.unknown(KIND, TITLE, METHOD, why, n)
    level = 1 - 1 / (HOURS * len(asked))
    troubles: list[Trouble] = []
    several = len(active) > 2
    while len(active) > 1:
        told = [_certain(before, now, name, active, (key, value), level) for name, key, value in asked]
        certain = [one for one in told if one is not None]
        if not certain:
            break
        beyond, name, where, one = max(certain, key=lambda found: found[0])
        said = (
            f"{name} contradicts {one.here:.0%} of the outputs where {where[0]} = {where[1]} and {one.elsewhere:.0%}"
            f" elsewhere; the other sources {one.others:.0%} there."
        )
        said += "" if several else " With two sources it can't be told which of them is off."
        names = (name,) if several else tuple(active)
        status = BREACH if several and beyond > FAR else WARNING
        troubles.append(Trouble(KIND, names, status, said))
        active = [left for left in active if left != name] if several else []
        asked = [left for left in asked if left[0] in active]
    calm = f"No source contradicts outputs in one slice certainly {100 * LINE:.0f} points more than elsewhere."
    return checks.of(KIND, TITLE, METHOD, n, troubles, calm)


def _certain(
    before: Tally, now: Tally, name: str, active: Sequence[str], where: tuple[str, str], level: float
) -> tuple[float, str, tuple[str, str], Turned] | None:
    here = turned(now.source_segments, name, active, *where)
    if here is None:
        return None
    z = normal_quantile(level)
    certain = here.value - z * here.spread
    then = turned(before.source_segments, name, active, *where)
    if then is not None:
        certain = min(certain, here.value - then.value - z * sqrt(here.spread**2 + then.spread**2))
    return (certain, name, where, here) if certain > LINE else None


def turned(counts: Counts, name: str, among: Sequence[str], key: str, value: str) -> Turned | None:
    """None: too few labels of one of the four."""
    mine = _split(counts, [name], key, value)
    theirs = _split(counts, [one for one in among if one != name], key, value)
    if min(n for n, _ in (*mine, *theirs)) < FEW:
        return None
    rates = [hits / n for n, hits in (*mine, *theirs)]
    spread = sqrt(sum(_variance(n, hits) for n, hits in (*mine, *theirs)))
    return Turned(rates[0], rates[1], rates[2], rates[0] - rates[1] - rates[2] + rates[3], spread)


def _split(counts: Counts, names: Sequence[str], key: str, value: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """(labels, contradictions) in the slice, and elsewhere."""
    here, rest = [0, 0], [0, 0]
    for name in names:
        for other, (n, hits) in counts.get(name, {}).get(key, {}).items():
            into = here if other == value else rest
            into[0], into[1] = into[0] + n, into[1] + hits
    return (here[0], here[1]), (rest[0], rest[1])


def _variance(n: int, hits: int) -> float:
    """Of a rate; one contradiction of either kind is added, so that none is not certainty."""
    rate = (hits + 1) / (n + 2)
    return rate * (1 - rate) / n
