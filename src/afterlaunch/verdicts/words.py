"""What every judge speaks. Pure.

A judge reads a View (windows of one scope) and returns a Finding. It knows nothing of incidents.
*Not assessed* is an answer of its own and never ok.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import exp, log, log1p
from statistics import median
from typing import Protocol

from afterlaunch.estate.limits import DEFAULTS, Limits
from afterlaunch.telemetry.signals.readings import Reading
from afterlaunch.telemetry.told import Told
from afterlaunch.telemetry.windows import Window


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BREACH = "breach"
    NOT_ASSESSED = "not_assessed"


@dataclass(frozen=True)
class Scope:
    """Where a verdict holds. None: over all values."""

    client: str
    system: str
    environment: str
    route: str | None = None
    arm: str | None = None
    provider: str | None = None
    host: str | None = None

    def words(self) -> str:
        parts = [self.system, self.environment]
        parts += [f"route {self.route}"] if self.route else []
        parts += [f"{self.arm} arm"] if self.arm else []
        parts += [f"provider {self.provider}"] if self.provider else []
        parts += [f"host {self.host}"] if self.host else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Targets:
    """Declared by the owner; None: the learned baseline is used. `limits`: those of infrastructure, in force."""

    p95_ms: float | None = None
    p99_ms: float | None = None
    limits: Limits = field(default_factory=lambda: DEFAULTS)


@dataclass(frozen=True)
class View:
    """`recent`: the last minutes, widened until it holds enough calls. `past`: the learned baseline before it,
    without the recent part. `rival`: the baseline arm over the same minutes, for a candidate. `hours`: the hours of
    the last week that held calls, by how many hours ago they ended (1: the hour that ended 60 minutes ago).
    `readings`: of a host or of the whole system, for judges of infrastructure; their `recent` ends now. `told`: of the
    whole system, how often its senders told what."""

    scope: Scope
    recent: Window
    past: Window
    rival: Window | None = None
    targets: Targets = field(default_factory=Targets)
    hours: Mapping[int, Window] = field(default_factory=dict)
    readings: Mapping[str, Reading] = field(default_factory=dict)
    told: Told = field(default_factory=Told)


@dataclass(frozen=True)
class Finding:
    """`reason` is a name; `explanation` a sentence with figures for somebody just woken."""

    judge: str
    status: Status
    reason: str
    explanation: str
    value: float | None = None
    threshold: float | None = None
    unit: str = ""
    count: int = 0
    evidence: Mapping[str, str | int | float | None] = field(default_factory=dict)


class Named(Protocol):
    """Whose verdict it is, and the severity of an incident that comes of it."""

    @property
    def name(self) -> str: ...
    @property
    def severity(self) -> str: ...


class Judge(Protocol):
    """`severity` is that of the incident when it finds a breach; `per` the scope it looks at."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def explanation(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def per(self) -> tuple[str, ...]: ...
    def assess(self, view: View) -> Finding: ...


MINIMUM_CALLS = 20
FORGIVEN = 3.0
CHANCE = 0.001  # a breach would come by chance at most once in so many looks at a share that is just at its limit


def chance_of(hits: int, of: int, limit: float) -> float:
    """P(X >= hits) of a binomial (of, limit): the exact one-sided test, so that 1 failure in 20 calls is no proof
    of more than 1 %. Sums the terms below `hits`, each from the one before it."""
    if hits <= 0:
        return 1.0
    if limit >= 1:
        return 1.0
    term = of * log1p(-limit)
    below = exp(term)
    for n in range(1, hits):
        term += log(of - n + 1) - log(n) + log(limit) - log1p(-limit)
        below += exp(term)
    return max(0.0, 1.0 - below)


def too_few(judge: str, count: int, needed: int = MINIMUM_CALLS) -> Finding:
    said = (
        f"Only {count} calls in the last hour; {needed} are needed to tell." if count else "No calls in the last hour."
    )
    return Finding(judge, Status.NOT_ASSESSED, "too_few_calls", said, count=count)


def judge_share(
    judge: str, what: str, hits: int, of: int, limit: float, rival: tuple[int, int] | None = None
) -> Finding:
    """A share against a limit: breach when it is above and chance is ruled out, warning when it may be chance.

    With a `rival` (hits, of) that does badly itself, the limit is the rival's share, but never more than FORGIVEN times
    the limit: that another arm is bad too excuses a little, not anything.
    """
    if of < MINIMUM_CALLS:
        return too_few(judge, of)
    share = hits / of
    line = limit
    if rival and rival[1] >= MINIMUM_CALLS:
        line = max(limit, min(rival[0] / rival[1], limit * FORGIVEN))
    chance = round(chance_of(hits, of, line), 6)
    said = f"{hits} of {of} calls ({share:.1%}) {what}; the limit is {line:.1%}."
    evidence: dict[str, str | int | float | None] = {"hits": hits, "calls": of, "chance": chance}
    if share > line and chance < CHANCE:
        return Finding(judge, Status.BREACH, "share_above_limit", said, share, line, "share", of, evidence)
    if share > line:
        said += " With so few calls it may be chance."
        return Finding(judge, Status.WARNING, "share_perhaps_above_limit", said, share, line, "share", of, evidence)
    return Finding(judge, Status.OK, "share_within_limit", said, share, line, "share", of, evidence)


def with_sample(finding: Finding, window: Window) -> Finding:
    """A finding on volume or money, saying so where the calls are a sample: samplers let but a share of them through,
    and what the judge weighed is what was sent. Shares and latencies of a sample need no such word."""
    if not window.calls_sampled:
        return finding
    meant, cost = window.calls_extrapolated, window.cost_extrapolated_nano
    said = f" {sample_words(window.calls_sampled, window.calls, meant, cost)}"
    told = {"calls_sampled": window.calls_sampled, "calls_extrapolated": meant}
    told_cost = {"cost_extrapolated_usd": cost / 1e9}
    evidence = {**finding.evidence, **told, **told_cost}
    return replace(finding, explanation=finding.explanation + said, evidence=evidence)


def sample_words(sampled: int, calls: int, meant: int, nano: int) -> str:
    """`sampled` of the `calls` are of sampled traces; `meant` calls, and so many nano-USD, is what all stand for."""
    which = "These calls" if sampled == calls else f"{sampled:,} of these {calls:,} calls"
    return f"{which} are of sampled traces; extrapolated, all stand for about {meant:,} calls and ${nano / 1e9:,.4f}."


@dataclass(frozen=True)
class Usual:
    """Median and robust spread (1.4826 times the median absolute deviation, the standard deviation of a normal)."""

    median: float
    spread: float
    count: int


def usual(values: Sequence[float]) -> Usual | None:
    """None without values."""
    if not values:
        return None
    middle = median(values)
    return Usual(middle, 1.4826 * median(abs(value - middle) for value in values), len(values))
