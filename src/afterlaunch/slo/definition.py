"""The whole of what one version of an SLO says, and what is refused. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from afterlaunch.slo import periods
from afterlaunch.slo.burning import COUNT_RULES, CountRule
from afterlaunch.slo.durations import DAY, MINUTE, duration, percent, short
from afterlaunch.slo.measures import FRESHNESS, KINDS, QUALITY, VERDICT, Measure
from afterlaunch.slo.openslo.objects import OCCURRENCES, TIMESLICES, Period
from afterlaunch.slo.pairs import LEAST_BAD, MOST_BAD, PAGE, TICKET, Pair, life, refusal, standard

LONGEST_PERIOD = 366 * DAY
WINDOW_BUCKETS = 5
"""A bucket may not be wider than a fifth of the short window: with buckets of a minute it has at least five."""


@dataclass(frozen=True)
class Definition:
    """`pairs` None: the standard ones of its period. `counts`: the count rules beside them."""

    target: Fraction
    period: Period
    measure: Measure
    method: str = OCCURRENCES
    slice_target: Fraction | None = None
    slice_seconds: int | None = None
    pairs: tuple[Pair, ...] | None = None
    counts: tuple[CountRule, ...] = COUNT_RULES

    def pairs_at(self, now: datetime) -> tuple[Pair, ...]:
        """The factors of the standard pairs depend on how long the present period is."""
        return standard(periods.seconds(self.period, now)) if self.pairs is None else self.pairs

    @property
    def nominal_pairs(self) -> tuple[Pair, ...]:
        return standard(self.period.seconds) if self.pairs is None else self.pairs

    @property
    def slice_length(self) -> int:
        """Seconds of a slice of time; 0: events are counted. Verdicts are minutes."""
        if self.measure.kind == VERDICT:
            return MINUTE
        return (self.slice_seconds or 0) if self.sliced else 0

    @property
    def sliced(self) -> bool:
        return self.method != OCCURRENCES

    def windows(self, now: datetime) -> set[int]:
        pairs = self.pairs_at(now)
        return {
            *(pair.long for pair in pairs),
            *(pair.short for pair in pairs),
            *(rule.window for rule in self.counts),
            DAY,
        }

    def problems(self) -> list[str]:
        """What forbids it; dead pairs among it. Asked at creation, at import and at every change."""
        out = []
        if not 0 < self.target < 1:
            out.append(f"The objective must be above 0 % and below 100 %, not {percent(self.target)}.")
            return out
        period = self.period.seconds
        if not DAY <= period <= LONGEST_PERIOD:
            out.append(f"The period must be from a day to a year, not {self.period.duration}.")
        if self.measure.kind not in KINDS:
            out.append("Its events come from a source that is not read here.")
        if self.sliced and self.measure.kind in (QUALITY, FRESHNESS):
            out.append(f"Slices of time are for calls and verdicts; {self.measure.kind} counts events.")
        if self.sliced and not (self.slice_seconds and self.slice_seconds % MINUTE == 0):
            out.append("Slices of time need a length in whole minutes.")
        if self.method == TIMESLICES and self.slice_target is None:
            out.append("Slices of time need the share of good events that makes a slice good.")
        if self.measure.kind == VERDICT and self.sliced and self.slice_seconds != MINUTE:
            out.append("Slices of verdicts are a minute long.")
        for pair in self.nominal_pairs:
            out += _wrong_pair(pair, self.target, period, self.slice_seconds or MINUTE)
        return out

    def warnings(self) -> list[str]:
        """Pairs for which nearly everything must fail."""
        out = []
        for pair in self.nominal_pairs:
            found = life(pair, self.target, self.period.seconds)
            if found.state == "nearly_dead":
                line = percent(found.threshold)
                out.append(f"{pair.label} fires only above an error rate of {line}: nearly everything must fail.")
        return out

    def as_document(self) -> dict[str, Any]:
        """For a row of a database: exact numbers as fractions."""
        return {
            "target": str(self.target),
            "period": {
                "duration": str(self.period.duration),
                "start": self.period.start,
                "zone": self.period.zone,
            },
            "measure": {
                name: str(value) if isinstance(value, Fraction) else list(value) if isinstance(value, tuple) else value
                for name, value in vars(self.measure).items()
            },
            "method": self.method,
            "slice_target": None if self.slice_target is None else str(self.slice_target),
            "slice_seconds": self.slice_seconds,
            "pairs": None if self.pairs is None else [vars(one) | {"factor": str(one.factor)} for one in self.pairs],
            "counts": [vars(one) | {"share": str(one.share)} for one in self.counts],
        }


def _wrong_pair(pair: Pair, target: Fraction, period: int, bucket: int) -> list[str]:
    out = []
    if life(pair, target, period).dead:
        out.append(refusal(pair, target, period))
    if pair.factor <= 0:
        out.append(f"{pair.label}: the factor must be above 0.")
    if pair.long > period or pair.short > pair.long:
        out.append(f"{pair.label}: the windows {pair.windows} must be shorter than the period, and in this order.")
    if pair.short < WINDOW_BUCKETS * bucket:
        out.append(f"{pair.label}: the short window must be at least {short(WINDOW_BUCKETS * bucket)}.")
    if not LEAST_BAD <= pair.least_bad <= MOST_BAD:
        out.append(f"{pair.label}: it needs {LEAST_BAD} to {MOST_BAD} bad events.")
    if pair.severity not in (PAGE, TICKET):
        out.append(f"{pair.label}: the severity is page or ticket.")
    return out


_FRACTIONS = ("value", "sampling", "false_positive", "false_negative", "probe_weight")


def from_document(raw: Mapping[str, Any]) -> Definition:
    measure = dict(raw["measure"])
    for name in _FRACTIONS:
        measure[name] = None if measure[name] is None else Fraction(measure[name])
    measure["labels"] = tuple(measure["labels"])
    told = raw["period"]
    return Definition(
        Fraction(raw["target"]),
        Period(duration(told["duration"]), told["start"], told["zone"]),
        Measure(**measure),
        raw["method"],
        None if raw["slice_target"] is None else Fraction(raw["slice_target"]),
        raw["slice_seconds"],
        None if raw["pairs"] is None else tuple(_pair(one) for one in raw["pairs"]),
        tuple(CountRule(**{**one, "share": Fraction(one["share"])}) for one in raw["counts"]),
    )


def _pair(raw: Mapping[str, Any]) -> Pair:
    return Pair(**{**raw, "factor": Fraction(raw["factor"])})


def listed(problems: Sequence[str]) -> str:
    return " ".join(problems)
