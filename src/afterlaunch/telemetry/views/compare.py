"""Two periods, or two values of a dimension (versions, arms, models), side by side, and whether chance explains it.

Shares: the two-proportion z test, pooled, where at least 5 cases are expected on the smaller side. Latency and cost:
the share of B that lies above A's quantile, by the same test. Two-sided; a difference counts below 1 in 1,000, since
many are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt
from typing import Any

from afterlaunch.ground.errors import Invalid
from afterlaunch.look import formats
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.columns import DIMENSIONS
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.grids import COUNT, MS, NUMBER, SHARE, TEXT, USD, Column, Grid
from afterlaunch.telemetry.views.sheets import Section, Sheet, Tile
from afterlaunch.telemetry.views.sums import Group, groups_of

CHANCE = 0.001
LEAST = 5
TOO_FEW = "too few to say"
COLUMNS = (
    Column("measure", TEXT, "Measure"),
    Column("a", TEXT, "A"),
    Column("b", TEXT, "B"),
    Column("change", TEXT, "Change"),
    Column("p_value", NUMBER, "p", shown=False),
    Column("p", TEXT, "p"),
    Column("verdict", TEXT, "Is it chance?"),
    Column("a_value", NUMBER, "a", shown=False),
    Column("b_value", NUMBER, "b", shown=False),
    Column("unit", TEXT, "unit", shown=False),
)


def two_proportions(hits_a: int, a: int, hits_b: int, b: int) -> float | None:
    """The two-sided p-value; None when too little is expected for the normal distribution."""
    if min(a, b) == 0:
        return None
    share = (hits_a + hits_b) / (a + b)
    if min(a, b) * min(share, 1 - share) < LEAST:
        return None
    z = (hits_b / b - hits_a / a) / sqrt(share * (1 - share) * (1 / a + 1 / b))
    return erfc(abs(z) / sqrt(2))


@dataclass(frozen=True)
class Row:
    """`unit`: calls, share, ms, usd, tokens."""

    measure: str
    unit: str
    a: float | None
    b: float | None
    p_value: float | None = None
    tested: bool = False

    def said(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "unit": self.unit,
            "a_value": self.a,
            "b_value": self.b,
            "a": _said(self.unit, self.a),
            "b": _said(self.unit, self.b),
            "change": self.change(),
            "p_value": self.p_value,
            "p": "" if self.p_value is None else "below 0.001" if self.p_value < CHANCE else f"{self.p_value:.3f}",
            "verdict": self.verdict(),
        }

    def change(self) -> str:
        if self.a is None or self.b is None:
            return formats.UNKNOWN
        if self.unit == SHARE:
            return f"{(self.b - self.a) * 100:+.2f} points"
        return f"{(self.b / self.a - 1) * 100:+.1f}%" if self.a else formats.UNKNOWN

    def verdict(self) -> str:
        if not self.tested:
            return ""
        if self.p_value is None or self.a is None or self.b is None:
            return TOO_FEW
        if self.p_value >= CHANCE:
            return "chance may explain it"
        return "B is higher" if self.b > self.a else "B is lower" if self.b < self.a else "they differ"


def _said(unit: str, value: float | None) -> str:
    if value is None:
        return formats.UNKNOWN
    if unit == USD:
        return formats.money(round(value))
    if unit == SHARE:
        return formats.percent(value)
    return formats.duration_ms(value) if unit == MS else formats.count(value)


def rows(a: Group | None, b: Group | None) -> list[Row]:
    """Pure: of what both sides told."""
    out = [Row("Calls", COUNT, a["calls"] if a else 0, b["calls"] if b else 0)]
    for label, name in SHARES.items():
        hits = [one[name] if one else 0 for one in (a, b)]
        calls = [max(0, one["calls"]) if one else 0 for one in (a, b)]
        shares = [hit / count if count else None for hit, count in zip(hits, calls, strict=True)]
        p_value = two_proportions(hits[0], calls[0], hits[1], calls[1])
        out.append(Row(label, SHARE, shares[0], shares[1], p_value, tested=True))
    for label, measure in (("Latency", profiles.LATENCY), ("Time to first token", profiles.TTFT)):
        told = [one.quantiles(measure) if one else None for one in (a, b)]
        for name in ("p50", "p95", "p99"):
            values = [getattr(one, name) if one else None for one in told]
            p_value = above(a, b, measure, {"p50": 0.5, "p95": 0.95, "p99": 0.99}[name])
            out.append(Row(f"{label} {name}", MS, values[0], values[1], p_value, tested=True))
    costs = [one.cost_per_call if one else None for one in (a, b)]
    out.append(Row("Cost per call", USD, costs[0], costs[1], above(a, b, profiles.COST, 0.5), tested=True))
    out.append(Row("Cost", USD, a.cost if a else None, b.cost if b else None))
    for label, side in (("Tokens in per call", "input"), ("Tokens out per call", "output")):
        means = [_mean(one, side) for one in (a, b)]
        out.append(Row(label, COUNT, means[0], means[1]))
    rates = [one.cache_rate if one else None for one in (a, b)]
    out.append(Row("From prompt cache", SHARE, rates[0], rates[1]))
    return out


SHARES = {"Failed": "failed", "Timed out": "timeouts", "Provider's fault": "provider_faults", "Refused": "refused",
          "Cut off at the limit": "truncated"}  # fmt: skip


def _mean(one: Group | None, side: str) -> float | None:
    whole = getattr(one, side) if one else None
    known = one.known(profiles.INPUT) if one else 0
    return whole / known if whole is not None and known else None


def above(a: Group | None, b: Group | None, measure: int, share: float) -> float | None:
    """The p-value of: as large a share of B as of A lies in or above the bucket that holds A's quantile."""
    if a is None or b is None or not a.known(measure) or not b.known(measure):
        return None
    at = profiles.holding(a.spread[measure], share)
    found = []
    for least in (at, at + 1):  # many may lie in that very bucket: with it and without, of which the surer one, halved
        hits = [sum(calls for step, calls in one.spread[measure] if step >= least) for one in (a, b)]
        found.append(two_proportions(hits[0], a.known(measure), hits[1], b.known(measure)))
    told = [one for one in found if one is not None]
    return min(1.0, 2 * min(told)) if told else None


