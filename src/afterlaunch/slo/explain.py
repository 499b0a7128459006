"""Objectives to an answer a person or a program reads: windows, factors, dead pairs, rules. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from afterlaunch.slo import prometheus, sloth
from afterlaunch.slo.durations import Duration, percent, short, written
from afterlaunch.slo.openslo import reading, text
from afterlaunch.slo.openslo.objects import READY, Objective
from afterlaunch.slo.openslo.problems import Findings, Problem, Where
from afterlaunch.slo.pairs import Pair, dead_up_to, life, refusal, smallest_total

AlertWindows = tuple[Duration, tuple[Pair, ...]]


@dataclass(frozen=True)
class Explained:
    """`dead`: pairs that can never fire; then the answer is no."""

    slos: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    notices: list[Problem]
    errors: list[Problem]
    dead: int

    def as_document(self) -> dict[str, Any]:
        return {
            "slos": self.slos,
            "rules": {"groups": self.groups},
            "dead_pairs": self.dead,
            "notices": [one.as_document() for one in self.notices],
            "errors": [one.as_document() for one in self.errors],
        }


def windows_of(content: str, file: str, findings: Findings) -> AlertWindows | None:
    """The one document of a file of alert windows."""
    found = text.documents(content, file, findings)
    if len(found) != 1 and not findings.errors:
        findings.wrong(Where(file, 1), f"it must be one document of kind {sloth.WINDOWS}")
    return sloth.windows(found[0][1], found[0][0], findings) if len(found) == 1 else None


def explain(
    content: str, file: str, period: Duration | None = None, chosen: AlertWindows | None = None, join: bool = False
) -> Explained:
    """`period` is that of files that tell none (30 days); `chosen` windows replace the standard ones."""
    findings = Findings()
    length = chosen[0] if chosen else period or sloth.PERIOD
    found = text.documents(content, file, findings)
    foreign = [one for one in found if sloth.is_sloth(one[1])]
    read = reading.read([one for one in found if one not in foreign], findings, join=join)
    objectives = [*sloth.read(foreign, findings, length), *read.objectives]
    if not objectives and not findings.errors:
        findings.note(Where(file, 1), "there is no SLO in it")
    if findings.errors:
        return Explained([], [], findings.notices, findings.errors, 0)
    objectives = [_with(one, chosen, findings) for one in objectives]
    groups = []
    for one in objectives:
        try:
            groups += prometheus.groups(one)
        except prometheus.NotPrometheus as problem:
            findings.note(one.where, f"no rules for {one.name}: {problem}")
    slos = [slo(one) for one in objectives]
    dead = sum(pair["state"] == "dead" for one in slos for pair in one["pairs"])
    return Explained(slos, groups, findings.notices, findings.errors, dead)


def _with(objective: Objective, chosen: AlertWindows | None, findings: Findings) -> Objective:
    if chosen is None or objective.alerting.pairs is not None:
        return objective
    if chosen[0].seconds != objective.period.seconds:
        findings.note(objective.where, f"the windows are for {chosen[0]}, it has {objective.period.duration}")
        return objective
    return replace(objective, alerting=replace(objective.alerting, pairs=chosen[1]))


def slo(objective: Objective) -> dict[str, Any]:
    """Numbers are decimal strings, as they were meant; windows are durations."""
    return {
        "name": objective.name,
        "service": objective.service,
        "where": str(objective.where),
        "objective": written(objective.target),
        "error_budget": written(1 - objective.target),
        "period": str(objective.period.duration),
        "rolling": objective.period.rolling,
        "method": objective.method,
        "counts_known": objective.indicator.shape != READY,
        "pairs": [_pair(one, objective) for one in objective.pairs],
    }


def _pair(pair: Pair, objective: Objective) -> dict[str, Any]:
    target, period = objective.target, objective.period.seconds
    found, limit = life(pair, target, period), dead_up_to(pair.factor)
    out: dict[str, Any] = {
        "severity": pair.severity,
        "name": pair.name,
        "long": short(pair.long),
        "short": short(pair.short),
        "budget_share": written(pair.share(period)),
        "factor": written(pair.factor),
        "threshold": written(found.threshold),
        "state": found.state,
        "dead_up_to_objective": None if limit is None else written(limit),
        "one_bad_event_fires_below": smallest_total(pair.factor, target),
        "least_bad": pair.least_bad,
        "for": short(pair.hold) if pair.hold else "0m",
        "offer": None,
        "said": "",
    }
    if found.offer is not None:
        out["offer"] = {"factor": written(found.offer.factor), "budget_share": written(found.offer.share)}
        nearly = f"It fires only above {percent(found.threshold)}: nearly everything must fail."
        out["said"] = refusal(pair, target, period) if found.dead else nearly
    return out


def columns(slos: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Rows of a table: one per pair."""
    return [
        (
            f"{one['service']}/{one['name']}",
            one["objective"],
            f"{pair['severity']} {pair['name']}",
            pair["long"],
            pair["short"],
            pair["factor"],
            pair["threshold"],
            {"alive": "can fire", "nearly_dead": "nearly dead", "dead": "can never fire"}[pair["state"]],
        )
        for one in slos
        for pair in one["pairs"]
    ]
