"""What rankings show, all together: how many different items, how evenly, and whether anything else is ever tried.
Pure.

Items within the cutoff are counted in 4,096 groups by a hash of `item_id`, which adds up. Entropy over the groups
(corrected as Miller and Madow do) says as how many equally frequent items they are; how many items there are is told
from the groups that are empty (linear counting). What is never shown is never labelled: a model that learns from its
own rankings narrows, and only rankings that explore tell what the rest would have been worth.
"""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np

from afterlaunch.drift.chances import normal_quantile
from afterlaunch.performance import checks
from afterlaunch.performance.checks import Check
from afterlaunch.performance.crossing import Array
from afterlaunch.performance.following import HOURS
from afterlaunch.performance.judging import OK, WARNING
from afterlaunch.performance.noise import YES
from afterlaunch.performance.sources import LEAST, Trouble
from afterlaunch.performance.tally import Tally

GROUPS = 4_096
NARROWER = 0.8  # as many equally frequent items as in the baseline, of which less is narrower
EXPLORED, EXPLORES = "explored", 0.01
KIND, TITLE = "shown", "What is shown stays as varied"
METHOD = "entropy of the items shown, against the baseline"
EXPLORATION, EXPLORATION_TITLE = "exploration", "Something else is tried"
EXPLORATION_METHOD = f"share of rankings that explore, {EXPLORES:.0%} at least"


def counted(items: Array, places: Array, cutoff: int) -> dict[int, int]:
    """`items`: 32 bits each; `places`: ranks, from 1."""
    groups, counts = np.unique(items[places <= cutoff] % GROUPS, return_counts=True)
    return dict(zip(groups.tolist(), counts.tolist(), strict=True))


def entropy(items: dict[int, int], units: int) -> tuple[float, float]:
    """In nats, and its standard error. Items of one ranking are not independent of one another: rankings are."""
    counts = np.array(list(items.values()), np.float64)
    n = counts.sum()
    p = counts / n
    plain = float(-(p * np.log(p)).sum())
    variance = max(float((p * np.log(p) ** 2).sum()) - plain**2, 0.0)
    return plain + (len(counts) - 1) / (2 * n), sqrt(variance / units)


def distinct(items: dict[int, int]) -> str:
    """How many items, in words."""
    empty = 1 - len(items) / GROUPS
    if empty < 0.01:
        return f"more than {4 * GROUPS:,}"
    return f"{-GROUPS * log(empty):,.0f}"


def check(before: Tally, now: Tally) -> Check:
    units, past = int(now.queries[0]), int(before.queries[0])
    if not now.items:
        return checks.unknown(KIND, TITLE, METHOD, "Predictions have no column item_id.")
    if units < LEAST:
        return checks.unknown(KIND, TITLE, METHOD, f"Only {units} rankings; {LEAST} are needed.", units)
    here, room = entropy(now.items, units)
    told = f"{distinct(now.items)} items, as even as {exp(here):,.0f} equally frequent ones"
    if not before.items or past < LEAST:
        why = f"{told}, and the baseline does not tell its items."
        return checks.unknown(KIND, TITLE, METHOD, why, units)
    then, past_room = entropy(before.items, past)
    told = f"{told}; {distinct(before.items)}, as {exp(then):,.0f}, in the baseline"
    high = here - then + normal_quantile(1 - 1 / HOURS) * sqrt(room**2 + past_room**2)
    narrower = [Trouble(KIND, (), WARNING, f"Fewer items share the places: {told}.")] if high < log(NARROWER) else []
    return checks.of(KIND, TITLE, METHOD, units, narrower, f"{told}.")


def exploration(now: Tally) -> Check:
    told = now.segments.get(EXPLORED, {})
    rows = sum(values[0] for values in told.values())
    tried = sum(values[0] for name, values in told.items() if name.lower() in YES)
    share = tried / rows if rows else 0.0
    if share < EXPLORES:
        why = f"{share:.1%} of the rankings explore" if rows else "Predictions have no column explored"
        why = f"{why}: what items that are not shown would be worth can't be told from labels. {EXPLORES:.0%} tell it."
        return checks.unknown(EXPLORATION, EXPLORATION_TITLE, EXPLORATION_METHOD, why, int(rows))
    said = f"{share:.1%} of {rows:,.0f} rankings explore."
    return Check(EXPLORATION, EXPLORATION_TITLE, OK, said, EXPLORATION_METHOD, int(rows))
