"""What a profile tells in figures, then and now, and keys whose values come again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from afterlaunch.drift import figures
from afterlaunch.drift.findings import repeats
from afterlaunch.drift.judging import Limits
from afterlaunch.drift.oneshot import compare
from afterlaunch.drift.report import page
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import category_layout, numeric_layout
from afterlaunch.profiles.reading import fold_array

RANDOM = np.random.default_rng(4)


def pair(before: Array, now: Array) -> tuple[Any, Any]:
    layout = numeric_layout(before, before.min(), before.max())
    return fold_array(layout, pa.array(before), 0), fold_array(layout, pa.array(now), 0)


def test_figures_are_those_of_the_values() -> None:
    before, now = RANDOM.normal(size=5_000), 10 + RANDOM.lognormal(3, 1, 800)
    _, profile = pair(before, now)
    told = figures.of(profile)
    assert told["least"] == now.min() and told["greatest"] == now.max()
    for name, share in (("p1", 0.01), ("median", 0.5), ("p99", 0.99)):
        assert told[name] == pytest.approx(float(np.quantile(now, share)), rel=0.06)
    assert told["mean"] == pytest.approx(float(now.mean())) and told["missing"] == 0.0
    assert told["distinct"] == pytest.approx(800, rel=0.15) and told["distinct_exact"] is False
    rows = {what: (then, here) for what, then, here in figures.beside(*pair(before, now))}
    assert rows["Distinct values"][1].startswith("about ") and rows["Missing"] == ("0.0 %", "0.0 %")


def test_categories_have_counts_and_nothing_of_nothing_is_known() -> None:
    layout = category_layout({"a": 5, "b": 2})
    some = fold_array(layout, pa.array(["a", None, "c"]), 0)
    assert figures.of(some) == {"missing": pytest.approx(1 / 3), "distinct": 2, "distinct_exact": True}
    empty = fold_array(numeric_layout(np.array([1.0, 2.0]), 1.0, 2.0), pa.array([], pa.float64()), 0)
    assert figures.of(empty)["median"] is None and figures.of(empty)["missing"] is None


@pytest.mark.parametrize("rows", [(500, 500), (5_000, 500), (5_000, 9_000), (50_000, 50_000)])
@pytest.mark.parametrize("kind", ["floats", "rounded", "wide", "narrow", "skewed"])
def test_columns_without_a_change_hardly_ever_repeat(kind: str, rows: tuple[int, int]) -> None:
    """20 pairs each, of 20 kinds and sizes: no false finding in 400."""
    draw: dict[str, Any] = {
        "floats": lambda random, n: random.normal(size=n),
        "rounded": lambda random, n: np.round(random.normal(size=n), 5),
        "wide": lambda random, n: random.integers(0, 10**7, n) * 1.0,
        "narrow": lambda random, n: random.integers(0, 10**5, n) * 1.0,
        "skewed": lambda random, n: np.floor(random.pareto(1.0, n) * 10**6),
    }
    for seed in range(20):
        random = np.random.default_rng([seed, rows[0]])
        assert not repeats(*pair(draw[kind](random, rows[0]), draw[kind](random, rows[1])))


@pytest.mark.parametrize("rows", [(2_000, 1_000), (50_000, 50_000)])
def test_a_key_whose_rows_come_twice_is_found(rows: tuple[int, int]) -> None:
    found = 0
    for seed in range(20):
        first, often = rows[0] * 10.0 + seed * 10**6, rows[1] // 2
        now = np.tile(np.arange(often) + first, 2)
        found += repeats(*pair(np.arange(rows[0]) + 0.0, now))
    assert found == 20


def test_the_report_and_the_document_tell_it(tmp_path: Path) -> None:
    ids = np.arange(4_000)
    parquet.write_table(pa.table({"order": ids, "kind": ["x", "y"] * 2_000}), tmp_path / "a")
    parquet.write_table(pa.table({"order": np.repeat(ids[:1_000], 2), "kind": ["x"] * 2_000}), tmp_path / "b")
    found = compare(tmp_path / "a", tmp_path / "b", Limits())
    told = {one["name"]: one for one in found.as_document()["columns"]}
    assert told["kind"]["reference"]["distinct"] == 2 and told["kind"]["current"]["distinct"] == 1
    assert told["order"]["reference"]["greatest"] == 3_999 and told["order"]["current"]["greatest"] == 999
    assert [one.type for one in found.findings] == ["key_repeats"] and not found.findings[0].breaking
    text = page(found, "a", "b")
    assert text.count('class="figures"') == 2 and "99 % are below" in text
