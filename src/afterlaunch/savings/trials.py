"""The costs that a trial compares: two arms of one route over the same time, or one place before and after a day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from afterlaunch.ground import clock
from afterlaunch.savings.facts import Place
from afterlaunch.savings.measuring import Costs
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.queries import Rollups, minute_of

TRIED = ("shadow", "candidate")
BEFORE = timedelta(days=30)


def of_arms(place: Place, since: datetime, target: str) -> tuple[Costs, Costs, str]:
    """(baseline, the arm that is tried, its name); of a swap only calls that the other model answered are tried."""
    equals = _equals(place, "client", "system", "route")
    found = _costs(since, clock.now(), equals, ("arm", "model"))
    baseline = _merged([one for (arm, _), one in found.items() if arm == "baseline"])
    for name in TRIED:
        tried = [one for (arm, model), one in found.items() if arm == name and (not target or model == target)]
        if tried:
            return baseline, _merged(tried), name
    return baseline, Costs((), 0), ""


def before_and_after(place: Place, at: datetime, same_model: bool) -> tuple[Costs, Costs]:
    """`same_model`: only calls of the place's model; otherwise whatever its route and agent call."""
    names = ("client", "system", "route", "agent", *(("provider", "model") if same_model else ()))
    equals = _equals(place, *names)
    before = _costs(at - BEFORE, at, equals, ())
    after = _costs(at, clock.now(), equals, ())
    return _merged(list(before.values())), _merged(list(after.values()))


def _equals(place: Place, *names: str) -> dict[str, str | None]:
    return {name: getattr(place, name) for name in names}


def _costs(
    start: datetime, end: datetime, equals: Mapping[str, str | None], groups: tuple[str, ...]
) -> dict[tuple[str | None, ...], Costs]:
    rollups = Rollups(minute_of(start), minute_of(end) + 1, None, equals, grain=1)
    sums = {tuple(row[name] for name in groups): row["cost_nano"] for row in rollups.sums(groups)}
    spread = rollups.profile(groups, (profiles.COST,))
    return {key: Costs(found.get(profiles.COST, []), sums.get(key, 0)) for key, found in spread.items()}


def _merged(costs: list[Costs]) -> Costs:
    steps: dict[int, int] = {}
    for one in costs:
        for step, count in one.steps:
            steps[step] = steps.get(step, 0) + count
    return Costs(sorted(steps.items()), sum(one.sum_nano for one in costs))
