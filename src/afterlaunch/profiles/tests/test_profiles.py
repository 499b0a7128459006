"""The laws of profiles: what makes any period a sum of windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.layouts import category_layout, numeric_layout
from afterlaunch.profiles.numeric import NumericProfile
from afterlaunch.profiles.packing import Profile, Unreadable, layout_document, layout_of, parse, serialise
from afterlaunch.profiles.reading import fold_array

RANDOM = np.random.default_rng(1)
NUMERIC = numeric_layout(RANDOM.normal(size=2_000), -4.0, 4.0)
CATEGORY = category_layout({"a": 50, "b": 30, "c": 1})
numbers = some.lists(some.one_of(some.none(), some.floats(-5, 5), some.sampled_from([np.inf, -np.inf, np.nan, 0.0])))
words = some.lists(
    some.one_of(some.none(), some.sampled_from(["a", "b", "c", "new", "ünseen", ""]), some.text(max_size=3))
)


def numeric(values: Sequence[Any], first: int = 0) -> Profile:
    return fold_array(NUMERIC, pa.array(values, pa.float64()), first)


def category(values: Sequence[Any], first: int = 0) -> Profile:
    return fold_array(CATEGORY, pa.array(values, pa.string()), first)


def exact(profile: Profile) -> tuple[Any, ...]:
    """What must agree to the last bit."""
    if isinstance(profile, NumericProfile):
        ends = profile.least, profile.greatest
        return profile.counts.tolist(), profile.apart.tolist(), ends, registers(profile), profile.outside
    fresh = dict(sorted(profile.fresh.items()))
    return profile.counts.tolist(), profile.nulls.tolist(), fresh, profile.fresh_complete, registers(profile)


def registers(profile: Profile) -> list[int] | None:
    return None if profile.registers is None else profile.registers.tolist()


def merged(*profiles: Profile) -> Profile:
    return reduce(lambda a, b: a.merge(b), profiles)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(numbers, numbers, numbers)
def test_numeric_profiles_merge_in_any_order(a: list[Any], b: list[Any], c: list[Any]) -> None:
    x, y, z = numeric(a), numeric(b, 7), numeric(c, 11)
    assert exact(merged(merged(x, y), z)) == exact(merged(x, merged(z, y))) == exact(merged(z, y, x))
    assert exact(merged(NumericProfile.empty(NUMERIC), x)) == exact(x)


@settings(max_examples=60, deadline=None)
@given(words, words, words)
def test_category_profiles_merge_in_any_order(a: list[Any], b: list[Any], c: list[Any]) -> None:
    x, y, z = category(a), category(b, 7), category(c, 11)
    assert exact(merged(merged(x, y), z)) == exact(merged(x, merged(z, y))) == exact(merged(z, y, x))
    assert exact(merged(CategoryProfile.empty(CATEGORY), x)) == exact(x)


@settings(max_examples=60, deadline=None)
@given(numbers, numbers)
def test_the_profile_of_two_parts_is_the_merge_of_theirs(a: list[Any], b: list[Any]) -> None:
    whole, parts = numeric(a + b), merged(numeric(a), numeric(b, len(a)))
    assert exact(whole) == exact(parts)
    assert isinstance(whole, NumericProfile) and isinstance(parts, NumericProfile)
    np.testing.assert_allclose(whole.sums, parts.sums, rtol=1e-12, atol=1e-9)
    assert whole.records == len(a + b)


@settings(max_examples=60, deadline=None)
@given(words, words)
def test_the_same_holds_for_categories(a: list[Any], b: list[Any]) -> None:
    whole = category(a + b)
    assert exact(whole) == exact(merged(category(a), category(b, len(a))))
    assert whole.records == len(a + b)


@settings(max_examples=60, deadline=None)
@given(some.one_of(numbers.map(numeric), words.map(category)))
def test_bytes_and_back_change_nothing(profile: Profile) -> None:
    layout = layout_of(layout_document(profile.layout))
    back = parse(serialise(profile), layout)
    assert exact(back) == exact(profile) and layout == profile.layout
    assert serialise(back) == serialise(profile)


@settings(max_examples=60, deadline=None)
@given(some.binary(max_size=60))
def test_other_bytes_are_refused(body: bytes) -> None:
    for start in (b"", b"AP1" + NUMERIC.id.encode(), b"AP2" + NUMERIC.id.encode()):
        with pytest.raises(Unreadable):
            parse(start + body, NUMERIC)


def test_many_unseen_values_merge_exactly_too() -> None:
    """Of more than 256 a sample is kept, whatever the order."""
    parts = [category([f"value {k * n % 700}" for k in range(300)], n) for n in (1, 2, 3, 5)]
    forth, back = merged(*parts), merged(*reversed(parts))
    assert exact(forth) == exact(back)
    assert isinstance(forth, CategoryProfile)
    assert len(forth.fresh) == 256 and not forth.fresh_complete
    assert int(forth.counts[:, CATEGORY.unseen].sum()) == 1200


def test_profiles_of_other_edges_do_not_merge() -> None:
    other = fold_array(numeric_layout(RANDOM.normal(size=500), -3.0, 3.0), pa.array([1.0]), 0)
    with pytest.raises(ValueError, match="layouts"):
        merged(numeric([1.0]), other)
    with pytest.raises(Unreadable):
        parse(serialise(other), NUMERIC)


def test_a_full_window_fits_in_eight_kilobytes() -> None:
    profile = numeric(RANDOM.normal(size=1_000_000).tolist()[:200_000])
    assert len(serialise(profile)) <= 8192


def test_cells_are_quantiles_of_the_reference_and_atoms_have_their_own() -> None:
    values = np.concatenate((RANDOM.lognormal(size=9_000), np.zeros(1_000)))
    layout = numeric_layout(values, values.min(), values.max())
    profile = fold_array(layout, pa.array(values), 0)
    assert isinstance(profile, NumericProfile)
    inner = profile.cells[1:-1]
    assert inner.max() == 1_000 and profile.cells[0] == profile.cells[-1] == 0
    assert np.sort(inner)[-2] <= 34
    assert profile.quantile(0.5) == pytest.approx(float(np.median(values)), rel=0.05)
    assert profile.deviation == pytest.approx(float(values.std()), rel=1e-9)


def test_moments_keep_their_digits_far_from_zero() -> None:
    values = 1e9 + RANDOM.normal(size=5_000)
    profile = fold_array(numeric_layout(values, values.min(), values.max()), pa.array(values), 0)
    assert isinstance(profile, NumericProfile)
    assert profile.deviation == pytest.approx(float(values.std()), rel=1e-6)


def test_halves_are_halves_and_the_same_each_time() -> None:
    profile = numeric(np.zeros(10_000).tolist())
    assert 4_800 < profile.counts[0].sum() < 5_200
    assert exact(profile) == exact(numeric(np.zeros(10_000).tolist()))


def test_what_is_no_number_is_counted_apart() -> None:
    profile = fold_array(NUMERIC, pa.array(["1", " 2.5 ", "+3e-1", "x", None, "inf", "-inf", "nan", "1,5"]), 0)
    assert isinstance(profile, NumericProfile)
    assert dict(zip(("null", "nan", "plus", "minus", "invalid"), profile.apart.sum(0).tolist(), strict=True)) == {
        "null": 1, "nan": 1, "plus": 1, "minus": 1, "invalid": 2,
    }  # fmt: skip
    assert profile.count == 3


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float32(), pa.float16(), pa.decimal128(21, 2), pa.bool_()])
def test_every_numeric_type_is_read_with_its_nulls(kind: pa.DataType) -> None:
    values = pa.array([1, 0, None, 1], pa.int64()).cast(kind)
    profile = fold_array(NUMERIC, values.slice(1), 1)
    assert (profile.count, profile.missing) == (2, 1)
