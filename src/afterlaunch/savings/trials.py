"""The costs that a trial compares: two arms of one route over the same time, or one place before and after a day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from afterlaunch.contracts.labels import SHADOW_ARM
from afterlaunch.ground import clock
from afterlaunch.savings.answered import Answered
from afterlaunch.savings.facts import Place, answers_as
from afterlaunch.savings.gathering import score
from afterlaunch.savings.measuring import Costs
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.queries import Rollups, minute_of
from afterlaunch.telemetry.tiers import grain_of
from afterlaunch.telemetry.told_events import evaluated

TRIED = (SHADOW_ARM, "candidate")
BEFORE = timedelta(days=30)


def of_arms(place: Place, since: datetime, target: str) -> tuple[Costs, Costs, str]:
    """(baseline, the arm that is tried, its name). Of a swap, calls that `target` answered are tried; otherwise those
    of the place's own model, on both sides: a trial of another model says nothing about it."""
    found = _costs(since, clock.now(), _equals(place, "client", "system", "route"), ("arm", "model"), mirrored=True)
    own, tried_model = (place.model or "", target or place.model or "")
    baseline = [one for (arm, model), one in found.items() if arm == "baseline" and answers_as(model, own)]
    for name in TRIED:
        tried = [one for (arm, model), one in found.items() if arm == name and answers_as(model, tried_model)]
        if tried:
            return _merged(baseline), _merged(tried), name
    return _merged(baseline), Costs((), 0), ""


def answers_of_arms(place: Place, since: datetime, target: str) -> tuple[Answered, Answered]:
    """Of the calls that `of_arms` compares: how they ended. Of a swap, also what evaluations scored, which tell the
    model and not the arm."""
    equals = _equals(place, "client", "system", "route")
    rows = Rollups(minute_of(since), minute_of(clock.now()) + 1, None, equals, grain_of(())).sums(("arm", "model"))
    own, tried_model = place.model or "", target or place.model or ""
    scores = _scores(place, since) if target else {}
    baseline = _answered(rows, "baseline", own, scores)
    for name in TRIED:
        tried = _answered(rows, name, tried_model, scores)
        if tried.calls:
            return baseline, tried
    return baseline, Answered()


def _answered(
    rows: Sequence[Mapping[str, Any]], arm: str, model: str, scores: Mapping[tuple[str, str], list[float]]
) -> Answered:
    mine = [row for row in rows if row["arm"] == arm and answers_as(row["model"], model)]
    calls, failed, refused, truncated = (
        sum(row[name] for row in mine) for name in ("calls", "failed", "refused", "truncated")
    )
    tokens = sum(row[name] or 0 for row in mine for name in BUCKETS[6:])
    told: dict[str, list[float]] = defaultdict(list)
    for (metric, answered), values in scores.items():
        if answers_as(answered, model):
            told[metric] += values
    return Answered(calls, failed, refused, truncated, tokens, {name: score(values) for name, values in told.items()})


def _scores(place: Place, since: datetime) -> dict[tuple[str, str], list[float]]:
    """(evaluation, model) -> scores. A day is asked for at a time: an answer to one question is bounded."""
    out: dict[tuple[str, str], list[float]] = defaultdict(list)
    now = clock.now()
    begin = max(since, now - BEFORE)
    while begin < now:
        end = min(begin + timedelta(days=1), now)
        for one in evaluated(clock.to_ns(begin), clock.to_ns(end), clock.to_ns(now)):
            mine = (one.client, one.system, one.route) == (place.client, place.system, place.route)
            if mine and one.score is not None and one.model:
                out[one.name, one.model].append(one.score)
        begin = end
    return out


def before_and_after(place: Place, at: datetime, same_model: bool) -> tuple[Costs, Costs]:
    """`same_model`: only calls of the place's model; otherwise whatever its route and agent call."""
    names = ("client", "system", "route", "agent", *(("provider", "model") if same_model else ()))
    equals = _equals(place, *names)
    before = _costs(at - BEFORE, at, equals, (), mirrored=False)
    after = _costs(at, clock.now(), equals, (), mirrored=False)
    return _merged(list(before.values())), _merged(list(after.values()))


def _equals(place: Place, *names: str) -> dict[str, str | None]:
    return {name: getattr(place, name) for name in names}


def _costs(
    start: datetime, end: datetime, equals: Mapping[str, str | None], groups: tuple[str, ...], mirrored: bool
) -> dict[tuple[str | None, ...], Costs]:
    rollups = Rollups(minute_of(start), minute_of(end) + 1, None, equals, grain_of(()), mirrored=mirrored)
    sums = {tuple(row[name] for name in groups): row["cost_nano"] for row in rollups.sums(groups)}
    spread = rollups.profile(groups, (profiles.COST,))
    return {key: Costs(found.get(profiles.COST, []), sums.get(key, 0)) for key, found in spread.items()}


def _merged(costs: list[Costs]) -> Costs:
    steps: dict[int, int] = {}
    for one in costs:
        for step, count in one.steps:
            steps[step] = steps.get(step, 0) + count
    return Costs(sorted(steps.items()), sum(one.sum_nano for one in costs))
