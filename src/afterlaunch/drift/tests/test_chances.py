"""Tails against published tables and identities."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from afterlaunch.drift import chances
from afterlaunch.drift.statistics import chi2_threshold


@pytest.mark.parametrize(
    ("df", "value", "tail"),
    # Upper critical values of the chi-square distribution (NIST/SEMATECH handbook, 1.3.6.7.4).
    [(1, 3.841, 0.05), (1, 10.828, 0.001), (2, 5.991, 0.05), (9, 16.919, 0.05), (9, 21.666, 0.01), (50, 67.505, 0.05),
     (99, 123.225, 0.05), (100, 149.449, 0.001)],
)  # fmt: skip
def test_chi_square_tails_are_those_of_the_tables(df: int, value: float, tail: float) -> None:
    assert chances.chi2_tail(value, df) == pytest.approx(tail, rel=2e-3)
    assert chi2_threshold(tail, df) == pytest.approx(value, abs=2e-3)


@pytest.mark.parametrize(
    ("t", "tail"), [(1.2238, 0.10), (1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001), (0.8276, 0.5)]
)
def test_kolmogorov_tails_are_those_of_the_tables(t: float, tail: float) -> None:
    assert chances.kolmogorov_tail(t) == pytest.approx(tail, rel=1e-3)


def test_kolmogorovs_two_series_agree_where_they_meet() -> None:
    assert chances.kolmogorov_tail(1 - 1e-9) == pytest.approx(chances.kolmogorov_tail(1 + 1e-9), rel=1e-6)
    assert chances.kolmogorov_tail(0.0) == chances.kolmogorov_tail(-1) == 1.0


@pytest.mark.parametrize(("df", "shift"), [(1, 0.5), (9, 5.0), (9, 500.0), (30, 20_000.0)])
def test_a_shifted_chi_square_is_what_shifted_normals_give(df: int, shift: float) -> None:
    random = np.random.default_rng(4)
    drawn = (random.normal(size=(200_000, 1)) + sqrt(shift)) ** 2
    drawn = drawn[:, 0] + (random.chisquare(df - 1, 200_000) if df > 1 else 0)
    for x in np.quantile(drawn, [0.05, 0.5, 0.95]):
        assert chances.shifted_chi2_tail(float(x), df, shift) == pytest.approx(float((drawn >= x).mean()), abs=0.005)


def test_without_a_shift_it_is_the_chi_square() -> None:
    assert chances.shifted_chi2_tail(16.919, 9, 0.0) == chances.chi2_tail(16.919, 9)
    assert chances.shifted_chi2_tail(16.919, 9, 1e-9) == pytest.approx(chances.chi2_tail(16.919, 9), rel=1e-6)


@pytest.mark.parametrize("x", [12.0, 60.0, 3_000.0, 1e6])
@pytest.mark.parametrize("tail", [0.05, 0.95])
def test_the_shift_that_gives_a_tail_gives_it(x: float, tail: float) -> None:
    shift = chances.shift_where(x, 9, tail)
    if shift:
        assert chances.shifted_chi2_tail(x, 9, shift) == pytest.approx(tail, abs=1e-4)
    else:
        assert chances.chi2_tail(x, 9) >= tail


def test_fishers_tea_taster() -> None:
    """R. A. Fisher, The Design of Experiments: three of four cups right has p = 0.486 two-sided."""
    assert chances.hypergeometric_tail(3, 4, 4, 8) == pytest.approx(0.4857, abs=1e-4)
    assert chances.hypergeometric_tail(4, 4, 4, 8) == pytest.approx(0.02857, abs=1e-5)


def test_a_tail_beyond_the_floats_is_small_and_not_zero() -> None:
    assert 0 < chances.chi2_tail(1e6, 9) < 1e-200
    assert 0 < chances.shifted_chi2_tail(1e6, 9, 10.0) < 1e-200
    assert 0 < chances.kolmogorov_tail(100.0) < 1e-200


@pytest.mark.parametrize("df", [1, 2, 5, 9, 10, 40, 59])
def test_sums_term_by_term_are_the_same(df: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of few cells, whose tails are summed without arrays."""
    points = [(x, shift) for x in (0.01, 1.0, 8.0, 30.0, 120.0, 590.0) for shift in (0.01, 1.0, 9.0, 59.0)]
    quick = [(chances.chi2_tail(x, df), chances.shifted_chi2_tail(x, df, shift)) for x, shift in points]
    monkeypatch.setattr(chances, "FEW", 0)
    chances._shifted.cache_clear()
    slow = [(chances.chi2_tail(x, df), chances.shifted_chi2_tail(x, df, shift)) for x, shift in points]
    assert quick == [pytest.approx(pair, rel=1e-8, abs=1e-14) for pair in slow]


def test_tails_of_many_are_those_of_each() -> None:
    random = np.random.default_rng(9)
    df = np.concatenate((random.integers(1, 61, 400), [1, 2, 9, 61, 199, 999]))
    x = np.concatenate((random.gamma(2, 20, 400), [0.0, 0.5, 5_000.0, 70.0, 230.0, 1_100.0]))
    shift = np.concatenate((random.gamma(1, 4, 400), [3.0, 0.0, 40.0, 5.0, 200.0, 1e-9]))
    each = np.array([chances.chi2_tail(a, b) for a, b in zip(x, df, strict=True)])
    assert chances.chi2_tails(x, df) == pytest.approx(each, rel=1e-9, abs=1e-299)
    shifted = [chances.shifted_chi2_tail(a, int(b), c) for a, b, c in zip(x, df, shift, strict=True)]
    # Either stops at the terms that carry less than 1e-16.
    assert chances.shifted_chi2_tails(x, df, shift) == pytest.approx(np.array(shifted), rel=1e-9, abs=1e-15)
    t = np.concatenate((np.linspace(-1, 3, 401), [0.27, 1.0, 40.0]))
    each = np.array([chances.kolmogorov_tail(float(one)) for one in t])
    assert chances.kolmogorov_tails(t) == pytest.approx(each, rel=1e-9, abs=1e-299)
    none = np.zeros(0)
    assert not len(chances.chi2_tails(none, none)) and not len(chances.shifted_chi2_tails(none, none, none))
