"""Events whose labels are provisional or missing, come from probes, or are slices of time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

from afterlaunch.slo.burning import Counts

# -- provisional labels ------------------------------------------------------------------------------------------

COVERED = Fraction(4, 5)
"""Below this share of labelled events an indicator is provisional."""
Z = 1.959963984540054  # the two-sided 95 % point of the normal


@dataclass(frozen=True)
class Labelled:
    """Raw counts of one window. `of`: all events that could have a label; `sampling`: the declared share of them that
    gets one. A final label replaces a provisional one of the same event."""

    of: int
    final: int
    final_bad: int
    provisional: int
    provisional_bad: int
    sampling: Fraction = Fraction(1)

    @property
    def counts(self) -> Counts:
        return Counts.of(self.final + self.provisional, self.final_bad + self.provisional_bad)

    @property
    def final_counts(self) -> Counts:
        return Counts.of(self.final, self.final_bad)

    @property
    def coverage(self) -> Fraction | None:
        """Labelled events of those that were to be labelled; at most 1. None without events."""
        wanted = self.of * self.sampling
        return min(Fraction(1), (self.final + self.provisional) / wanted) if wanted else None

    @property
    def is_provisional(self) -> bool:
        covered = self.coverage
        return self.provisional > 0 or (covered is not None and covered < COVERED)


@dataclass(frozen=True)
class Judge:
    """How often an automatic judge is known to be wrong: it calls good answers bad, bad answers good."""

    false_positive: Fraction = Fraction(0)
    false_negative: Fraction = Fraction(0)

    def calibrated(self, rate: Fraction) -> Fraction | None:
        """The true bad rate behind an observed one. None when the judge tells nothing."""
        spread = 1 - self.false_positive - self.false_negative
        return None if spread <= 0 else min(Fraction(1), max(Fraction(0), (rate - self.false_positive) / spread))


def lower_bound(bad: int, total: int) -> float:
    """Wilson's lower 95 % bound of a share. 0 without events."""
    if not total:
        return 0.0
    share, spread = bad / total, Z * Z / total
    middle = (share + spread / 2) / (1 + spread)
    return max(0.0, middle - Z / (1 + spread) * sqrt(share * (1 - share) / total + spread / (4 * total)))


def may_page(labelled: Labelled, threshold: Fraction, judge: Judge) -> bool:
    """Final labels page as any others. Provisional ones only if the lower bound stays above the threshold in both
    views: pessimistic (every error of the judge made this look worse) and calibrated."""
    if not labelled.is_provisional:
        return True
    counts = labelled.counts
    if not counts.total:
        return False
    low = Fraction(lower_bound(int(counts.bad), int(counts.total)))
    pessimistic = low - judge.false_positive
    calibrated = judge.calibrated(low)
    return pessimistic > threshold and calibrated is not None and calibrated > threshold


# -- probes as denominator ---------------------------------------------------------------------------------------

SEPARATE, FLOOR, MIXED = "separate", "floor", "mixed"
PROBE_MODES = (SEPARATE, FLOOR, MIXED)


def with_probes(user: Counts, probe: Counts, mode: str, floor: int = 0, weight: Fraction = Fraction(1)) -> Counts:
    """`separate`: probes are an indicator of their own and change nothing here. `floor`: they fill up to `floor` events
    of the window, at their own failure rate. `mixed`: each counts as `weight` events."""
    partial = user.partial or probe.partial
    if mode == SEPARATE or not probe.total:
        return user
    share = Fraction(weight)
    if mode == FLOOR:
        missing = max(0, floor - user.total)
        share = min(Fraction(1), Fraction(missing, probe.total))
    return Counts(user.total + probe.total * share, user.bad + probe.bad * share, partial)


# -- slices of time ----------------------------------------------------------------------------------------------


def slices(found: Sequence[Counts], expected: int, target: Fraction | None) -> Counts:
    """Counts in slices: bad ones of the expected, not of those with data. With a `target` a slice is bad when its share
    of good events is below it; without one each slice counts by its share of bad events."""
    told = [one for one in found if one.total]
    if not told:
        return Counts(0, 0)
    if target is None:
        bad: Fraction = sum((one.rate or Fraction(0) for one in told), Fraction(0))
    else:
        bad = Fraction(sum(one.total - one.bad < target * one.total for one in told))
    return Counts.of(max(expected, len(told)), bad)
