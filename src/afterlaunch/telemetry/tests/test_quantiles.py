from __future__ import annotations

import random
from math import comb

import pytest

from afterlaunch.telemetry.quantiles import CHANCE, of_histogram, surely_above


def tail(calls: int, least: int, share: float) -> float:
    return sum(comb(calls, n) * share**n * (1 - share) ** (calls - n) for n in range(least, calls + 1))


@pytest.mark.parametrize("calls", [1, 2, 20, 57, 300, 900])
@pytest.mark.parametrize("quantile", [0.95, 0.99])
def test_the_bound_is_the_exact_binomial_tail(calls: int, quantile: float) -> None:
    least = surely_above(calls, quantile)
    assert tail(calls, least, 1 - quantile) < CHANCE
    assert tail(calls, least - 1, 1 - quantile) >= CHANCE


def test_the_bound_goes_over_into_the_normal_one_without_a_step() -> None:
    before, after = surely_above(7_999, 0.95), surely_above(8_001, 0.95)
    assert abs(after - before) <= 3


def test_quantiles_of_a_histogram() -> None:
    found = of_histogram([10.0, 20.0, 30.0], [90, 8, 2])
    assert (found.p50, found.p95, found.p99) == (10.0, 20.0, 30.0)
    assert found.p95_low == 10.0  # 10 of 100 calls above 10 ms may be chance
    assert of_histogram([5.0], [1]).p99_low == 0.0  # one call proves nothing


def test_steady_traffic_is_hardly_ever_above_its_own_quantile() -> None:
    """Over 2,000 looks at 60 calls each, the lower bound passes the true p95 about as seldom as promised."""
    chance, above = random.Random(3), 0
    for _ in range(2_000):
        values = sorted(chance.random() for _ in range(60))
        above += of_histogram(values, [1] * 60).p95_low > 0.95
    assert above <= 8
