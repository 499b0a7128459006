"""Whether few accounts, or few addresses, give most of an hour's labels of a source. Pure.

A crowd's hours are compared with its own past: the share of the three that gave most must be more than half, a quarter
more than on average and more than in every hour of the last two weeks, and so far above their mean in log odds that
Student's t allows it once in 1,000 hours, shared by all that are asked. A source of few reviewers is as it ever was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

from afterlaunch.drift.chances import normal_quantile
from afterlaunch.performance import checks
from afterlaunch.performance.checks import Check
from afterlaunch.performance.following import HOURS
from afterlaunch.performance.judging import BREACH
from afterlaunch.performance.sources import LEAST, Trouble

KIND, TITLE = "givers", "Labels come from many"
METHOD = "share of the three accounts (addresses) that gave most of an hour's labels, against two weeks of hours"
MOST, MORE = 0.5, 0.25  # of an hour's labels, and more than on average
PAST, FEW = 24, 20  # hours with labels enough, and what is enough
TOP = 3
WORDS = {"account": "accounts", "address": "addresses"}


@dataclass(frozen=True)
class Given:
    """An hour of a source: labels that told who gave them, and how many of them the three gave that gave most."""

    labels: int
    top: int


def share(one: Given) -> float:
    return one.top / one.labels


def check(given: Mapping[tuple[str, str], Sequence[Given]]) -> Check:
    """`given`: by source and kind (account, address) the hours in their order, the newest last."""
    asked = {key: hours for key, hours in given.items() if _past(hours)[0] and hours[-1].labels >= LEAST}
    n = sum(hours[-1].labels for hours in given.values() if hours)
    if not given:
        return checks.unknown(KIND, TITLE, METHOD, "Labels do not tell an account or an address.")
    if not asked:
        why = f"It takes {LEAST} labels in the last hour, and {PAST} hours of {FEW} in the two weeks before."
        return checks.unknown(KIND, TITLE, METHOD, why, n)
    troubles = []
    for (source, kind), hours in sorted(asked.items()):
        newest = hours[-1]
        past = _past(hours)[1]
        usual = sum(past) / len(past)
        if share(newest) > max(line_of(past, 1 / (HOURS * len(asked))), MOST, usual + MORE):
            said = (
                f"Three {WORDS[kind]} gave {newest.top:,} of {newest.labels:,} labels of {source} in one hour"
                f" ({share(newest):.0%}); {usual:.0%} on average in the hours before."
            )
            troubles.append(Trouble(KIND, (source,), BREACH, said))
    most = max(share(hours[-1]) for hours in asked.values())
    calm = f"The three that gave most gave at most {most:.0%} of the last hour's labels, as before."
    return checks.of(KIND, TITLE, METHOD, n, troubles, calm)


def _past(hours: Sequence[Given]) -> tuple[bool, list[float]]:
    """Whether there are enough, and their shares."""
    shares = [share(one) for one in hours[:-1] if one.labels >= FEW]
    return len(shares) >= PAST, shares


def line_of(shares: Sequence[float], chance: float) -> float:
    """Beyond which a share lies so seldom: the greatest of the past, and the t quantile in log odds."""
    odds = [log((one + 0.01) / (1.01 - one)) for one in shares]
    count = len(odds)
    mean = sum(odds) / count
    spread = sqrt(sum((one - mean) ** 2 for one in odds) / (count - 1))
    bound = mean + t_quantile(1 - chance, count - 1) * spread * sqrt(1 + 1 / count)
    return max(max(shares), 1.02 / (1 + exp(-bound)) - 0.01)


def t_quantile(level: float, degrees: int) -> float:
    """Student's t by the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5): to 1 % from 20 degrees on."""
    z = normal_quantile(level)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3
