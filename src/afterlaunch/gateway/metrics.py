"""Counters of the gateway itself, in Prometheus text. Labels have few values: routes, arms, states, named reasons."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson

_HELP = {
    "calls_total": "Calls by how they ended and whether their usage is known.",
    "call_seconds_total": "Time of calls, from the request to the last byte.",
    "tokens_total": "Tokens that providers reported exactly.",
    "refusals_total": "Calls refused by the gateway, by named reason.",
    "unassigned_total": "Calls on a route with a candidate that carried no unit.",
    "usage_unknown_total": "Calls without known usage, by reason.",
    "attempts_failed_total": "Requests to upstreams that another one followed, by upstream and error.",
    "fallbacks_total": "Calls that another upstream than their arm's served.",
    "drains_total": "Answers that were read on after their caller had left, by how that ended.",
    "budget_refusals_total": "Calls that a hard budget refused, by budget.",
    "budget_would_refuse_total": "Calls that a budget in observe mode would have refused.",
    "budget_unpriced_total": "Calls that a budget in money let pass uncounted, since nobody has priced their model.",
    "budget_unconfirmed_total": "Reservations that nobody settled in time: charged as reserved.",
    "budget_store_failures_total": "Times that budgets could not be counted.",
    "guard_matched_total": "Calls in which a guard policy matched, by policy and what was done.",
    "guard_exceptions_total": "Guard checks that could not be made, by policy and reason.",
    "shadow_mirrored_total": "Copies of calls that were sent to a shadow, by how they ended.",
    "shadow_dropped_total": "Calls of a shadow's share that were not mirrored, by reason.",
    "spans_exported_total": "Own spans that the server has taken.",
    "spans_dropped_total": "Own spans lost, by reason.",
}
Labels = tuple[tuple[str, str], ...]


class _Calls:
    """That ended alike: how many, their seconds, the tokens that they asked and that were answered."""

    __slots__ = ("answered", "asked", "calls", "seconds")

    def __init__(self) -> None:
        self.calls, self.seconds, self.asked, self.answered = 0, 0.0, 0, 0


class Metrics:
    """`file`: where this worker's counts lie for the others; they go on from there when it is replaced."""

    def __init__(self, file: Path | None = None) -> None:
        self._counts: Counter[tuple[str, Labels]] = Counter()
        self._seconds: dict[Labels, float] = {}
        self._calls: dict[tuple[str, str, str, str], _Calls] = {}  # not in the counts yet, by route, arm, state, usage
        self._file = file
        self.in_flight = 0
        if file is not None and file.exists():
            self._counts, self._seconds, _ = _load(file)

    def share(self) -> None:
        """Called about once a second."""
        self._fold()
        if self._file is not None:
            counts = [[name, labels, count] for (name, labels), count in self._counts.items()]
            document = {"counts": counts, "seconds": list(self._seconds.items()), "in_flight": self.in_flight}
            temporary = self._file.with_suffix(".tmp")
            temporary.write_bytes(orjson.dumps(document))
            temporary.replace(self._file)

    def _of_all(self) -> tuple[Counter[tuple[str, Labels]], dict[Labels, float], int]:
        """With those of the other workers, as they were up to a second ago."""
        self._fold()
        counts, seconds, in_flight = Counter(self._counts), dict(self._seconds), self.in_flight
        others = self._file.parent.glob("*.json") if self._file is not None else ()
        for file in others:
            if file != self._file:
                more, longer, flying = _load(file)
                counts.update(more)
                in_flight += flying
                for labels, took in longer.items():
                    seconds[labels] = seconds.get(labels, 0.0) + took
        return counts, seconds, in_flight

    def add(self, name: str, amount: int = 1, /, **labels: str) -> None:
        self._counts[name, tuple(labels.items())] += amount

    def call(
        self, route: str, arm: str, state: str, usage: str, seconds: float, asked: int = 0, answered: int = 0
    ) -> None:
        """`asked`, `answered`: tokens that the provider told."""
        key = (route, arm, state, usage)
        found = self._calls.get(key)
        if found is None:
            found = self._calls[key] = _Calls()
        found.calls += 1
        found.seconds += seconds
        found.asked += asked
        found.answered += answered

    def _fold(self) -> None:
        """Into the counts, what has ended since."""
        calls, self._calls = self._calls, {}
        for (route, arm, state, usage), one in calls.items():
            where = (("route", route), ("arm", arm))
            labels = (*where, ("state", state), ("usage", usage))
            self._counts["calls_total", labels] += one.calls
            self._seconds[labels] = self._seconds.get(labels, 0.0) + one.seconds
            if usage == "exact":
                self._counts["tokens_total", (*where, ("kind", "input"))] += one.asked
                self._counts["tokens_total", (*where, ("kind", "output"))] += one.answered

    def text(self, gauges: dict[str, float]) -> bytes:
        """`gauges` are read at this moment by the caller."""
        lines: list[str] = []
        counts, seconds, in_flight = self._of_all()
        for name in dict.fromkeys(name for name, _ in counts):
            lines += _family(name, "counter", [(lb, v) for (n, lb), v in counts.items() if n == name])
        if seconds:
            lines += _family("call_seconds_total", "counter", list(seconds.items()))
        for name, value in {"in_flight": in_flight, **gauges}.items():
            lines += _family(name, "gauge", [((), value)])
        return ("\n".join(lines) + "\n").encode()


def _load(file: Path) -> tuple[Counter[tuple[str, Labels]], dict[Labels, float], int]:
    try:
        found = orjson.loads(file.read_bytes())
    except FileNotFoundError:  # the worker is just being replaced
        return Counter(), {}, 0
    counts = Counter({(name, _labels_of(labels)): count for name, labels, count in found["counts"]})
    return counts, {_labels_of(labels): took for labels, took in found["seconds"]}, found["in_flight"]


def _labels_of(raw: list[list[str]]) -> Labels:
    return tuple((name, value) for name, value in raw)


def _family(name: str, kind: str, rows: list[tuple[Labels, float]]) -> list[str]:
    full = f"afterlaunch_gateway_{name}"
    head = [f"# HELP {full} {_HELP[name]}"] if name in _HELP else []
    return [*head, f"# TYPE {full} {kind}", *(f"{full}{_labels(labels)} {value!r}" for labels, value in rows)]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    quoted = (
        f'{k}="{v}"'
        for k, v in ((k, v.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for k, v in labels)
    )
    return "{" + ",".join(quoted) + "}"
