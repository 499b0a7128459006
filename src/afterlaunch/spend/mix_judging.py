"""Judges whether the newest closed hour of each system is divided otherwise than is usual among models, routes, tenants
and agents: its calls, and what they cost. That they cost more is other judges' concern.

What a rollout moved from one arm to the other was meant, and warns only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from afterlaunch.look.formats import count, money, percent
from afterlaunch.spend.mix import ENOUGH, KNOWN, Moved, look, most
from afterlaunch.spend.mix_gathering import HOUR, PLACE, REST, Hours, Parts, divided
from afterlaunch.telemetry.queries import judged_stretches
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.models import Verdict
from afterlaunch.verdicts.words import Finding, Named, Scope, Status

LATENESS = timedelta(minutes=10)
BY_ROLLOUT = 0.5  # of the calls of what gained most, made by the candidate arm
DAY = 24
Evidence = dict[str, str | int | float | None]


@dataclass(frozen=True)
class Mix:
    name: str = "spend.mix"
    title: str = "Sudden change of mix"
    explanation: str = (
        "The calls of an hour, or their cost, are divided among models, routes, tenants or agents as in no usual hour."
    )
    severity: str = "P3"


MIX = Mix()
JUDGES = (MIX,)


def judge(now: datetime) -> None:
    """Every system with calls in the newest closed hour, or with a verdict. Each hour is looked at once."""
    end = (now - LATENESS).replace(minute=0, second=0, microsecond=0)
    told = Verdict.objects.filter(judge=MIX.name).values_list(*PLACE, "evidence")
    known = {(client, system, environment): evidence.get("hour") for client, system, environment, evidence in told}
    if end.isoformat() in known.values():
        return
    rows = judged_stretches([end - HOUR, end], PLACE)
    calls = {
        (row.key["client"] or "", row.key["system"] or "", row.key["environment"] or ""): row.calls for row in rows
    }
    found = divided(frozenset(place for place, number in calls.items() if number >= ENOUGH and place[1]), end)
    findings: list[tuple[Scope, Named, Finding]] = []
    for place in sorted({*known, *(one for one in calls if one[1])}):
        scope = Scope(*place)
        findings.append((scope, MIX, _assess(scope, calls.get(place, 0), found.get(place), end)))
    watch.write(findings, now)


def _assess(scope: Scope, calls: int, hours: Hours | None, end: datetime) -> Finding:
    told: Evidence = {"hour": end.isoformat()}
    if calls < ENOUGH or hours is None:
        said = f"{count(calls)} calls in the hour until {end:%H:%M} UTC; {ENOUGH} are needed to tell."
        return Finding(MIX.name, Status.NOT_ASSESSED, "too_few_calls", said, count=calls, evidence=told)
    if not hours.parts:
        said = "The calls tell neither model, route, tenant nor agent."
        return Finding(MIX.name, Status.NOT_ASSESSED, "nothing_told", said, count=calls, evidence=told)
    looks = [(parts, moved) for parts in hours.parts if (moved := look(parts.amounts, hours.calls)) is not None]
    if not looks:
        said = f"Fewer than {KNOWN} hours of the week before had {ENOUGH} calls: how they differ is not known yet."
        return Finding(MIX.name, Status.NOT_ASSESSED, "no_baseline", said, count=calls, evidence=told)
    parts, moved = max(looks, key=lambda one: one[1].distance / one[1].line)
    if not moved.sudden:
        told["dimension"], told["measure"] = parts.dimension, parts.measure
        said = f"{_of(parts)} of the hour until {end:%H:%M} UTC are divided much as usual: at most "
        said += f"{percent(moved.distance)} went elsewhere, of {parts.measure} by {parts.dimension};"
        said += f" the line is {percent(moved.line)}, from {moved.hours} hours."
        return Finding(MIX.name, Status.OK, "divided_as_usual", said, moved.distance, moved.line, "share", calls, told)
    return _changed(scope, parts, moved, calls, hours, looks, told)


def _changed(
    scope: Scope,
    parts: Parts,
    moved: Moved,
    calls: int,
    hours: Hours,
    looks: Sequence[tuple[Parts, Moved]],
    told: Evidence,
) -> Finding:
    gained, lost = most(moved.now, moved.before, parts.values)
    until = datetime.fromisoformat(str(told["hour"]))
    said = f"{percent(moved.distance)} of the {parts.measure} went elsewhere by {parts.dimension} in the hour until"
    said += f" {until:%H:%M} UTC; the line is {percent(moved.line)}, from {moved.hours} hours."
    said += f" {_share(parts, moved, gained)}; {_share(parts, moved, lost)}. {_total(hours)}"
    also = sorted({f"{one.measure} by {one.dimension}" for one, other in looks if other.sudden and one is not parts})
    if also:
        said += f" Divided otherwise as well: {', '.join(also)}."
    told |= {"dimension": parts.dimension, "measure": parts.measure}
    told |= {"gained": parts.values[gained], "gained_now": float(moved.now[gained])}
    told |= {"gained_before": float(moved.before[gained]), "lost": parts.values[lost]}
    told |= {"lost_now": float(moved.now[lost]), "lost_before": float(moved.before[lost])}
    status, reason = Status.BREACH, "mix_changed"
    if _by_rollout(scope, parts.dimension, parts.values[gained], until):
        status, reason = Status.WARNING, "moved_by_rollout"
        said += " The candidate arm of a rollout makes most of these calls."
    return Finding(MIX.name, status, reason, said, moved.distance, moved.line, "share", calls, told)


def _of(parts: Parts) -> str:
    return "The calls" if parts.measure == "calls" else "The costs"


def _share(parts: Parts, moved: Moved, place: int) -> str:
    name = parts.values[place]
    return f"{name}: {percent(float(moved.before[place]))} before, {percent(float(moved.now[place]))} now"


def _total(hours: Hours) -> str:
    """What the hour cost in all beside the mean hour of the day before."""
    costs = next((one.amounts.sum(axis=1) for one in hours.parts if one.measure == "cost"), None)
    if costs is None:
        return "What the hour cost is not known."
    now, before = int(costs[-1]), int(costs[-DAY - 1 : -1].mean())
    return f"In all the hour cost {money(now)}; an hour of the day before {money(before)} on average."


def _by_rollout(scope: Scope, dimension: str, value: str, until: datetime) -> bool:
    if value == REST:
        return False
    equals = {"system": scope.system, "environment": scope.environment, dimension: value}
    rows = judged_stretches([until - HOUR, until], ("arm",), frozenset([scope.client]), **equals)
    whole = sum(row.calls for row in rows)
    return whole > 0 and sum(row.calls for row in rows if row.key["arm"] == "candidate") >= whole * BY_ROLLOUT
