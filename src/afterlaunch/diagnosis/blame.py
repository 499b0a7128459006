"""Which component made a system worse, along the graph of who calls whom. Pure.

What is attributed is additive: seconds spent, or calls failed, per call of the target. What a component has more of
than before, where its own noise can't explain it, is handed down to the callees that have more of it too, in proportion
to theirs; what no callee explains is the component's own. So a slow database is blamed, not everybody who waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NOISE = 2.0  # standard errors that a component's excess must exceed
LEAST_NOISE = 0.05  # of its usual level: a few bins before the onset can't show less
LASTS = 0.5  # of the peak: so long does the trouble go on
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Measured:
    """Of one component, bin by bin: `calls`, and `amount` of what is attributed in all of them together (seconds, or
    failed calls). A bin without calls has 0 of both."""

    calls: Floats
    amount: Floats


@dataclass(frozen=True)
class Case:
    """`times`: Unix seconds at which the bins begin, each `step` long. `onset`: when the target became worse.
    `usual`: the same components at some healthy time, for their noise."""

    target: str
    measure: str
    times: Floats
    step: float
    onset: float
    calls: Mapping[str, Sequence[str]]
    components: Mapping[str, Measured]
    usual: Mapping[str, Measured] = field(default_factory=dict)


@dataclass(frozen=True)
class Blamed:
    """`share` of the target's deterioration is the component's own. `excess`: what it and what it calls have more of,
    per call of the target; `usual` and `now` likewise. `deviation`: the excess in standard errors. `path`: from the
    target."""

    component: str
    share: float
    own: float
    excess: float
    usual: float
    now: float
    deviation: float
    path: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """`reason`: blamed, not_worse (the target is not; components are ranked by their deviation) or one that has no
    rows: nothing_before, nothing_after. `first` and `last`: the bins that were compared with those before, or with the
    usual where there are none (`against`)."""

    reason: str
    excess: float = 0.0
    usual: float = 0.0
    against: str = "before"
    first: float | None = None
    last: float | None = None
    rows: tuple[Blamed, ...] = ()


def blame(case: Case) -> Verdict:
    """Rank the target and all that it calls, directly or not, by their own share of its deterioration."""
    levels = _levels(case.target, case.components)
    healthy = _levels(case.target, case.usual) if case.target in case.usual else {}
    before = case.times + case.step <= case.onset
    if before.all():
        return Verdict("nothing_after")
    if not before.any() and not healthy:
        return Verdict("nothing_before")
    usual = {
        name: float(level[before].mean() if before.any() else np.median(healthy.get(name, np.zeros(1))))
        for name, level in levels.items()
    }
    during = _during(levels[case.target] - usual[case.target], before)
    now = {name: float(level[during].mean()) for name, level in levels.items()}
    error = float(np.sqrt(1 / max(int(before.sum()), 1) + 1 / int(during.sum())))
    noise = {name: error * _noise(level[before], healthy.get(name), usual[name]) for name, level in levels.items()}
    more = {name: now[name] - usual[name] for name in levels}
    excess = {name: one if one > NOISE * noise[name] else 0.0 for name, one in more.items()}
    whole = now[case.target] - usual[case.target]
    order, paths = _reached(case)
    own = dict.fromkeys(order, 0.0)
    if whole > 0:
        own = _handed_down(case, order, excess | {case.target: whole})
    rows = [
        Blamed(
            name, own[name] / whole if whole > 0 else 0.0, own[name], now[name] - usual[name], usual[name], now[name],
            (now[name] - usual[name]) / noise[name] if noise[name] else 0.0, paths[name],
        )
        for name in order
    ]  # fmt: skip
    rows.sort(key=lambda row: (-row.share, -row.deviation, row.component))
    bins = case.times[during]
    return Verdict(
        "blamed" if whole > 0 else "not_worse",
        whole,
        usual[case.target],
        "before" if before.any() else "usual",
        float(bins[0]),
        float(bins[-1]),
        tuple(rows),
    )


def _levels(target: str, components: Mapping[str, Measured]) -> dict[str, Floats]:
    """Per call of the target, bin by bin."""
    wanted = np.maximum(components[target].calls, 1.0)
    return {name: one.amount / wanted for name, one in components.items()}


def _during(worse: Floats, before: Any) -> Any:
    """The bins of the trouble: the worst after the onset and those beside it that are at least half as bad."""
    after = np.where(before, -np.inf, worse)
    first = last = int(after.argmax())
    least = LASTS * after[first]
    while first > 0 and after[first - 1] > least:
        first -= 1
    while last + 1 < len(after) and after[last + 1] > least:
        last += 1
    chosen = np.zeros(len(after), bool)
    chosen[first : last + 1] = True
    return chosen


def _noise(before: Floats, healthy: Floats | None, usual: float) -> float:
    """How much a component goes up and down from bin to bin while all is well."""
    spread = float(before.std()) if len(before) > 1 else 0.0
    if healthy is not None:
        # 1.4826 times the median deviation is the standard deviation of a normal distribution.
        spread = max(spread, 1.4826 * float(np.median(np.abs(healthy - np.median(healthy)))))
    return max(spread, LEAST_NOISE * abs(usual))


def _reached(case: Case) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """(what the target reaches, callers before callees; how each is reached). A call back up closes no circle."""
    paths: dict[str, tuple[str, ...]] = {case.target: (case.target,)}
    ended: list[str] = []
    open_ = [(case.target, iter(case.calls.get(case.target, ())))]
    while open_:
        name, callees = open_[-1]
        for one in callees:
            if one in case.components and one not in paths:
                paths[one] = (*paths[name], one)
                open_.append((one, iter(case.calls.get(one, ()))))
                break
        else:
            ended.append(name)
            open_.pop()
    return ended[::-1], paths


def _handed_down(case: Case, order: Sequence[str], excess: Mapping[str, float]) -> dict[str, float]:
    """What stays with each component. One pass, callers first."""
    place = {name: number for number, name in enumerate(order)}
    need = dict.fromkeys(order, 0.0) | {case.target: excess[case.target]}
    own: dict[str, float] = {}
    for name in order:
        callees = {one for one in case.calls.get(name, ()) if place.get(one, -1) > place[name]}
        offers = {one: excess[one] for one in callees if excess[one] > 0}
        offered = sum(offers.values())
        scale = min(1.0, need[name] / offered) if offered else 0.0
        own[name] = need[name] - offered * scale
        for one, offer in offers.items():
            need[one] += offer * scale
    return own
