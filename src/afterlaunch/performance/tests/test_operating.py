"""Overrides, late predictions, and two versions side by side."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from afterlaunch.performance import comparing, operating, tally
from afterlaunch.performance.crossing import Coded, Said
from afterlaunch.performance.tally import Classified, Tally

TWO = ["0", "1"]
AT = datetime(2026, 3, 3, tzinfo=UTC)


def decided(seed: int, rates: tuple[float, ...] = (0.1, 0.1), n: int = 1_500) -> Tally:
    """Operators that put the other class in the place of so many outputs."""
    random = np.random.default_rng(seed)
    output = random.integers(0, 2, n)
    said = []
    for at, rate in enumerate(rates):
        rows = np.arange(at, n, len(rates))
        told = np.where(random.random(len(rows)) < rate, 1 - output[rows], output[rows])
        said.append(Said(f"operator:o{at}", rows, Coded(TWO, told)))
    none = np.full(n, np.nan)
    return tally.classified(Classified(Coded(TWO, output), Coded(TWO, output), none, none, said=tuple(said)))


def test_operators_that_compensate_for_the_model_are_seen() -> None:
    base = decided(1)
    quiet = [decided(100 + at, n=60) for at in range(48)]
    assert operating.overrides(base, quiet, tally.total(quiet[-24:])).status == "ok"
    more = [decided(200 + at, (0.3, 0.3), n=60) for at in range(24)]
    found = operating.overrides(base, quiet + more, tally.total(more))
    assert found.status == "breach" and found.value == pytest.approx(0.3, abs=0.04)
    one = decided(7, (0.02, 0.2))
    assert operating.overrides(base, [], one).reason == "one_apart" and "o1 (" in operating.overrides(base, [], one).why
    assert operating.overrides(Tally(), [], Tally()).reason == "no_operators"
    assert operating.overrides(Tally(), [], base).reason == "no_baseline"


def timed(seed: int, n: int, late: float = 0.0) -> Tally:
    random = np.random.default_rng(seed)
    told = random.uniform(10, 90, n)
    told[: round(late * n)] = 250.0
    found = Tally(rows=n)
    found.latency = tally.latency_cells(told)
    return tally.unpack(tally.pack(found))


def test_p99_is_judged_by_counts_of_the_late() -> None:
    hours = [timed(at, 400) for at in range(24)]
    assert operating.latency(hours, tally.total(hours), 100.0).status == "ok"
    assert operating.latency(hours, tally.total(hours), None).reason == "no_target"
    slow = [timed(50 + at, 400, late=0.05) for at in range(12)]
    found = operating.latency(hours + slow, tally.total(slow), 100.0)
    assert found.status == "breach" and found.value is not None and found.value > 200
    assert operating.latency([], timed(1, 298), 100.0).reason == "too_few"
    assert operating.latency([], Tally(rows=500), 100.0).reason == "no_latency"


def test_p99s_interval_holds_the_truth() -> None:
    held = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        found = Tally()
        found.latency = tally.latency_cells(random.exponential(100.0, 2_000))
        low, _, high = operating.p99(found)
        held += low / 1.01 <= 100 * np.log(100) <= high
    assert held / 300 >= 0.93


def test_time_outs_are_late_and_never_missing() -> None:
    found = Tally()
    found.latency = tally.latency_cells(np.array([10.0] * 380 + [-1.0] * 20 + [np.nan] * 100))
    assert operating.later(found, 50.0) == (20, 400)
    judged = operating.latency([found], found, 50.0)
    assert judged.status in ("breach", "warning") and "a time-out" in judged.why and judged.value is None


def test_the_tail_of_a_binomial() -> None:
    assert operating.binomial_tail(0, 10, 0.5) == pytest.approx(1.0)
    assert operating.binomial_tail(9, 10, 0.5) == pytest.approx(11 / 1024)


def version(hour: int, wrong: float, seed: int, n: int = 60) -> Tally:
    """Some hours are harder for every version."""
    random = np.random.default_rng([seed, hour])
    truth = random.integers(0, 2, n)
    hard = 0.3 * (hour % 3 == 0)
    output = np.where(random.random(n) < wrong + hard, 1 - truth, truth)
    none = np.full(n, np.nan)
    return tally.classified(Classified(Coded(TWO, output), Coded(TWO, truth), none, none))


def test_versions_are_compared_on_the_same_hours() -> None:
    hours = {at: AT + timedelta(hours=at) for at in range(48)}
    old = {at: version(number, 0.2, 1) for number, at in hours.items()}
    # the challenger answers hard hours more often: only within hours does it show that it is better
    new = {at: version(number, 0.1, 2, n=120 if number % 3 == 0 else 20) for number, at in hours.items()}
    found = comparing.compare(old, new)
    assert found.verdict == "better" and found.difference == pytest.approx(-0.1, abs=0.04) and found.hours == 48
    alike = 0
    for seed in range(60):
        other = {at: version(number, 0.2, 10 + seed) for number, at in hours.items()}
        alike += comparing.compare(old, other).verdict == "no_difference_found"
    assert alike >= 52
    assert comparing.compare(old, {}).verdict == "not_assessed"
