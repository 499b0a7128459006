"""What an objective counts: which events of which system, and which of them are bad. Pure.

The same mapping is read from a form, from the API and from a `metricSource` of type Afterlaunch in an OpenSLO file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from afterlaunch.slo.durations import written
from afterlaunch.slo.events import FLOOR, MIXED, PROBE_MODES, SEPARATE, Judge
from afterlaunch.slo.openslo.members import Members
from afterlaunch.slo.openslo.objects import OPERATORS

AVAILABILITY, LATENCY, QUALITY, FRESHNESS, VERDICT, FOREIGN = (
    "availability",
    "latency",
    "quality",
    "freshness",
    "verdict",
    "foreign",
)
KINDS = (AVAILABILITY, LATENCY, QUALITY, FRESHNESS, VERDICT)
OUTCOMES = {
    "failed": "failed",
    "timeouts": "ran into their time-out",
    "provider_faults": "failed by the provider's fault",
    "refused": "were refused",
    "truncated": "were cut short",
}
TIMES = {"latency": "answered", "ttft": "began to answer"}
THRESHOLDS = {LATENCY: "lte", QUALITY: "gte", FRESHNESS: "lte"}
"""Which side is good, where nothing else is said."""
SOURCE = "Afterlaunch"
SIGNALS = ("auto", "metrics", "spans")


@dataclass(frozen=True)
class Measure:
    """Empty route or model: all of them. `value` is in milliseconds, points of a score, or seconds of age. `labels`:
    the good ones, where an evaluation gives labels. `spec`: of a source that is not ours."""

    kind: str
    system: str
    environment: str = "prod"
    route: str = ""
    model: str = ""
    outcome: str = "failed"
    time: str = "latency"
    op: str = ""
    value: Fraction | None = None
    evaluation: str = ""
    labels: tuple[str, ...] = ()
    final_evaluation: str = ""
    sampling: Fraction = Fraction(1)
    false_positive: Fraction = Fraction(0)
    false_negative: Fraction = Fraction(0)
    judge: str = ""
    probes: str = SEPARATE
    probe_floor: int = 0
    probe_weight: Fraction = Fraction(1)
    signal: str = "auto"
    interval: int = 60

    @property
    def errors(self) -> Judge:
        return Judge(self.false_positive, self.false_negative)

    @property
    def ours(self) -> bool:
        return self.kind != FOREIGN

    def good(self, value: float | None, label: str | None) -> bool | None:
        """Of one evaluation; None when it tells neither what is asked."""
        if self.labels:
            return None if label is None else label in self.labels
        if value is None or self.value is None:
            return None
        line = float(self.value)
        return {"gte": value >= line, "gt": value > line, "lte": value <= line, "lt": value < line}[self.op]

    def where(self) -> str:
        parts = [self.system, self.environment]
        parts += [f"route {self.route}"] if self.route else []
        parts += [f"model {self.model}"] if self.model else []
        return ", ".join(part for part in parts if part)

    def query(self) -> str:
        """What is counted, as a sentence that says it all."""
        return f"{self._said()} ({self.where()})"

    def _said(self) -> str:
        line = f"{OPERATORS.get(self.op, '')} {written(self.value)}" if self.value is not None else ""
        if self.kind == AVAILABILITY:
            return f"bad: calls that {OUTCOMES[self.outcome]}; of all calls"
        if self.kind == LATENCY:
            return f"good: calls {TIMES[self.time]} in {line} ms; of the calls that tell it"
        if self.kind == QUALITY:
            told = f"labelled {' or '.join(self.labels)}" if self.labels else f"scored {line}"
            final = f", overruled by {self.final_evaluation}" if self.final_evaluation else ""
            return f"good: answers {told} by {self.evaluation or 'any evaluation'}{final}; of the labelled answers"
        if self.kind == FRESHNESS:
            return f"good: look-ups in an index of age {line} s; of those that tell it"
        if self.kind == VERDICT:
            return f"bad: minutes in which {self.judge} is in breach; of the expected minutes"
        return "events of a source that is not read here"

    def as_spec(self) -> dict[str, Any]:
        """What differs from the default, in words of a file; `read` takes it back."""
        out: dict[str, Any] = {}
        for name, default in DEFAULTS.items():
            value = getattr(self, name)
            if value != default or name in ("kind", "system", "environment"):
                if isinstance(value, Fraction):
                    value = float(value) if value.denominator != 1 else int(value)
                out[_CAMEL.get(name, name)] = list(value) if isinstance(value, tuple) else value
        return out


DEFAULTS: dict[str, Any] = {name: field.default for name, field in Measure.__dataclass_fields__.items()}
_CAMEL = {
    "final_evaluation": "finalEvaluation",
    "false_positive": "falsePositive",
    "false_negative": "falseNegative",
    "probe_floor": "probeFloor",
    "probe_weight": "probeWeight",
}
_TEXTS = ("system", "environment", "route", "model", "evaluation", "judge")


def read(members: Members, op: str = "", value: Fraction | None = None) -> Measure | None:
    """`op` and `value` are those of an OpenSLO objective, if it has them. Errors are noted in `members`."""
    known = {_CAMEL.get(name, name) for name in DEFAULTS} | {"events", "query"}
    if unknown := sorted(set(members.raw) - known):
        members.wrong(unknown[0], f"it is not known; known: {', '.join(sorted(known))}")
        return None
    before = len(members.findings.errors)
    kind = members.text("kind")
    if kind and kind not in KINDS:
        members.wrong("kind", f"{kind!r} is none of {', '.join(KINDS)}")
        return None
    found = Measure(
        kind=kind,
        system=members.text("system"),
        environment=members.text("environment", "prod"),
        route=members.text("route", ""),
        model=members.text("model", ""),
        outcome=_one_of(members, "outcome", OUTCOMES, "failed"),
        time=_one_of(members, "time", TIMES, "latency"),
        op=_op(members, kind, op),
        value=value if value is not None else (members.number("value") if members.has("value") else None),
        evaluation=members.text("evaluation", ""),
        labels=_labels(members),
        final_evaluation=members.text("finalEvaluation", ""),
        sampling=_share(members, "sampling", Fraction(1)),
        false_positive=_share(members, "falsePositive", Fraction(0)),
        false_negative=_share(members, "falseNegative", Fraction(0)),
        judge=members.text("judge", ""),
        probes=_one_of(members, "probes", PROBE_MODES, SEPARATE),
        probe_floor=_whole(members, "probeFloor", 0, 1_000_000),
        probe_weight=_share(members, "probeWeight", Fraction(1)),
        signal=_one_of(members, "signal", SIGNALS, "auto"),
        interval=_whole(members, "interval", 60, 86_400),
    )
    _check(members, found)
    return found if len(members.findings.errors) == before else None


def _check(members: Members, found: Measure) -> None:
    if found.kind in (LATENCY, FRESHNESS) and (found.value is None or found.value <= 0):
        members.wrong("value", "it must be above 0" if found.value is not None else "it is missing")
    if found.kind in (LATENCY, FRESHNESS) and found.op not in ("lte", "lt"):
        members.wrong("op", "it must be lte or lt: less time is better")
    if found.kind == QUALITY and (found.value is None) == (not found.labels):
        members.wrong("value", "exactly one of value (of the score) and labels (the good ones) is needed")
    if found.kind == QUALITY and found.labels and found.op:
        members.wrong("op", "labels have no order")
    if found.kind == VERDICT and not found.judge:
        members.wrong("judge", "it is missing: the name of a judge, such as quality.refusals")
    if found.probes == FLOOR and not found.probe_floor:
        members.wrong("probeFloor", "it is missing: to how many events probes fill up")
    if found.probes == MIXED and not found.probe_weight:
        members.wrong("probeWeight", "it must be above 0")
    if found.sampling == 0:
        members.wrong("sampling", "it must be above 0")
    if found.false_positive + found.false_negative >= 1:
        members.wrong("falsePositive", "with falseNegative it must be below 1: such a judge tells nothing")
    for name in _TEXTS:
        if len(getattr(found, name)) > 200:
            members.wrong(name, "it is longer than 200 characters")


def _one_of(members: Members, name: str, allowed: Mapping[str, str] | tuple[str, ...], default: str) -> str:
    value = members.text(name, default)
    if value not in allowed:
        members.wrong(name, f"{value!r} is none of {', '.join(allowed)}")
        return default
    return value


def _op(members: Members, kind: str, given: str) -> str:
    if members.has("labels") and not given and not members.has("op"):
        return ""
    value = given or members.text("op", THRESHOLDS.get(kind, ""))
    if value and value not in OPERATORS:
        members.wrong("op", f"{value!r} is none of {', '.join(OPERATORS)}")
        return THRESHOLDS.get(kind, "")
    return value


def _labels(members: Members) -> tuple[str, ...]:
    value = members.raw.get("labels")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        members.wrong("labels", "it must be a list of text")
        return ()
    return tuple(value)


def _share(members: Members, name: str, default: Fraction) -> Fraction:
    if not members.has(name):
        return default
    number = members.number(name)
    if number is None or not 0 <= number <= 1:
        if number is not None:
            members.wrong(name, "it must be from 0 to 1")
        return default
    return number


def _whole(members: Members, name: str, default: int, most: int) -> int:
    value = members.raw.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        members.wrong(name, f"it must be a whole number from 0 to {most}")
        return default
    return value
