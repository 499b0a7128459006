"""What was: the burn-down of a budget over its period, and how often alerts would have come in the last 30 days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

import numpy as np

from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.slo import judged, periods, tallies
from afterlaunch.slo.burning import CountRule, Counts, budget_left
from afterlaunch.slo.counting import Group, fold
from afterlaunch.slo.definition import Definition
from afterlaunch.slo.durations import DAY, MINUTE
from afterlaunch.slo.events import slices
from afterlaunch.slo.measures import AVAILABILITY, LATENCY, VERDICT, Measure
from afterlaunch.slo.models import SloVersion, Tally
from afterlaunch.slo.pairs import PAGE, TICKET, Pair
from afterlaunch.slo.traffic import Bools, Ints, window_sums
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.queries import Rollups, minute_of
from afterlaunch.telemetry.tables import MINUTE_NS
from afterlaunch.telemetry.tiers import grain_of

BACK = 30 * DAY // MINUTE
HEALED = 10
"""An alert ends after so many quiet minutes; what fires again sooner is the same one."""
POINTS = 120
Row = tuple[int, int, int]


@dataclass(frozen=True)
class Point:
    """Of the budget at `at`: what the period had until then. `left` None: no events yet."""

    at: datetime
    total: float
    bad: float
    left: float | None


@dataclass(frozen=True)
class Backtest:
    """What 30 days would have brought. `alerts` None: it cannot be told, `why` says so. `days`: with events."""

    alerts: dict[str, int] | None
    total: int = 0
    bad: int = 0
    days: int = 0
    per_hour: float = 0.0
    why: str = ""

    @property
    def rate(self) -> Fraction | None:
        return Fraction(self.bad, self.total) if self.total else None

    @property
    def pages(self) -> int:
        return (self.alerts or {}).get(PAGE, 0)

    @property
    def tickets(self) -> int:
        return (self.alerts or {}).get(TICKET, 0)


def counted(client: str, measure: Measure, first: int, last: int, step: int) -> list[Row]:
    """(first minute, total, bad) of each step of so many minutes that holds a call."""
    equals = {"system": measure.system, "environment": measure.environment}
    equals |= {"route": measure.route} if measure.route else {}
    equals |= {"model": measure.model} if measure.model else {}
    rollups = Rollups(first, last, frozenset((client,)), equals, grain_of((first, step)), mirrored=False)
    sql = f"((minute - {first}) // {int(step)})"
    found: dict[int, list[tuple[Group, dict[str, int], dict[int, list[tuple[int, int]]]]]] = {}
    if measure.kind == LATENCY:
        for key, spread in rollups.profile(["service"], (profiles.LATENCY, profiles.TTFT), sql).items():
            found.setdefault(key[0], []).append((_group(key[1]), {}, spread))
    else:
        for row in rollups.sums(["service"], sql):
            found.setdefault(row["step"], []).append((_group(row["service"]), row, {}))
    anywhere = Measure(**{**vars(measure), "route": "", "model": ""})
    out = []
    for number, groups in sorted(found.items()):
        (total, bad), _ = fold(groups, anywhere)
        if total > 0:
            out.append((first + number * step, total, min(max(0, bad), total)))
    return out


def _group(service: str | None) -> Group:
    return (None, None, None, None, None, service)


def burn_down(version: SloVersion, now: datetime) -> list[Point]:
    """About 120 points over the present period."""
    definition = version.definition
    begins, _ = periods.bounds(definition.period, now)
    first, end = minute_of(begins), minute_of(now) + 1
    step = _step(first, end)
    first = first // step * step
    rows = _rows(version, first, end, step)
    if rows and (end - min(rows)[0]) * 4 < end - first:  # it is much younger than its period
        first = min(rows)[0]
        step = _step(first, end)
        first = first // step * step
        rows = _rows(version, first, end, step)
    points, total, bad = [], Fraction(0), Fraction(0)
    by_step: dict[int, list[Row]] = {}
    for row in rows:
        by_step.setdefault((row[0] - first) // step, []).append(row)
    for number in range(-(-(end - first) // step)):
        for _, more, wrong in by_step.get(number, ()):
            total, bad = total + more, bad + wrong
        until = min(end, first + (number + 1) * step)
        counts = _sliced(definition, by_step, number, until - first, total, bad)
        left = budget_left(counts, definition.target)
        at = clock.from_ns(until * MINUTE_NS)
        points.append(Point(at, float(counts.total), float(counts.bad), None if left is None else float(left)))
    return points


def _step(first: int, end: int) -> int:
    """Minutes: tens, or whole hours where that is fine enough, since hours are added up already."""
    wanted = -(-(end - first) // POINTS)
    return -(-wanted // 60) * 60 if wanted > 30 else max(10, -(-wanted // 10) * 10)


def _sliced(
    definition: Definition,
    rows: dict[int, list[Row]],
    number: int,
    minutes: int,
    total: Fraction,
    bad: Fraction,
) -> Counts:
    """Slices of time are of the expected ones."""
    if not definition.slice_length:
        return Counts.of(total, bad)
    told = [Counts.of(row[1], row[2]) for step in range(number + 1) for row in rows.get(step, ())]
    return slices(told, minutes * MINUTE // definition.slice_length, definition.slice_target)


def _rows(version: SloVersion, first: int, end: int, step: int) -> list[Row]:
    definition, measure = version.definition, version.definition.measure
    if measure.kind == VERDICT:
        return judged.buckets(version, first, end)
    if measure.kind in (AVAILABILITY, LATENCY):
        size = definition.slice_length // MINUTE or step
        return counted(version.slo.client.slug, measure, first, end, size)
    kept = Tally.objects.filter(version=version, minute__gte=first).values_list("minute", "total", "bad")
    recent = tallies.recent(version, clock.from_ns(end * MINUTE_NS))
    return [*kept, *((start, total, bad) for start, total, bad, _, _ in recent)]


def backtest(client: Client, definition: Definition, now: datetime) -> Backtest:
    """As if this had been in force for 30 days: minute by minute, every pair and count rule."""
    measure, end = definition.measure, minute_of(now) + 1
    first = end - BACK
    if definition.sliced or measure.kind not in (AVAILABILITY, LATENCY):
        return Backtest(None, why="Only events of calls are played back; this one begins to count when it is made.")
    rows = counted(client.slug, measure, first, end, 1)
    if not rows:
        return Backtest(None, why=f"No call of {measure.where()} was told in the last 30 days.")
    total, bad = np.zeros((1, BACK), np.int64), np.zeros((1, BACK), np.int64)
    for minute, many, wrong in rows:
        total[0, minute - first], bad[0, minute - first] = many, wrong
    fires: dict[str, Bools] = {severity: np.zeros(BACK, bool) for severity in (PAGE, TICKET)}
    for pair in definition.pairs_at(now):
        fires[pair.severity] |= _pair(pair, definition.target, total, bad)
    for rule in definition.counts:
        fires[rule.severity] |= _rule(rule, total, bad)
    days = len({(minute - first) * MINUTE // DAY for minute, _, _ in rows})
    many, wrong = int(total.sum()), int(bad.sum())
    hours = (end - rows[0][0]) / 60
    return Backtest({one: episodes(told) for one, told in fires.items()}, many, wrong, days, many / max(1.0, hours))


def _pair(pair: Pair, target: Fraction, total: Ints, bad: Ints) -> Bools:
    line = pair.threshold(target).limit_denominator(10**9)
    out = np.ones(total.shape[1], bool)
    for window in (pair.long, pair.short):
        wrong, many = (window_sums(values, window // MINUTE)[0] for values in (bad, total))
        out &= wrong * line.denominator > line.numerator * many
        out &= wrong >= (pair.least_bad if window == pair.long else 0)
    return out


def _rule(rule: CountRule, total: Ints, bad: Ints) -> Bools:
    wrong, many = (window_sums(values, rule.window // MINUTE)[0] for values in (bad, total))
    fires: Bools = (wrong >= rule.least_bad) & (wrong * rule.share.denominator >= rule.share.numerator * many)
    return fires


def episodes(fires: Sequence[bool] | Bools) -> int:
    """How many alerts: runs of minutes that fire, those with less than ten quiet minutes between them as one."""
    at = np.flatnonzero(np.asarray(fires))
    return int(1 + (np.diff(at) > HEALED).sum()) if len(at) else 0
