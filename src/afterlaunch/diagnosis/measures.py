"""What can become worse, and since when. Pure.

Every measure is an amount per call: shares of calls that failed, were refused, … and mean seconds and money.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from afterlaunch.telemetry.windows import Window

SURE = 4.0  # standard errors: many minutes are looked at
LEAST_CALLS = 20  # before and after
LEAST_NOISE = 0.05  # of the usual level
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Measure:
    """`unit`: "share" counts calls, so chance is known exactly; "s" and "USD" are means."""

    name: str
    words: str
    unit: str
    amount: Callable[[Window], float]


MEASURES: tuple[Measure, ...] = (
    Measure("failed", "calls that fail", "share", lambda row: row.failed),
    Measure("timeouts", "calls that time out", "share", lambda row: row.timeouts),
    Measure("refused", "answers that are refused", "share", lambda row: row.refused),
    Measure("truncated", "answers that are cut off", "share", lambda row: row.truncated),
    Measure("latency", "latency", "s", lambda row: row.total_ms / 1000),
    Measure("cost", "cost", "USD", lambda row: row.cost_nano / 1e9),
)
BY_NAME: Mapping[str, Measure] = {one.name: one for one in MEASURES}


@dataclass(frozen=True)
class Worse:
    """`place`: the first step of the worse time. `deviation` in standard errors."""

    measure: Measure
    place: int
    before: float
    after: float
    deviation: float


def worst(series: Sequence[Window], first: int, last: int) -> Worse | None:
    """The measure that got worse most surely, with the step at which it did: the split in [first, last] that tells
    the two sides apart best. None: nothing did."""
    calls = np.array([row.calls for row in series], np.float64)
    found = [one for measure in MEASURES if (one := _split(measure, series, calls, first, last)) is not None]
    return max(found, key=lambda one: one.deviation, default=None)


def _split(measure: Measure, series: Sequence[Window], calls: Floats, first: int, last: int) -> Worse | None:
    amounts = np.array([measure.amount(row) for row in series], np.float64)
    spread = None if measure.unit == "share" else _spread(amounts[:first], calls[:first])
    best: Worse | None = None
    for place in range(max(first, 1), min(last + 1, len(series))):
        before, after = calls[:place].sum(), calls[place:].sum()
        if min(before, after) < LEAST_CALLS:
            continue
        was, now = amounts[:place].sum() / before, amounts[place:].sum() / after
        if now <= was:
            continue
        if spread is None:
            pooled = (amounts[:place].sum() + amounts[place:].sum()) / (before + after)
            error = sqrt(max(pooled * (1 - pooled), 0.0) * (1 / before + 1 / after))
        else:
            steps_before, steps_after = int((calls[:place] > 0).sum()), int((calls[place:] > 0).sum())
            error = max(spread, LEAST_NOISE * was) * sqrt(1 / steps_before + 1 / steps_after)
        sure = (now - was) / error if error else 0.0
        if sure >= SURE and (best is None or sure > best.deviation):
            best = Worse(measure, place, float(was), float(now), float(sure))
    return best


def _spread(amounts: Floats, calls: Floats) -> float:
    """The standard deviation of a step's mean, robustly."""
    told = calls > 0
    if told.sum() < 2:
        return 0.0
    levels = amounts[told] / calls[told]
    return 1.4826 * float(np.median(np.abs(levels - np.median(levels))))
