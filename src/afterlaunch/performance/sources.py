"""Whether labels can be learnt from: sources that agree no more, that only echo predictions, that come in bursts, or
that take longer. Pure.

What is compared is the newest mature labels with the baseline's; each question is asked at a chance of 1 in 1,000,
shared by all sources and pairs that can be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from afterlaunch.drift.chances import normal_quantile, normal_tail
from afterlaunch.drift.false_alarms import FalseAlarms, a_month
from afterlaunch.ground.shares import newcombe
from afterlaunch.performance.agreement import kappa, of_pairs
from afterlaunch.performance.crossing import Array
from afterlaunch.performance.following import HOURS
from afterlaunch.performance.judging import BREACH, WARNING
from afterlaunch.performance.tally import LAGS, Tally, lag_ends

LEAST = 100  # labels, or predictions that two sources labelled
FALL = 0.1  # of Cohen's kappa
ECHO = 0.03  # more of the labels than in the baseline equal the output
LONGER = 1.5  # times the median lag
ECHO_KIND = "echo"
ASKED = {"classification": (8, 7), "ranking": (2, 1), "regression": (2, 0)}
"""Questions that may end in a breach, and in a warning; bursts of each source come to the former."""
SPAN = 48  # hours of a source's past that a burst is compared with, at least


@dataclass(frozen=True)
class Trouble:
    kind: str
    sources: tuple[str, ...]
    status: str
    why: str


def false_alarms(kind: str, active: int) -> FalseAlarms:
    """Every question is asked each hour at a chance of 1 in 1,000. `active`: sources that count."""
    breaches, warnings = ASKED[kind]
    return FalseAlarms((breaches + active) * a_month(HOURS), warnings * a_month(HOURS))


def agreement(before: Tally, now: Tally) -> list[Trouble]:
    asked = []
    for key in sorted(set(before.pairs) & set(now.pairs)):
        then, here = kappa(of_pairs(before.pairs[key])), kappa(of_pairs(now.pairs[key]))
        if then and here and min(then.n, here.n) >= LEAST:
            asked.append((key, then, here))
    found = []
    for key, then, here in asked:
        room = normal_quantile(1 - 1 / (HOURS * len(asked))) * sqrt(then.spread**2 + here.spread**2)
        if then.value - here.value - room > FALL:
            names = key.split("\t")
            said = (
                f"{names[0]} and {names[1]} agree less: Cohen's kappa {here.value:.2f} on {here.n:,} predictions that"
                f" both labelled, {then.value:.2f} on {then.n:,} in the baseline."
            )
            found.append(Trouble("agreement", tuple(names), BREACH, said))
    return found


def echo(before: Tally, now: Tally) -> list[Trouble]:
    """A source whose labels equal the output more often than before, and more than the other sources' do now."""
    asked = [
        name
        for name, (count, _) in sorted(now.sources.items())
        if count >= LEAST and before.sources.get(name, before_all(before))[0] >= LEAST
    ]
    found = []
    for name in asked:
        count, same = now.sources[name]
        past, past_same = before.sources.get(name, before_all(before))
        level = 1 - 2 / (HOURS * len(asked))
        others = [sum(told[at] for other, told in now.sources.items() if other != name) for at in (0, 1)]
        beyond_others = others[0] < LEAST or newcombe(same, count, others[1], others[0], level)[0] > ECHO
        if newcombe(same, count, past_same, past, level)[0] > ECHO and beyond_others:
            said = (
                f"{same / count:.1%} of {count:,} labels of {name} equal the output, {past_same / past:.1%} in the"
                " baseline: the model became better, or its outputs come back as labels."
            )
            found.append(Trouble(ECHO_KIND, (name,), WARNING, said))
    return found


def before_all(before: Tally) -> list[int]:
    """Of every source, for one that the baseline did not know."""
    told = list(before.sources.values())
    return [sum(one[0] for one in told), sum(one[1] for one in told)]


def slower(before: Tally, now: Tally) -> list[Trouble]:
    """Log-rank test of the lags of two mature samples; a prediction without a label is censored."""
    if min(before.labelled, now.labelled) < LEAST:
        return []
    z = log_rank(before.lags, before.rows, now.lags, now.rows)
    then, here = median_lag(before.lags), median_lag(now.lags)
    if z > 0 or normal_tail(z) > 2 / HOURS or here < LONGER * then:
        return []
    said = f"Labels take longer: half of them come within {_long(here)}, {_long(then)} in the baseline."
    return [Trouble("delay", (), WARNING, said)]


def log_rank(one: Array, rows: int, other: Array, others: int) -> float:
    """Below 0: the other's come later."""
    observed = expected = variance = 0.0
    a, b = float(rows), float(others)
    for at in range(LAGS):
        events = float(one[at] + other[at])
        if events and a + b > 1:
            observed += float(other[at])
            expected += events * b / (a + b)
            variance += events * (b / (a + b)) * (a / (a + b)) * (a + b - events) / (a + b - 1)
        a, b = a - float(one[at]), b - float(other[at])
    return (observed - expected) / sqrt(variance) if variance > 0 else 0.0


def median_lag(lags: Array) -> float:
    reached = np.cumsum(lags)
    return float(lag_ends()[int(np.searchsorted(reached, reached[-1] / 2))])


def burst(source: str, hours: Sequence[int]) -> list[Trouble]:
    """`hours`: labels of a source by hours, the newest last. Whatever their distribution, so many spreads above the
    mean come at most once in 1,000 hours (Cantelli)."""
    past, newest = np.array(hours[:-1], np.float64), hours[-1] if hours else 0
    if len(past) < SPAN or newest < LEAST:
        return []
    line = float(past.mean() + sqrt(HOURS - 1) * max(float(past.std()), sqrt(float(past.mean()))))
    if newest <= line:
        return []
    said = f"{newest:,} labels of {source} came in one hour; {past.mean():,.1f} on average in the {len(past)} before."
    return [Trouble("burst", (source,), BREACH, said)]


def _long(seconds: float) -> str:
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
