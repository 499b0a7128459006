"""When labels are there: how long they take, and up to when they can be relied on. Pure.

The lag is a time to an event, and a prediction without a label is one whose lag is longer than its age (censored), so
its distribution is Kaplan and Meier's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from afterlaunch.performance.crossing import Array
from afterlaunch.performance.tally import lag_ends

LEAST = 100  # labels, before their lag is known
LATE = 0.99
FLAT = 0.98  # of the labels have come by half of the longest age that was seen
COMPLETE = 0.9  # of the baseline's coverage
OPEN, PROVISIONAL, MATURE, FINAL = "open", "provisional", "mature", "final"


@dataclass(frozen=True)
class Aged:
    """An hour: its age in seconds, its predictions, and the lags of its labels by cells."""

    age: float
    rows: int
    lags: Array


@dataclass(frozen=True)
class Delay:
    """`curve`: the share that is labelled by the end of each cell of lags; `late`: the time in which 99 % of all that
    are ever labelled have their label, None where it is not known yet, with `why`."""

    curve: Array
    late: timedelta | None
    why: str

    @property
    def ever(self) -> float:
        return float(self.curve[-1])


def delay_of(hours: Sequence[Aged]) -> Delay:
    ends = lag_ends()
    nothing = np.zeros(len(ends))
    if not hours:
        return Delay(nothing, None, "No label has come yet.")
    rows = np.array([one.rows for one in hours], np.float64)
    lags = np.stack([one.lags for one in hours]).astype(np.float64)
    ages = np.array([one.age for one in hours])
    known = ages[:, None] >= ends[None, :]
    at_risk = rows[:, None] - (np.cumsum(lags, 1) - lags)
    events, risk = (lags * known).sum(0), (np.maximum(at_risk, 0) * known).sum(0)
    hazard = np.where(risk > 0, events / np.maximum(risk, 1), 0.0)
    curve = 1 - np.cumprod(1 - np.clip(hazard, 0, 1))
    count = int(lags.sum())
    if count < LEAST:
        return Delay(curve, None, f"Only {count} labels have come; {LEAST} are needed to know how long they take.")
    half = int(np.searchsorted(ends, ages.max() / 2, side="right")) - 1
    if half < 0 or curve[half] < FLAT * curve[-1]:
        return Delay(curve, None, "Labels of the oldest predictions still come: how long they take is not known yet.")
    late = float(ends[int(np.argmax(curve >= LATE * curve[-1]))])
    return Delay(curve, timedelta(seconds=late), "")


def watermark(
    newest: datetime | None, now: datetime, delay: Delay, declared: timedelta | None, complete: datetime | None
) -> datetime | None:
    """Predictions before it have the labels that they will get. By the sources' own word, else by the declared delay,
    else by the newest label less what labels take. `newest`: time of the newest label."""
    if complete is not None:
        return complete
    if declared is not None:
        return now - declared
    if newest is None or delay.late is None:
        return None
    return min(newest, now) - delay.late


def state(
    end: datetime, now: datetime, mark: datetime | None, late: timedelta | None, coverage: float, usual: float | None
) -> str:
    """Of an hour or day that ends then. `usual`: the baseline's coverage."""
    if end > now:
        return OPEN
    if mark is not None and end <= mark - (late or timedelta(0)):
        return FINAL
    if mark is not None and end <= mark:
        return MATURE
    if usual and coverage >= COMPLETE * usual:
        return MATURE
    return PROVISIONAL
