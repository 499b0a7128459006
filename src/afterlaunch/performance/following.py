"""Losses from hour to hour against a line that they must not pass: an e-detector (Shin, Ramdas, Rinaldo).

Of every hour e(bet) = product over rows of 1 + bet (loss - line); R = (1 + R) e; an alarm where the mean of R over the
bets reaches A, which then begins anew. Whatever the losses' distribution, as long as their mean does not pass the line
alarms come at most once in A hours on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from afterlaunch.drift.false_alarms import FalseAlarms, a_month
from afterlaunch.performance.crossing import Array

BETS = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
HOURS = 1_000  # between false alarms: six weeks
FALSE_ALARMS = FalseAlarms(a_month(HOURS), a_month(HOURS))
"""Of what is followed so every hour, and compared each hour beside it at a chance of 1 in 1,000."""
RECENT = 200  # rows of the newest hours that must be within the line for an alarm to end


@dataclass(frozen=True)
class Losses:
    """Of one hour: values between 0 and 1, and how many rows have each."""

    values: Array
    counts: Array

    @property
    def rows(self) -> float:
        return float(self.counts.sum())

    @property
    def total(self) -> float:
        return float((self.values * self.counts).sum())


def of_counts(wrong: int, count: int) -> Losses:
    return Losses(np.array([0.0, 1.0]), np.array([count - wrong, wrong]))


@dataclass(frozen=True)
class Followed:
    """`alarms`: hours, by their place, in which it alarmed; `held`: one of them is not over; `log_e`: how far it is;
    `lasted`: hours with rows that the last alarm rests on."""

    alarms: tuple[int, ...]
    held: bool
    log_e: float
    lasted: int = 0

    @property
    def over(self) -> str:
        return "in one hour" if self.lasted == 1 else f"over {self.lasted} hours"


def follow(hours: Sequence[Losses], line: float, arl: float = HOURS) -> Followed:
    """In their order."""
    log_r = np.full(len(BETS), -np.inf)
    alarms: list[int] = []
    held, log_e, lasted = False, -np.inf, 0
    risen, since = np.zeros(len(BETS)), np.zeros(len(BETS), np.int64)  # of evidence, and for how many hours
    for at, hour in enumerate(hours):
        if not hour.rows:
            continue
        gains = (np.log1p(BETS[:, None] * (hour.values[None, :] - line)) * hour.counts).sum(1)
        log_r = np.logaddexp(0.0, log_r) + gains
        since = np.where(risen > 0, since + 1, 1)
        risen = np.maximum(risen + gains, 0.0)
        log_e = float(np.logaddexp.reduce(log_r) - np.log(len(BETS)))
        if log_e >= np.log(arl):
            alarms.append(at)
            held, lasted = True, int(since[int(np.argmax(log_r))])
            risen[:] = 0.0
            log_r = np.full(len(BETS), -np.inf)
        elif held and _within(hours[: at + 1], alarms[-1], line):
            held = False
    return Followed(tuple(alarms), held, log_e, lasted)


def _within(hours: Sequence[Losses], alarm: int, line: float) -> bool:
    """Since the alarm, the newest hours with enough rows."""
    rows = total = 0.0
    for hour in reversed(hours[alarm + 1 :]):
        rows, total = rows + hour.rows, total + hour.total
        if rows >= RECENT:
            return total / rows <= line
    return False
