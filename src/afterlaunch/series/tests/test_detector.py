"""What a detector of one series promises: causal, restartable, quiet on nothing, awake to something."""

from __future__ import annotations

import random
from math import pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from afterlaunch.ground.errors import Invalid
from afterlaunch.series.budget import AT_ONE_A_WEEK, Budget, allowed, threshold
from afterlaunch.series.detector import Detector, Judged
from afterlaunch.series.scoring import resumed, saved
from afterlaunch.series.trend import trends

HOUR = 3600.0


def judge(values: list[float], step: float = 300.0, detector: Detector | None = None) -> list[Judged]:
    detector = detector or Detector()
    return [detector.see(i * step, value) for i, value in enumerate(values)]


def noise(n: int, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [100 + rng.gauss(0, 5) for _ in range(n)]


def rhythm(days: int, growth: float = 0.0, seed: int = 2) -> list[float]:
    """By the hour; higher by day, lower at weekends, growing by so much a day."""
    rng = random.Random(seed)
    out = []
    for hour in range(days * 24):
        day = hour // 24
        height = (100 + 80 * sin((hour % 24 - 6) / 24 * 2 * pi)) * (0.5 if day % 7 >= 5 else 1)
        out.append(height * (1 + growth) ** day * (1 + rng.gauss(0, 0.03)))
    return out


def test_scores_of_a_beginning_are_the_beginning_of_the_scores() -> None:
    values = noise(900)
    whole = judge(values)
    for cut in (1, 151, 500, 899):
        assert judge(values[:cut]) == whole[:cut]


@settings(max_examples=8, deadline=None)
@given(some.integers(0, 600), some.integers(0, 2**32))
def test_a_restored_detector_goes_on_as_if_it_never_stopped(cut: int, seed: int) -> None:
    rng = random.Random(seed)
    values = [rng.choice([rng.gauss(0, 1), rng.expovariate(0.1), 0.0]) for _ in range(600)]
    whole = judge(values, 3600.0)
    first = Detector()
    begun = [first.see(i * 3600.0, value) for i, value in enumerate(values[:cut])]
    second = resumed(saved(first))
    assert saved(second) == saved(first)
    assert begun + [second.see((cut + i) * 3600.0, value) for i, value in enumerate(values[cut:])] == whole


def test_a_spike_alerts_once() -> None:
    values = noise(2000)
    for i in range(1500, 1510):
        values[i] += 200
    told = judge(values)
    assert [i for i, one in enumerate(told) if one.alert] == [1500]
    assert told[1500].why in ("value", "move")


def test_a_drop_to_zero_alerts() -> None:
    values = noise(1500)
    values[1200:1300] = [0.0] * 100
    assert any(one.alert for one in judge(values)[1200:1205])


def test_a_value_that_is_stuck_alerts() -> None:
    values = noise(2000)
    values[1500:1600] = [100.0] * 100
    assert "stuck" in [one.why for one in judge(values)[1500:1600] if one.alert]


def test_while_learning_nothing_is_told() -> None:
    told = judge([1.0] * 100 + [1000.0] * 30)
    assert {one.state for one in told} == {"learning"}
    assert not any(one.alert for one in told)


def test_a_daily_and_weekly_rhythm_raises_no_alarm_after_two_weeks() -> None:
    assert not [i for i, one in enumerate(judge(rhythm(70), HOUR)) if one.alert and i > 14 * 24]


def test_slow_growth_is_a_trend_and_no_anomaly() -> None:
    """One alarm in seventeen weeks is a seventeenth of the budget."""
    detector = Detector()
    told = judge(rhythm(120, growth=0.01), HOUR, detector)
    assert len([i for i, one in enumerate(told) if one.alert and i > 14 * 24]) <= 1
    assert detector.season_told() in ("day", "week")
    (found,) = trends(detector.levels)
    assert found.change > 1


def test_a_missing_peak_of_the_day_alerts_though_its_values_are_usual() -> None:
    values = rhythm(60)
    noon = 50 * 24 + 12
    values[noon - 3 : noon + 3] = [45.0] * 6
    assert any(one.alert for one in judge(values, HOUR)[noon - 3 : noon + 4])


def test_a_constant_series_is_silent() -> None:
    assert not any(one.score for one in judge([45.0] * 1000))


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_missing_value_has_no_score_and_leaves_no_trace(value: float | None) -> None:
    detector = Detector()
    judge(noise(300), 300.0, detector)
    before = saved(detector)
    assert detector.see(90_000.0, value).state == "missing"
    assert saved(detector) == before


def test_a_clock_that_goes_back_moves_nothing_back() -> None:
    detector = Detector()
    judge(noise(700), 300.0, detector)
    last = detector.last
    assert detector.see(0.0, 100.0).state == "judged"
    assert detector.last == last


def test_a_smaller_budget_asks_for_more() -> None:
    assert threshold(0.1) > threshold(1) == AT_ONE_A_WEEK > threshold(10)
    with pytest.raises(Invalid):
        Detector(0)


def test_as_many_alerts_as_surely_exceed_the_budget_raise_the_threshold() -> None:
    budget = Budget(1.0)
    told = [budget.judge(i * 3600.0, 0.4) for i in range(20)]
    assert sum(told) == allowed(1.0) + 1
    assert budget.raised == 0.4
    assert budget.judge(21 * 3600.0, 0.5)


def test_the_state_stays_small() -> None:
    detector = Detector()
    judge(rhythm(200), HOUR, detector)
    assert len(saved(detector)) < 65_536


@pytest.mark.parametrize("told", ["{}", "[]", "{", '{"version": 1}', '{"version": 99}'])
def test_a_damaged_state_is_refused(told: str) -> None:
    with pytest.raises(Invalid):
        resumed(told.encode())


@pytest.mark.parametrize(("keeps", "most"), [(1.0, 1.6), (0.99, 2.1), (0.9, 1.9), (0.0, 1.6)])
def test_series_that_wander_without_end_keep_to_their_budget(keeps: float, most: float) -> None:
    """Four weeks at five minutes, one false alert a week; random walks and slow wanderers gave 2.5 to 3.2."""
    drawn = np.random.default_rng(5)
    alerts, wanders = 0, 0
    for _ in range(8):
        value, detector = 0.0, Detector()
        for at, step in enumerate(drawn.normal(size=8_064).tolist()):
            value = keeps * value + step
            alerts += detector.see(300.0 * at, value).alert
        wanders += detector.wandering.wanders
    assert alerts / 8 / 3.7 <= most
    assert wanders >= 6 if keeps > 0.95 else wanders == 0