def sheet(ask: Asked) -> Sheet:
    by = ask.kept.get("by", "period")
    measures = (profiles.LATENCY, profiles.TTFT, profiles.INPUT, profiles.COST)
    if by == "period":
        before = (ask.start - (ask.end - ask.start), ask.start)
        names = (
            f"{before[0]:%d %b %H:%M} to {before[1]:%d %b %H:%M} UTC",
            f"{ask.start:%d %b %H:%M} to {ask.end:%d %b %H:%M} UTC",
        )
        found = [groups_of(ask, [], measures, time=before), groups_of(ask, [], measures)]
        note = "A is the time of the same length before B."
    elif by in DIMENSIONS:
        values = _values(ask, by)
        names = (ask.kept.get("a") or values[0], ask.kept.get("b") or values[1])
        found = [groups_of(ask, [], measures, more={by: name}) if name else [] for name in names]
        note = (
            f"A and B are values of {by} in the same time."
            if all(names)
            else f"Fewer than two values of {by} are told."
        )
    else:
        raise Invalid(f"{by!r} can't be compared.", "period, or one of " + ", ".join(DIMENSIONS))
    a, b = (one[0] if one else None for one in found)
    compared = rows(a, b)
    sure = [row for row in compared if row.tested and row.p_value is not None and row.p_value < CHANCE]
    tiles = [
        Tile("A", names[0] or formats.UNKNOWN, f"{a['calls'] if a else 0:,} calls"),
        Tile("B", names[1] or formats.UNKNOWN, f"{b['calls'] if b else 0:,} calls"),
        Tile("Differ beyond chance", str(len(sure)), ", ".join(row.measure for row in sure[:3])),
    ]
    return Sheet(
        [Section("rows", "Side by side", Grid(COLUMNS, [row.said() for row in compared]), f"{note} {NOTE}")], tiles
    )


NOTE = (
    f"“Is it chance?” is a two-sided test at {CHANCE:.1%}: shares by two proportions, latencies and cost by how much"
    " of B lies above A's quantile."
)


def _values(ask: Asked, by: str) -> tuple[str, str]:
    """The two values with the most calls, in the order of their names."""
    told = sorted(groups_of(ask, [by], ()), key=lambda one: -one["calls"])
    names = (
        sorted(one.key[by] or "" for one in told[:8] if one.key[by])[-2:]
        if by == "version"
        else sorted([one.key[by] or "" for one in told if one.key[by]][:2])
    )
    return (names[0] if names else "", names[1] if len(names) > 1 else "")
