"""Counters of the gateway itself, in Prometheus text. Labels have few values: routes, arms, states, named reasons."""

from __future__ import annotations

from collections import Counter

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
    "spans_exported_total": "Own spans that the server has taken.",
    "spans_dropped_total": "Own spans lost, by reason.",
}
Labels = tuple[tuple[str, str], ...]


class Metrics:
    def __init__(self) -> None:
        self._counts: Counter[tuple[str, Labels]] = Counter()
        self._seconds: dict[Labels, float] = {}
        self.in_flight = 0

    def add(self, name: str, amount: int = 1, /, **labels: str) -> None:
        self._counts[name, tuple(labels.items())] += amount

    def call(self, route: str, arm: str, state: str, usage: str, seconds: float) -> None:
        labels = (("route", route), ("arm", arm), ("state", state), ("usage", usage))
        self._counts["calls_total", labels] += 1
        self._seconds[labels] = self._seconds.get(labels, 0.0) + seconds

    def tokens(self, route: str, arm: str, asked: int, answered: int) -> None:
        self._counts["tokens_total", (("route", route), ("arm", arm), ("kind", "input"))] += asked
        self._counts["tokens_total", (("route", route), ("arm", arm), ("kind", "output"))] += answered

    def text(self, gauges: dict[str, float]) -> bytes:
        """`gauges` are read at this moment by the caller."""
        lines: list[str] = []
        for name in dict.fromkeys(name for name, _ in self._counts):
            lines += _family(name, "counter", [(lb, v) for (n, lb), v in self._counts.items() if n == name])
        if self._seconds:
            lines += _family("call_seconds_total", "counter", list(self._seconds.items()))
        for name, value in {"in_flight": self.in_flight, **gauges}.items():
            lines += _family(name, "gauge", [((), value)])
        return ("\n".join(lines) + "\n").encode()


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
