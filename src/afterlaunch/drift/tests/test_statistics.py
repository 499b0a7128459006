from __future__ import annotations

import numpy as np
import pytest

from afterlaunch.drift import statistics


def test_psi_of_the_textbook() -> None:
    """Two shares moved by ten points: sum of (p - q) ln(p / q)."""
    before, now = np.array([5_000_000, 5_000_000]), np.array([6_000_000, 4_000_000])
    assert statistics.distances(before, now)["psi"] == pytest.approx(0.1 * np.log(1.2) + 0.1 * np.log(1.25), rel=1e-5)
    assert statistics.distances(before, now)["js_nats"] == pytest.approx(
        statistics.distances(before, now)["psi"] / 8, rel=0.02
    )


def test_an_empty_cell_on_either_side_is_finite() -> None:
    assert np.isfinite(statistics.distances(np.array([0, 100]), np.array([100, 0]))["psi"])
    assert (
        statistics.distances(np.array([0, 100]), np.array([100, 0]))["psi"]
        == statistics.distances(np.array([100, 0]), np.array([0, 100]))["psi"]
    )


def test_groups_hold_equal_shares_of_the_reference() -> None:
    counts = np.full(322, 100)
    counts[0] = counts[-1] = 0
    groups = statistics.grouped(counts, statistics.grouped_at(counts))
    assert groups.tolist() == [3200] * 10


def test_an_atom_keeps_its_group() -> None:
    assert (
        statistics.grouped(np.array([0, 90, 0, 910, 0]), statistics.grouped_at(np.array([0, 90, 0, 910, 0]))).sum()
        == 1000
    )
    assert len(statistics.grouped_at(np.array([0, 1000, 0]))) == 1


def test_thin_categories_are_pooled_by_what_both_expect() -> None:
    before, now = np.array([500, 400, 3, 94, 2, 1]), np.array([480, 420, 2, 93, 3, 2])
    had, has, stays = statistics.pooled(before, now)
    assert stays.tolist() == [True, True, False, True, False, False]
    assert (had.tolist(), has.tolist()) == ([500, 400, 94, 6], [480, 420, 93, 7])


def test_a_category_that_vanished_keeps_its_cell() -> None:
    had, _, _ = statistics.pooled(np.array([500, 500, 0]), np.array([1000, 0, 0]))
    assert had.tolist() == [500, 500]


def test_ks_is_the_largest_gap() -> None:
    reached = np.array([[50, 100, 100]]), np.array([[20, 70, 100]])
    assert statistics.kolmogorov_smirnov(*reached) == pytest.approx(0.3)


def test_wasserstein_of_a_shift_is_the_shift() -> None:
    cells = np.full(100, 10)
    before, now = np.append(cells, np.zeros(10)), np.append(np.zeros(10), cells)
    assert statistics.wasserstein(before, now, np.arange(111.0)) == pytest.approx(10.0, rel=1e-6)


def test_benjamini_and_hochbergs_own_example() -> None:
    """The fifteen p-values of their paper (1995): at 5 % the first four are rejected."""
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    assert [q <= 0.05 for q in statistics.benjamini_hochberg(p)] == [True] * 4 + [False] * 11
    shuffled = p[::-1]
    assert statistics.benjamini_hochberg(shuffled) == statistics.benjamini_hochberg(p)[::-1]


def test_e_values_are_named_from_the_largest() -> None:
    assert statistics.e_benjamini_hochberg([1000.0, 0.5, 39.0, 45.0], 0.05) == [True, False, True, True]


@pytest.mark.parametrize("tolerated", [0.0, 0.01, 0.1])
def test_at_the_tolerated_psi_the_test_rejects_as_often_as_it_says(tolerated: float) -> None:
    """Spec: rejection at the boundary is near its nominal 5 %, for a tilt of ten cells, 5,000 rows against 5,000."""
    from afterlaunch.drift.chances import shifted_chi2_tail

    random, n = np.random.default_rng(8), 5_000
    before = np.full(10, 0.1)
    tilt = np.linspace(-1, 1, 10)
    low, high = 0.0, 0.099
    while high - low > 1e-9:  # the tilt whose PSI is the tolerated one
        middle = (low + high) / 2
        now = before + middle * tilt
        low, high = (middle, high) if ((now - before) * np.log(now / before)).sum() < tolerated else (low, middle)
    now = (before + low * tilt) / (before + low * tilt).sum()
    s = 2 / n
    drawn = [
        statistics.distances(random.multinomial(n, before), random.multinomial(n, now))["psi"] for _ in range(2_000)
    ]
    rejected = np.mean([shifted_chi2_tail(one / s, 9, tolerated / s) <= 0.05 for one in drawn])
    assert 0.035 <= rejected <= 0.068
