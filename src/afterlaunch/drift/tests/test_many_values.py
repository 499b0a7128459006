"""Columns of thousands of values: those that came often by chance are not chosen to be compared: they would regress."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from afterlaunch.drift.judging import DRIFT, Limits, judge
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import NAMED, category_layout
from afterlaunch.profiles.reading import fold_array


def drifted(weights: Array, now: Array, seed: int, rows: int = 20_000) -> bool:
    random = np.random.default_rng(seed)
    drawn = [random.choice(len(weights), rows, p=one / one.sum()) for one in (weights, now)]
    values, counts = np.unique(drawn[0], return_counts=True)
    layout = category_layout({f"v{value}": int(count) for value, count in zip(values, counts, strict=True)})
    pair: Any = tuple(
        fold_array(layout, pa.array([f"v{one}" for one in some]).dictionary_encode(), 0) for some in drawn
    )
    return judge({"column": pair}, Limits())[0].verdict == DRIFT


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_thousands_of_values_without_drift_alarm_as_seldom_as_stated(power: float) -> None:
    """40 pairs of 3,000 values, about equal or not; at 5 % two alarm, with four spreads at most seven."""
    weights = 1 / np.arange(1, 3_001) ** power
    assert sum(drifted(weights, weights, seed) for seed in range(40)) <= 7


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_change_among_them_is_found(power: float) -> None:
    weights = 1 / np.arange(1, 3_001) ** power
    moved = weights * np.where(np.arange(3_000) % 2, 0.5, 1.5)
    assert all(drifted(weights, moved, seed) for seed in range(5))


def test_what_is_surely_frequent_always_has_a_cell() -> None:
    counts = {f"often {at}": 5_000 - at for at in range(200)} | {f"seldom {at}": 3 + at % 3 for at in range(4_000)}
    layout = category_layout(counts)
    assert len(layout.names) == NAMED and {f"often {at}" for at in range(200)} < set(layout.names)
    assert len(set(layout.names)) == NAMED and len(layout.tail) == 3_200
    rest = [counts[name] for name in layout.names if name.startswith("seldom")]
    assert abs(np.mean(rest) - 4.0) < 0.1  # no more frequent than the others
    assert layout == category_layout(dict(reversed(counts.items())))
