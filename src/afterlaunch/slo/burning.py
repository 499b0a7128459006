"""Counts to burn rates, to what fires. Pure; compared with exact fractions, so that equality does not fire.

`total` and `bad` count events of a window that ends now. Without events the error rate is undefined: never 0, never 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from afterlaunch.slo.durations import DAY, HOUR, short
from afterlaunch.slo.pairs import GUARD, PAGE, TICKET, Pair

Number = int | Fraction


@dataclass(frozen=True)
class Counts:
    """Of one window. Whole numbers, but for weighted probes and slices. `partial`: it begins before the SLO's first
    data."""

    total: Number
    bad: Number
    partial: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.bad <= self.total:
            raise ValueError(f"{self.bad} bad of {self.total}")

    @classmethod
    def of(cls, total: Number, bad: Number, partial: bool = False) -> Counts:
        """Of counts that corrections may have moved past each other for a while: never below 0, never more bad than
        all."""
        whole = max(0, total)
        return cls(whole, min(max(0, bad), whole), partial)

    @property
    def rate(self) -> Fraction | None:
        return Fraction(self.bad) / self.total if self.total else None


Read = Callable[[int], Counts]
"""The counts of the window of so many seconds that ends now."""


def burn(counts: Counts, target: Fraction) -> Fraction | None:
    """Burn 1 spends the whole budget in exactly the period. None without events."""
    return None if counts.rate is None else counts.rate / (1 - target)


def above(counts: Counts, factor: Fraction, target: Fraction) -> bool:
    """Whether the burn rate is above the factor. False without events."""
    return counts.bad > factor * (1 - target) * counts.total


def budget_left(counts: Counts, target: Fraction) -> Fraction | None:
    """Of the period's counts: 1 untouched, 0 spent, negative overspent. None without events."""
    return None if not counts.total else 1 - Fraction(counts.bad) / (counts.total * (1 - target))


def exhaustion(left: Fraction | None, period: int, rate: Fraction | None) -> Fraction | None:
    """Seconds until nothing is left at this burn rate. None when it does not burn, or nothing is known."""
    if left is None or rate is None or rate <= 0:
        return None
    return max(Fraction(0), left) * period / rate


@dataclass(frozen=True)
class Outcome:
    """What one pair says. `reason`: fires, burn_within_factor, short_window_recovered, guarded (too few bad events),
    provisional (labels not sure enough to page), no_events, dead."""

    pair: Pair
    reason: str
    long: Counts
    short: Counts

    @property
    def fires(self) -> bool:
        return self.reason == "fires"


def judge_pair(pair: Pair, target: Fraction, read: Read) -> Outcome:
    long, brief = read(pair.long), read(pair.short)
    return Outcome(pair, _reason(pair, target, long, brief), long, brief)


def _reason(pair: Pair, target: Fraction, long: Counts, brief: Counts) -> str:
    if pair.threshold(target) >= 1:
        return "dead"
    if not long.total:
        return "no_events"
    if not above(long, pair.factor, target):
        return "burn_within_factor"
    if not brief.total:
        return "no_events"
    if not above(brief, pair.factor, target):
        return "short_window_recovered"
    least = max(pair.least_bad, GUARD) if long.partial and pair.severity == PAGE else pair.least_bad
    return "fires" if long.bad >= least else "guarded"


@dataclass(frozen=True)
class CountRule:
    """Fires on counts alone, so that little traffic that nearly all fails is seen: at least so many bad events, and
    at least this share of the window's."""

    severity: str
    window: int
    least_bad: int
    share: Fraction

    @property
    def label(self) -> str:
        return f"{self.severity} count {short(self.window)}"


COUNT_RULES = (
    CountRule(PAGE, HOUR, 10, Fraction(1, 2)),
    CountRule(TICKET, DAY, 5, Fraction(1, 2)),
)


@dataclass(frozen=True)
class Counted:
    rule: CountRule
    reason: str
    counts: Counts

    @property
    def fires(self) -> bool:
        return self.reason == "fires"


def judge_count(rule: CountRule, read: Read) -> Counted:
    counts = read(rule.window)
    if not counts.total:
        return Counted(rule, "no_events", counts)
    if counts.bad < rule.least_bad:
        return Counted(rule, "too_few_bad", counts)
    fires = counts.bad >= rule.share * counts.total
    return Counted(rule, "fires" if fires else "share_below", counts)


def gravest(severities: Sequence[str]) -> str | None:
    return PAGE if PAGE in severities else TICKET if TICKET in severities else None
