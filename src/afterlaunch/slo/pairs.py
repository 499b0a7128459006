"""Pairs of windows that watch how fast an error budget burns. Pure; all numbers are exact.

An SLO `s` leaves the budget 1 - s for its period T. A pair stands for spending the share p of it within the long
window L: its factor is f = p T / L. It fires when the error rate is above f (1 - s) in the long window and in the short
one, which makes it stop soon after recovery.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from afterlaunch.slo.durations import DAY, HOUR, MINUTE, percent, short, written

PAGE, TICKET = "page", "ticket"
CEILING = Fraction(1, 2)
NEARLY = Fraction(4, 5)
LEAST_BAD, MOST_BAD = 1, 100
GUARD = 3
"""A page needs so many bad events in its long window, unless its pair says otherwise."""


@dataclass(frozen=True)
class Pair:
    """Windows in seconds. `least_bad`: it does not fire on fewer bad events in the long window; `hold`: so long it must
    hold before it fires."""

    severity: str
    name: str
    long: int
    short: int
    factor: Fraction
    least_bad: int = GUARD
    hold: int = 0

    @property
    def label(self) -> str:
        return f"{self.severity} {self.name}".strip()

    @property
    def windows(self) -> str:
        return f"{short(self.long)}/{short(self.short)}"

    def share(self, period: int) -> Fraction:
        """Of the budget of a period of so many seconds, that burning at the factor for the long window spends."""
        return self.factor * self.long / period

    def threshold(self, target: Fraction) -> Fraction:
        """The error rate above which it fires."""
        return self.factor * (1 - target)


STANDARD: tuple[tuple[str, str, Fraction, int, int], ...] = (
    (PAGE, "fast", Fraction(2, 100), HOUR, 5 * MINUTE),
    (PAGE, "slow", Fraction(5, 100), 6 * HOUR, 30 * MINUTE),
    (TICKET, "fast", Fraction(10, 100), DAY, 2 * HOUR),
    (TICKET, "slow", Fraction(10, 100), 3 * DAY, 6 * HOUR),
)
"""Severity, name, share of the budget, long and short window. Source: the windows for 30 and 28 days of slok/sloth."""


def factor(share: Fraction, period: int, long: int) -> Fraction:
    return share * period / long


def standard(period: int, table: Iterable[tuple[str, str, Fraction, int, int]] = STANDARD) -> tuple[Pair, ...]:
    """The pairs of a period of so many seconds; windows longer than it are left out."""
    return tuple(
        Pair(severity, name, long, brief, factor(share, period, long), GUARD if severity == PAGE else LEAST_BAD)
        for severity, name, share, long, brief in table
        if long <= period
    )


PYRRA: tuple[tuple[str, int, int, int, int], ...] = (
    # severity, factor, long, short and hold at 28 days
    (PAGE, 14, HOUR, 5 * MINUTE, 2 * MINUTE),
    (PAGE, 7, 6 * HOUR, 30 * MINUTE, 15 * MINUTE),
    (TICKET, 2, DAY, 2 * HOUR, HOUR),
    (TICKET, 1, 4 * DAY, 6 * HOUR, 3 * HOUR),
)


def pyrra(period: int) -> tuple[Pair, ...]:
    """The other common set: fixed factors, windows that grow with the period, rounded to the minute. Source: the
    windows of pyrra-dev/pyrra."""
    return tuple(
        Pair(severity, name, _scaled(long, period), _scaled(brief, period), Fraction(f), hold=_scaled(hold, period))
        for name, (severity, f, long, brief, hold) in zip(("fast", "slow") * 2, PYRRA, strict=True)
    )


def _scaled(seconds: int, period: int) -> int:
    """Half a minute is rounded up, as Go's Duration.Round does."""
    return max(MINUTE, floor(Fraction(seconds * period, 28 * DAY * MINUTE) + Fraction(1, 2)) * MINUTE)


# -- can it fire at all? -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """The largest factor that can still fire, and the share of the budget that it then stands for."""

    factor: Fraction
    share: Fraction
    threshold: Fraction


@dataclass(frozen=True)
class Life:
    """`state`: alive, nearly_dead (nearly everything must fail), dead (an error rate cannot be above 1)."""

    state: str
    threshold: Fraction
    offer: Offer | None = None

    @property
    def dead(self) -> bool:
        return self.state == "dead"


def life(pair: Pair, target: Fraction, period: int, ceiling: Fraction = CEILING) -> Life:
    line = pair.threshold(target)
    if line <= NEARLY:
        return Life("alive", line)
    usable = ceiling / (1 - target)
    offer = Offer(usable, usable * pair.long / period, ceiling)
    return Life("dead" if line >= 1 else "nearly_dead", line, offer)


def dead_up_to(given: Fraction) -> Fraction | None:
    """A pair with this factor is dead at every SLO up to this one; None: at none above 0."""
    limit = 1 - 1 / given
    return limit if limit > 0 else None


def dead(pairs: Sequence[Pair], target: Fraction, period: int) -> list[Pair]:
    return [pair for pair in pairs if life(pair, target, period).dead]


def refusal(pair: Pair, target: Fraction, period: int) -> str:
    """What a person reads who wanted a dead pair."""
    found = life(pair, target, period)
    offer = found.offer
    said = (
        f"{pair.label} ({pair.windows}) can never fire: it waits for an error rate above {percent(found.threshold)},"
        " and none is above 100 %."
    )
    if offer is None:
        return said
    return (
        f"{said} The largest usable factor is {written(offer.factor)}: it fires above {percent(offer.threshold)}"
        f" and stands for {float(offer.share) * 100:.3g} % of the budget. Or leave it out and rely on the count rule."
    )


def smallest_total(given: Fraction, target: Fraction) -> int:
    """So many events in the long window, and a single bad one no longer fires the pair (equality does not fire)."""
    needed = 1 / (given * (1 - target))
    return -int(-needed // 1)
