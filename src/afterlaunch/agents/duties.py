from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from afterlaunch.agents import gathering
from afterlaunch.agents.rules import JUDGES, LOOPS, RUNAWAY, Detail, Run
from afterlaunch.ground import clock
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.models import Verdict
from afterlaunch.verdicts.words import Finding, Named, Scope, Status

GOING = timedelta(minutes=5)
"""A run that was heard of within it goes on."""
Place = gathering.Place


def judge(now: datetime) -> None:
    """Every system in which agents ran lately."""
    found = gathering.runs(now)
    usual = gathering.usual(now) if found else {}
    tools = gathering.tools(now)
    since = clock.to_ns(now - GOING)
    by: dict[Place, list[Run]] = defaultdict(list)
    for run in found:
        by[run.place].append(run)
    findings: list[tuple[Scope, Named, Finding]] = []
    for place, runs in by.items():
        out = RUNAWAY.out_of_hand(runs, usual, since)
        detail = gathering.detail(out[0], now) if out else Detail()
        findings.append((Scope(*place), RUNAWAY, RUNAWAY.find(runs, usual, since, detail)))
    for place, told in tools.items():
        findings.append((Scope(*place), LOOPS, LOOPS.find(told.loops, told.runs, told.untold, since)))
    watch.write([*findings, *_quiet({(one.name, scope) for scope, one, _ in findings})], now)


def _quiet(told: set[tuple[str, Scope]]) -> list[tuple[Scope, Named, Finding]]:
    """Where nothing ran any more, the last word must not stand as the present."""
    out: list[tuple[Scope, Named, Finding]] = []
    for one in JUDGES:
        for row in Verdict.objects.filter(judge=one.name).exclude(status=Status.NOT_ASSESSED.value):
            scope = Scope(row.client, row.system, row.environment)
            if (one.name, scope) not in told:
                said = "Nothing ran within the last half hour."
                out.append((scope, one, Finding(one.name, Status.NOT_ASSESSED, "no_runs", said)))
    return out
