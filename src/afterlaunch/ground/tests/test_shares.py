"""Intervals of shares, against published ones."""

from __future__ import annotations

import pytest

from afterlaunch.ground.shares import newcombe, wilson


def test_an_interval_of_a_share() -> None:
    """Newcombe (1998, Stat. Med. 17/8, 857-872), table I: 81 of 263 at 95 %."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0) and wilson(20, 20)[1] == 1.0
    narrow, wide = wilson(81, 263, 0.9), wilson(81, 263, 0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_an_interval_of_a_difference() -> None:
    """Newcombe (1998, Stat. Med. 17/8, 873-890), table II: 56 of 70 against 48 of 80 at 95 %."""
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    low, high = newcombe(48, 80, 56, 70)
    assert (low, high) == pytest.approx((-0.3339, -0.0524), abs=1e-4)
