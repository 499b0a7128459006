"""What is followed as a series, and when a point that is unlike all before is worth telling. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NANO = 1_000_000_000


@dataclass(frozen=True)
class Measure:
    """`least`: a difference from the expected that is worth telling, in the measure's unit; `share`: of the expected,
    likewise. `falls`: less than expected is worth telling, too."""

    key: str
    name: str
    title: str
    explanation: str
    word: str
    unit: str
    least: float
    share: float
    falls: bool
    severity: str

    def worth_telling(self, value: float, expected: float) -> bool:
        difference = value - expected if not self.falls else abs(value - expected)
        return difference >= max(self.least, self.share * abs(expected))

    def ratio(self, value: float, expected: float, up: bool = True) -> float:
        """How many times the expected it is; of a fall, how many times less. Near zero everything is alike."""
        floor = self.least / 4
        above = (value + floor) / (expected + floor)
        return above if up or above <= 0 else 1 / above

    def shown(self, value: float) -> str:
        match self.unit:
            case "USD":
                return f"${value:,.2f}" if value >= 0.01 or value == 0 else f"${value:,.4f}"
            case "share":
                return f"{value:.1%}"
            case "ms":
                return f"{value:,.0f} ms"
        return f"{value:,.0f}"


MEASURES: Mapping[str, Measure] = {
    one.key: one
    for one in (
        Measure(
            "cost", "anomalies.spend", "Unusual spend",
            "An hour of a system, agent, tenant, route or model cost what no hour like it did.",
            "cost", "USD", 0.5, 0.2, False, "P2",
        ),
        Measure(
            "calls", "anomalies.calls", "Unusual number of calls",
            "An hour of a system had more or fewer calls than any hour like it.",
            "calls", "calls", 50, 0.3, True, "P3",
        ),
        Measure(
            "errors", "anomalies.errors", "Unusual share of failed calls",
            "In an hour of a system more calls failed than in any hour like it.",
            "failed calls", "share", 0.02, 0.5, False, "P2",
        ),
        Measure(
            "latency", "anomalies.latency", "Unusual latency",
            "In an hour of a system the 95th percentile of latency was above that of any hour like it.",
            "p95 latency", "ms", 200, 0.25, False, "P3",
        ),
    )
}  # fmt: skip
DIMENSIONS = ("", "agent", "tenant", "route", "model")
"""What series are told apart by; "": the whole system. Only cost is followed below it."""
FOLLOWED = {"": tuple(MEASURES)} | dict.fromkeys(DIMENSIONS[1:], ("cost",))
MOST = 20
"""So many values of one dimension of one system are followed, the dearest of the last week."""
MOST_SERIES = 2_000
LEAST_WEEK = NANO // 10
"""What a value must have cost in a week to be followed, in nano-USD."""
ENOUGH_FAILED, ENOUGH_LATENCY = 20, 100
"""Calls of an hour from which a share, or a 95th percentile, is a point."""
