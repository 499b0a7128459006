"""What the rules of saving read: plain rows, gathered by `gathering`. Money is nano-USD, unknown is None."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import NamedTuple

from afterlaunch.telemetry.columns import BUCKETS


class Place(NamedTuple):
    """Calls that are looked at together; what nobody told is None."""

    client: str
    system: str | None
    route: str | None
    agent: str | None
    provider: str | None
    model: str | None

    @property
    def words(self) -> str:
        told = (("route", self.route), ("agent", self.agent), ("system", self.system))
        whose = ", ".join(f"{name} {value}" for name, value in told if value)
        return f"{self.model or 'no model told'}" + (f" of {whose}" if whose else "")


@dataclass(frozen=True)
class Said:
    """One call whose prompt is known. `start` of the text, at most so many characters, and its whole `length`."""

    at_ns: int
    session: str | None
    text: str
    length: int
    inputs: int
    cached: int | None
    cost_nano: int | None


@dataclass(frozen=True)
class Score:
    """Evaluations of one name of one model on one route: how many, their mean and standard deviation."""

    count: int
    mean: float
    spread: float

    @property
    def half(self) -> float:
        """Half of the 95 % interval of the mean (normal)."""
        return 1.96 * self.spread / sqrt(self.count)


def answers_as(answered: str | None, asked: str) -> bool:
    """Whether a call that a model answered is one of the model that was asked for: providers answer with a dated name
    (gpt-4o-mini-2024-07-18, claude-haiku-4-5-20251001, gemini@20250101)."""
    return answered is not None and re.fullmatch(re.escape(asked) + _DATED, answered, re.IGNORECASE) is not None


_DATED = r"([-@](\d{8}|\d{4}-\d{2}-\d{2}))?"


def pooled(scores: Sequence[Score]) -> Score | None:
    """Several samples as one; None without any."""
    count = sum(one.count for one in scores)
    if not count:
        return None
    mean = sum(one.mean * one.count for one in scores) / count
    squares = sum(one.spread**2 * (one.count - 1) + one.count * (one.mean - mean) ** 2 for one in scores)
    return Score(count, mean, sqrt(squares / (count - 1)) if count > 1 else 0.0)


@dataclass(frozen=True)
class Terms:
    """What the owner of a route says about it. `metric`: the evaluation that decides, at least `minimum` on average and
    not more than `margin` below the model in use; `patience_hours`: how long an answer may take; `freshness_minutes`:
    how old an answer to the same question may be (0: not at all); `candidates`: models that may be tried
    (provider, model)."""

    metric: str = ""
    minimum: float | None = None
    margin: float = 0.0
    patience_hours: float | None = None
    freshness_minutes: int | None = None
    candidates: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Use:
    """Calls of one place in the window of `days`. `output`: (bucket of `profiles`, calls) in order; `failed_nano`:
    known cost of the failed ones; `said`: those of `sampled` calls whose prompt is known, the oldest first; `scores`:
    metric -> model -> its score."""

    place: Place
    days: float
    calls: int
    unknown: int
    cost_nano: int
    buckets: Mapping[str, int]
    failed: int = 0
    failed_nano: int = 0
    truncated: int = 0
    output: Sequence[tuple[int, int]] = ()
    said: Sequence[Said] = ()
    sampled: int = 0
    production: bool = True
    terms: Terms | None = None
    scores: Mapping[str, Mapping[str, Score]] = field(default_factory=dict)

    @property
    def known(self) -> int:
        return self.calls - self.unknown

    @property
    def month_nano(self) -> float:
        """Known cost at this pace in 30 days."""
        return self.cost_nano * 30 / self.days

    @property
    def inputs(self) -> int:
        return sum(self.buckets.get(name, 0) for name in BUCKETS[:6])


@dataclass(frozen=True)
class Rate:
    """Pico-USD a token, None where not known; `caches`: reading from the cache has a price of its own."""

    input: int | None
    cache_read: int | None
    cache_write: int | None
    output: int | None
    reasoning: int | None
    name: str
    caches: bool

    def of(self, buckets: Mapping[str, int]) -> int | None:
        """Nano-USD of these tokens; None where a price that is needed lacks."""
        prices = {
            "in_uncached": self.input, "in_cache_read": self.cache_read, "in_cache_write_5m": self.cache_write,
            "in_cache_write_1h": self.cache_write, "in_cache_write_other": self.cache_write, "in_tool_use": self.input,
            "out_visible": self.output, "out_reasoning": self.reasoning,
        }  # fmt: skip
        whole = 0
        for name, count in buckets.items():
            price = prices[name]
            if count and price is None:
                return None
            whole += count * (price or 0)
        return whole // 1000
