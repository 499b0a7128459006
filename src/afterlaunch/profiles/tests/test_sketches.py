"""Distinct values and quantiles of a window itself, beyond the reference's cells: within what they promise."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from afterlaunch.profiles import distinct, packing
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import category_layout, numeric_layout
from afterlaunch.profiles.numeric import NumericProfile
from afterlaunch.profiles.packing import Profile, parse, serialise
from afterlaunch.profiles.reading import fold_array

RANDOM = np.random.default_rng(7)
LAYOUT = numeric_layout(RANDOM.normal(size=4_000), -4.0, 4.0)
FEW = category_layout({"a": 5, "b": 3})
MANY = category_layout({f"user {at}": 1 for at in range(30_000)})


def numeric(values: Array) -> NumericProfile:
    found = fold_array(LAYOUT, pa.array(values, pa.float64()), 0)
    assert isinstance(found, NumericProfile)
    return found


def words(values: list[str], layout: object = FEW) -> CategoryProfile:
    found = fold_array(layout, pa.array(values), 0)  # type: ignore[arg-type]
    assert isinstance(found, CategoryProfile)
    return found


def counted(profile: Profile) -> float:
    found = profile.distinct
    assert found is not None
    return found.count


@settings(max_examples=150, deadline=None)
@given(
    some.lists(some.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40),
    some.floats(0, 1),
)
def test_a_quantile_lies_between_what_is_told(values: list[float], share: float) -> None:
    profile = numeric(np.array(values))
    low, high = profile.bracket(share)
    true = sorted(values)[max(ceil(share * len(values)), 1) - 1]
    assert low <= true <= high
    assert profile.least <= profile.quantile(share) <= profile.greatest


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e6])
@pytest.mark.parametrize("moved", [0.0, 6.0, -300.0])
def test_quantiles_of_a_window_that_left_the_range_are_known_to_five_percent(scale: float, moved: float) -> None:
    values = RANDOM.lognormal(0, 1, 20_000) * scale + moved
    profile = numeric(values)
    for share in (0.01, 0.25, 0.5, 0.9, 0.99):
        true = float(np.quantile(values, share, method="inverted_cdf"))
        beyond = max(true - 4.0, -4.0 - true, 0.0)
        cell = 8.0 / 40 if beyond == 0 else 0.0  # the widest of the normal's inner cells but the outermost two
        assert abs(profile.quantile(share) - true) <= 0.05 * beyond + max(cell, 1e-9)


@settings(max_examples=80, deadline=None)
@given(some.lists(some.floats(-1e9, 1e9), max_size=60), some.lists(some.floats(-1e9, 1e9), max_size=60))
def test_what_lies_outside_and_how_many_differ_are_those_of_the_whole(a: list[float], b: list[float]) -> None:
    whole, merged = numeric(np.array(a + b)), numeric(np.array(a)).merge(numeric(np.array(b)))
    assert whole.outside == merged.outside and whole.registers is not None and merged.registers is not None
    assert (whole.registers == merged.registers).all()
    assert counted(whole) == pytest.approx(len(set(a + b)), rel=4 * distinct.ERROR, abs=3)


@pytest.mark.parametrize("count", [10, 300, 1_280, 6_000, 80_000])
def test_estimates_of_distinct_values_stay_within_four_errors(count: int) -> None:
    """Numbers and texts, of ids in a row and of random ones; the error of 60 together is the stated one."""
    off = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        registers = distinct.nothing()
        if seed % 3 == 0:
            distinct.add_numbers(registers, np.arange(count) + float(seed * 10**6))
        elif seed % 3 == 1:
            distinct.add_numbers(registers, random.normal(size=count))
        else:
            distinct.mark(registers, *distinct.of_texts(f"{seed}-{at:06d}" for at in range(min(count, 6_000))))
        true = min(count, 6_000) if seed % 3 == 2 else count
        off.append(distinct.estimate(registers) / true - 1)
    assert np.abs(off).max() <= 4.5 * distinct.ERROR
    assert np.std(off) <= 1.35 * distinct.ERROR and abs(np.mean(off)) <= 0.5 * distinct.ERROR


def test_few_values_are_counted_exactly() -> None:
    assert words(["a", "b", "new", "newer", "a"]).distinct == distinct.Distinct(4, True)
    three = numeric_layout(np.repeat([0.0, 1.0, 5.0], 100), 0.0, 5.0)
    assert fold_array(three, pa.array([0.0, 5.0, -0.0, 5.0]), 0).distinct == distinct.Distinct(2, True)
    many = words([f"user {at}" for at in range(25_000)], MANY).distinct
    assert many is not None and not many.exact and many.count == pytest.approx(25_000, rel=4 * distinct.ERROR)


@pytest.mark.parametrize("profile", [numeric(RANDOM.normal(0, 3, 500)), words(["a", "c", "b", "d"])])
def test_profiles_kept_before_there_were_sketches_are_still_read(profile: Profile) -> None:
    old = (
        replace(profile, registers=None, outside=None)
        if isinstance(profile, NumericProfile)
        else replace(profile, registers=None)
    )
    body = serialise(old)
    assert body.startswith(b"AP1") and serialise(profile).startswith(b"AP2")
    back = parse(body, profile.layout)
    assert back.registers is None and (back.cells == profile.cells).all()
    both = back.merge(profile)  # type: ignore[arg-type]
    assert both.registers is None and both.count == 2 * profile.count
    assert parse(serialise(both), profile.layout).count == both.count
    if isinstance(both, NumericProfile):
        assert both.distinct is None and np.isfinite(both.quantile(0.99))


def test_sketches_are_small() -> None:
    normal, away = numeric(RANDOM.normal(size=50_000)), numeric(RANDOM.lognormal(3, 2, 50_000))
    for profile in (normal, away):
        without = serialise(replace(profile, registers=None, outside=None))
        assert len(serialise(profile)) - len(without) <= 514 + 3 * 400
        assert len(serialise(profile)) <= 8_192
    assert packing.MAGIC == b"AP2"
