"""Ranks of importances: chance changes places of what is about equal, and proves nothing by it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from afterlaunch.drift.importance import Compared, Importances, assessable, compare, importances
from afterlaunch.profiles.layouts import numeric_layout
from afterlaunch.profiles.numeric import NumericProfile
from afterlaunch.profiles.reading import fold_array

SIZES = np.array([3.0, 2.0, 1.9, 1.5, 1.0, 0.9, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
NAMES = tuple(f"f{at}" for at in range(len(SIZES)))


def measured(dice: np.random.Generator, sizes: np.ndarray, rows: int) -> Importances:
    drawn = np.abs(dice.normal(size=(rows, len(sizes))) * sizes)
    return Importances(NAMES, drawn.mean(0), drawn.std(0), rows)


def found(dice: np.random.Generator, sizes: np.ndarray, rows: int = 500) -> Compared:
    return compare(measured(dice, SIZES, 2_000), measured(dice, sizes, rows))


def test_features_that_are_about_equal_change_places_by_chance() -> None:
    dice = np.random.default_rng(1)
    chances = [found(dice, SIZES).chance for _ in range(100)]
    assert sum(one <= 0.05 for one in chances) <= 11 and min(chances) > 0.001
    assert all(found(dice, SIZES).overlap > 0.8 for _ in range(5))


def test_a_feature_that_a_model_no_longer_looks_at_is_named() -> None:
    dice = np.random.default_rng(2)
    sizes = SIZES.copy()
    sizes[1], sizes[11] = 0.01, 2.5
    told = found(dice, sizes)
    assert (told.moved, told.left, told.places) == ("f1", ("f1",), 10)
    assert told.chance <= 0.001 and told.now[:2] == ("f0", "f11") and told.tau < 0.8


def test_profiles_give_the_means_of_absolute_values() -> None:
    values = np.random.default_rng(3).normal(size=20_000)
    layout = numeric_layout(values, values.min(), values.max())
    profile = fold_array(layout, pa.array(values), 0)
    assert isinstance(profile, NumericProfile)
    one = importances({"a": profile})
    assert abs(one.mean[0] - np.abs(values).mean()) < 0.005 and abs(one.spread[0] - np.abs(values).std()) < 0.02


def test_few_rows_and_few_features_are_not_assessed() -> None:
    dice = np.random.default_rng(4)
    assert "200 rows" in assessable(measured(dice, SIZES, 2_000), measured(dice, SIZES, 199))
    assert "3 features" in assessable(*(Importances(NAMES[:2], SIZES[:2], SIZES[:2], 500) for _ in range(2)))
    assert assessable(measured(dice, SIZES, 500), measured(dice, SIZES, 500)) == ""
