"""Each judge of infrastructure: ok, warning, breach, not assessed, and how long it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from afterlaunch.estate.limits import in_force
from afterlaunch.infrastructure.rules import (
    Dependency,
    Throughput,
    above,
    cpu,
    database,
    gpu,
    gpu_memory,
    held,
    inference_queue,
    poisson_at_most,
    queue,
)
from afterlaunch.telemetry.signals.readings import Reading
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.words import Judge, Scope, Status, Targets, View

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = int(NOW.timestamp()) // 60


def points(*values: float | None, until: int = MINUTE) -> tuple[tuple[int, float], ...]:
    """The last minutes, the newest last; None: not known."""
    first = until - len(values) + 1
    return tuple((first + place, value) for place, value in enumerate(values) if value is not None)


def view(name: str, *values: float | None, limits: dict[str, Any] | None = None, **parts: Any) -> View:
    told = {part: points(*rows) for part, rows in parts.items()} or {"": points(*values)}
    return of({name: Reading("the_metric", {part: rows for part, rows in told.items() if rows})}, limits)


def of(readings: dict[str, Reading], limits: dict[str, Any] | None = None, recent: Window | None = None) -> View:
    moment = recent or Window(NOW - timedelta(minutes=1), NOW, {})
    scope = Scope("acme", "support", "prod", host="node-1")
    return View(scope, moment, moment, None, Targets(limits=in_force(limits or {})), {}, readings)


CASES: list[tuple[Judge, View, Status, str]] = [
    (cpu(), view("cpu", *[0.5] * 10), Status.OK, "within_limit"),
    (cpu(), view("cpu", *[0.81] * 5), Status.BREACH, "above_limit"),
    (cpu(), view("cpu", 0.5, *[0.81] * 5), Status.BREACH, "above_limit"),
    (cpu(), view("cpu", 0.5, *[0.81] * 4), Status.OK, "above_limit_briefly"),
    (cpu(), view("cpu", *[0.99] * 4), Status.NOT_ASSESSED, "too_short_yet"),
    (cpu(), view("cpu", *[0.81] * 4, 0.79, 0.81), Status.OK, "above_limit_briefly"),
    (cpu(), view("cpu", *[0.9] * 5, *[0.79] * 9), Status.BREACH, "above_limit_lately"),
    (cpu(), view("cpu", *[0.9] * 5, *[0.7] * 4), Status.BREACH, "above_limit_lately"),
    (cpu(), view("cpu", *[0.9] * 5, *[0.7] * 5), Status.OK, "within_limit"),
    (cpu(), view("cpu", *[0.9] * 20, *[None] * 6), Status.NOT_ASSESSED, "no_data_lately"),
    (cpu(), view("cpu", *[0.9] * 10, None, None, 0.9), Status.BREACH, "above_limit"),
    (cpu(), view("cpu", *[0.9] * 10, *[None] * 6, 0.9), Status.NOT_ASSESSED, "too_short_yet"),
    (cpu(), of({}), Status.NOT_ASSESSED, "no_data_lately"),
    (cpu(), view("cpu", *[0.85] * 9, limits={"cpu_above": 0.9}), Status.OK, "within_limit"),
    (cpu(), view("cpu", *[0.99] * 9, limits={"cpu_above": None}), Status.NOT_ASSESSED, "no_limit"),
    (cpu(), view("cpu", *[0.9] * 2, limits={"sustained_minutes": 2}), Status.BREACH, "above_limit"),
    (gpu(), view("gpu", *[0.6] * 9), Status.OK, "within_limit"),
    (gpu(), view("gpu", *[0.96] * 5), Status.BREACH, "above_limit"),
    (gpu(), view("gpu", 0.6, *[0.1] * 14), Status.OK, "within_limit"),
    (gpu(), view("gpu", 0.6, *[0.1] * 15), Status.WARNING, "below_limit"),
    (gpu(), view("gpu", *[0.1] * 9, limits={"gpu_below": None}), Status.OK, "within_limit"),
    (gpu(), view("gpu", a=[0.6] * 9, b=[0.99] * 9), Status.BREACH, "above_limit"),
    (gpu_memory(), view("gpu_memory", *[0.84] * 9), Status.OK, "within_limit"),
    (gpu_memory(), view("gpu_memory", *[0.86] * 9), Status.BREACH, "above_limit"),
    (inference_queue(), view("inference_queue", *[20] * 9), Status.OK, "within_limit"),
    (inference_queue(), view("inference_queue", *[21] * 9), Status.BREACH, "above_limit"),
    (queue(), view("queue", *[1e6] * 9), Status.NOT_ASSESSED, "no_limit"),
    (queue(), view("queue", *[1e6] * 9, limits={"queue_above": 1000}), Status.BREACH, "above_limit"),
    (queue(), view("queue", *[1e6] * 9, limits={"queue_above": 2e6}), Status.OK, "within_limit"),
    (database(), view("database", *[199.0] * 9), Status.OK, "within_limit"),
    (database(), view("database", *[201.0] * 9), Status.BREACH, "above_limit"),
    (Dependency(), view("up", node=[1] * 9, db=[1] * 9), Status.OK, "up"),
    (Dependency(), view("up", node=[1] * 9, db=[1] * 7 + [0] * 2), Status.BREACH, "down"),
    (Dependency(), view("up", node=[1] * 9, db=[1] * 8 + [0]), Status.WARNING, "down_briefly"),
    (Dependency(), view("up", node=[1] * 9, db=[0] * 8 + [1]), Status.WARNING, "back_lately"),
    (Dependency(), view("up", node=[1] * 9, db=[0] * 8 + [1] * 2), Status.OK, "up"),
    (Dependency(), view("up", node=[1] * 9 + [None] * 6), Status.NOT_ASSESSED, "no_data_lately"),
    (Dependency(), view("up", node=[1] * 9, gone=[0] * 3 + [None] * 6), Status.OK, "up"),
    (Dependency(), of({}), Status.NOT_ASSESSED, "no_data_lately"),
]


@pytest.mark.parametrize(
    ("judge", "seen", "status", "reason"), CASES, ids=[f"{c[0].name} {c[3]} {n}" for n, c in enumerate(CASES)]
)
def test_what_each_judge_finds(judge: Judge, seen: View, status: Status, reason: str) -> None:
    found = judge.assess(seen)
    assert (found.status, found.reason) == (status, reason), found.explanation
    assert found.judge == judge.name and found.explanation.endswith(".")


def window(minutes: int, calls: int, tokens: int = 0) -> Window:
    return Window(NOW - timedelta(minutes=minutes), NOW + timedelta(minutes=1), {}, calls=calls, output_tokens=tokens)


def sampled(told: Window) -> Window:
    return replace(
        told, calls_sampled=told.calls, calls_unsent_milli=9_000 * told.calls, output_unsent=9 * told.output_tokens
    )


CALLS = {"calls": Reading("calls")}
PER_MINUTE, PER_SECOND = {"calls_per_minute_below": 100}, {"tokens_per_second_below": 50}
RATES: list[tuple[View, Status, str]] = [
    (of(CALLS, PER_MINUTE, window(5, 500)), Status.OK, "target_met"),
    (of(CALLS, PER_MINUTE, window(5, 490)), Status.WARNING, "perhaps_below_target"),
    (of(CALLS, PER_MINUTE, window(5, 400)), Status.BREACH, "below_target"),
    (of(CALLS, PER_MINUTE, window(60, 0)), Status.BREACH, "below_target"),
    (of(CALLS, PER_SECOND, window(5, 500, 20_000)), Status.OK, "target_met"),
    (of(CALLS, PER_SECOND, window(5, 500, 10_000)), Status.BREACH, "below_target"),
    (of(CALLS, PER_MINUTE | PER_SECOND, window(5, 500, 10_000)), Status.BREACH, "below_target"),
    (of({"requests": Reading("vllm", {"": points(*[2.0] * 9)})}, PER_MINUTE), Status.OK, "target_met"),
    (of({"requests": Reading("vllm", {"": points(*[1.0] * 9)})}, PER_MINUTE), Status.BREACH, "below_target"),
    (of({"tokens": Reading("vllm", {"": points(60.0, *[40.0] * 2)})}, PER_SECOND), Status.OK, "below_target_briefly"),
    (of({"tokens": Reading("vllm", {"": points(*[40.0] * 2)})}, PER_SECOND), Status.NOT_ASSESSED, "too_short_yet"),
    (of({"requests": Reading("vllm", {"": points(*[2.0] * 9)})}, PER_SECOND), Status.NOT_ASSESSED, "no_data_lately"),
    (of(CALLS, {}, window(5, 500)), Status.NOT_ASSESSED, "no_target"),
    # one of ten traces is sent: what they stand for is the throughput, and what was sent tells how sure that is
    (of(CALLS, PER_MINUTE, sampled(window(5, 50, 2_000))), Status.OK, "target_met"),
    (of(CALLS, PER_MINUTE, sampled(window(5, 40))), Status.WARNING, "perhaps_below_target"),
    (of(CALLS, PER_MINUTE, sampled(window(5, 20))), Status.BREACH, "below_target"),
    (of(CALLS, PER_SECOND, sampled(window(5, 50, 2_000))), Status.OK, "target_met"),
]


@pytest.mark.parametrize(("seen", "status", "reason"), RATES)
def test_throughput_against_its_target(seen: View, status: Status, reason: str) -> None:
    found = Throughput().assess(seen)
    assert (found.status, found.reason) == (status, reason), found.explanation


def test_a_finding_says_which_part_and_for_how_long() -> None:
    found = gpu_memory().assess(view("gpu_memory", g0=[0.5] * 9, g1=[0.9] * 9, g2=[0.97] * 9))
    assert found.explanation == "GPU memory (g2) is at 97 %, above 85 % for 9 minutes; so is another."
    assert dict(found.evidence) == {"source": "the_metric", "minutes": 9, "part": "g2"}
    found = Dependency().assess(view("up", node=[1] * 9, db=[0] * 9))
    assert found.explanation == "1 of 2 do not answer: db, for 9 minutes."


@given(some.lists(some.one_of(some.none(), some.floats(0, 1)), max_size=31), some.integers(1, 6))
def test_nothing_is_broken_that_was_not_crossed_so_long(values: list[float | None], n: int) -> None:
    crossed, eased = above(0.8)
    rows = points(*values)
    found = held(rows, MINUTE, crossed, eased, n)
    longest = run = 0
    before = None
    for minute, value in rows:
        run = (run + (minute - before if before is not None and run else 1)) if crossed(value) else 0
        if before is not None and minute - before > 5:
            run = 1 if crossed(value) else 0
        longest, before = max(longest, run), minute
    if found.state == "broken":
        assert longest >= n
    if longest < n and rows and rows[-1][0] >= MINUTE - 5:
        assert found.state in ("well", "rising", "unknown")
    if not rows:
        assert found.state == "stale"


@pytest.mark.parametrize(
    ("count", "expected", "chance"),
    [(0, 5, 0.006738), (10, 10, 0.58304), (1900, 2000, 0.0125464), (980, 1000, 0.2698138), (2100, 2500, 1.06e-16)],
)
def test_the_chance_of_so_few_calls(count: int, expected: float, chance: float) -> None:
    assert poisson_at_most(count, expected) == pytest.approx(chance, rel=0.01)
