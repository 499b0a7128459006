"""Counts on a grid are those that sorting gives, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from afterlaunch.profiles import grids, numeric
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import numeric_layout

SIZE = 20_000


def drawn(shape: str, random: np.random.Generator) -> Array:
    values: dict[str, Array] = {
        "normal": random.normal(1e6, 1, SIZE),
        "lognormal": random.lognormal(0, 1, SIZE),
        "heavy": random.pareto(0.4, SIZE),
        "counts": random.poisson(20, SIZE) * 1.0,
        "atoms": np.where(random.random(SIZE) < 0.5, 0.0, random.normal(size=SIZE)),
        "two": np.where(random.random(SIZE) < 0.5, -0.0, 1.0),
        "tiny": random.normal(0, 1e-310, SIZE),
        "huge": random.normal(0, 1e307, SIZE),
        "all sizes": np.exp(random.uniform(-700, 700, SIZE)) * random.choice([-1, 1], SIZE),
        "neighbours": 1.0 + random.integers(0, 400, SIZE) * np.finfo(float).eps,
        "far": np.append(random.normal(size=SIZE - 2), [-1.7e308, 1.7e308]),
    }
    return values[shape]


SHAPES = ["normal", "lognormal", "heavy", "counts", "atoms", "two", "tiny", "huge", "all sizes", "neighbours", "far"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.filterwarnings("error")
def test_a_grid_counts_as_sorting_does(shape: str) -> None:
    random = np.random.default_rng(8)
    reference = drawn(shape, random)
    layout = numeric_layout(reference, float(reference.min()), float(reference.max()))
    edges = layout.edges
    beside = np.concatenate((edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)))
    beyond = np.array([-1.7e308, 1.7e308, 0.0, -0.0, 5e-324])
    with np.errstate(over="ignore"):
        moved = drawn(shape, random) * 1.5
    values = np.concatenate((drawn(shape, random), moved, beside, beyond))
    values = values[np.isfinite(values)]
    random.shuffle(values)
    each = np.bincount(np.searchsorted(edges, values, "right"), minlength=layout.cells)
    found = numeric.fold(layout, values, (slice(None), slice(0, 0)))
    assert found.cells.tolist() == each.tolist()
    assert (found.least, found.greatest) == (values.min(), values.max())
    if (grid := grids.grid_of(edges)) is not None:
        assert grid.count(values).tolist() == each.tolist()
        assert grid.count(values[:0]).sum() == 0


def test_usual_columns_have_a_grid_and_odd_ones_none() -> None:
    random = np.random.default_rng(8)
    has = {}
    for shape in SHAPES:
        reference = drawn(shape, random)
        has[shape] = numeric_layout(reference, float(reference.min()), float(reference.max())).grid is not None
    assert {shape for shape, one in has.items() if not one} <= {"all sizes", "heavy", "huge", "tiny", "two"}
    assert all(has[shape] for shape in ("normal", "lognormal", "counts", "atoms", "far"))


def test_few_and_many_numbers_are_counted_alike() -> None:
    random = np.random.default_rng(8)
    values = random.normal(size=grids.AT_ONCE * 2 + 7)
    layout = numeric_layout(values, float(values.min()), float(values.max()))
    whole = numeric.fold(layout, values, (slice(None), slice(0, 0)))
    parts = [
        numeric.fold(layout, values[at : at + 1_000], (slice(None), slice(0, 0))) for at in range(0, len(values), 1_000)
    ]
    merged = parts[0]
    for one in parts[1:]:
        merged = merged.merge(one)
    assert merged.counts.tolist() == whole.counts.tolist() and merged.count == len(values)
    assert (merged.least, merged.greatest) == (whole.least, whole.greatest)
    assert merged.sums == pytest.approx(whole.sums)
