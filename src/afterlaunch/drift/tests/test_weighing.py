"""Columns weighed together give what each gives alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from afterlaunch.drift import statistics
from afterlaunch.drift.evidence import Evidence, Tolerance
from afterlaunch.drift.judging import Limits, judge
from afterlaunch.drift.weighing import AT_ONCE, weigh
from afterlaunch.profiles.layouts import category_layout, numeric_layout
from afterlaunch.profiles.numeric import NumericProfile
from afterlaunch.profiles.reading import fold_array


def pair(had: Any, has: Any) -> tuple[NumericProfile, NumericProfile]:
    finite = had[np.isfinite(had)]
    layout = numeric_layout(finite, finite.min(), finite.max())
    before, now = (fold_array(layout, pa.array(one), 0) for one in (had, has))
    assert isinstance(before, NumericProfile) and isinstance(now, NumericProfile)
    return before, now


def columns() -> dict[str, Any]:
    """More than are weighed at once, of many numbers of cells, with and without drift; some have no answer."""
    random = np.random.default_rng(6)
    found: dict[str, Any] = {}
    for at in range(AT_ONCE + 9):
        size = int(random.integers(30, 3_000))
        if at % 3 == 0:
            had, has = random.poisson(1 + at, size) * 1.0, random.poisson(2 + at, 400) * 1.0
        else:
            had, has = random.normal(size=size), random.normal(size=400) + 0.2 * (at % 2)
        if at % 5 == 0:
            has[::7] = np.nan
        found[f"n{at}"] = pair(had, has)
    found["constant"] = pair(np.ones(50), np.ones(60))
    found["nearly constant"] = pair(np.append(np.ones(900), 2.0), np.append(np.ones(500), np.full(90, 3.0)))
    found["no values"] = pair(np.ones(50), np.full(60, np.nan))
    found["no rows"] = pair(np.ones(50), np.ones(0))
    layout = category_layout({"a": 600, "b": 400})
    found["category"] = tuple(fold_array(layout, pa.array(list("aab" * 200)[:at]), 0) for at in (600, 500))
    return found


def figures(one: Evidence) -> list[float]:
    effects = [test.effect for test in one.tests if test.effect is not None]
    told = [number for effect in effects for number in (effect.value, effect.low, effect.high)]
    tests = [number for test in one.tests for number in (test.statistic, test.p)]
    return [*tests, *told, one.s, one.raw, one.cells, *one.distances.values()]


def test_columns_weighed_together_are_each_as_if_alone() -> None:
    pairs = columns()
    together = weigh(pairs, Tolerance())
    assert list(together) == list(pairs)
    for name, one in pairs.items():
        alone = weigh({name: one}, Tolerance())[name]
        assert [test.method for test in together[name].tests] == [test.method for test in alone.tests]
        assert (together[name].reason, together[name].told) == (alone.reason, alone.told)
        assert together[name].moved == alone.moved
        assert figures(together[name]) == pytest.approx(figures(alone), rel=1e-12)


def test_what_has_no_answer_says_why() -> None:
    told = {one.name: one for one in judge(columns(), Limits())}
    assert {name: told[name].reason for name in ("constant", "no rows")} == {
        "constant": "constant",
        "no rows": "no_rows",
    }
    assert told["no values"].reason == "missing_rate" and told["nearly constant"].verdict == "drift"


def test_groups_of_many_samples_are_those_of_each() -> None:
    random = np.random.default_rng(2)
    for cells in (10, 38):
        tables = random.integers(0, 40, (50, 90)) * (random.random((50, 90)) < 0.3)
        tables[3] = 0
        tables[4] = 0
        tables[4, 7] = 1_000
        tables[5, 20:] = 0  # fewer cells than the others
        groups = statistics.groups_of(tables.cumsum(1), cells)
        starts = [statistics.grouped_at(one, cells) for one in tables]
        assert groups.sizes.tolist() == [len(one) for one in starts]
        parts = np.split(groups.starts, groups.firsts[1:])
        for at, (found, alone) in enumerate(zip(parts, starts, strict=True)):
            assert (found - at * tables.shape[1]).tolist() == alone.tolist()
            assert statistics.grouped(tables[at], alone).sum() == tables[at].sum()


def test_no_columns_give_no_evidence() -> None:
    assert weigh({}, Tolerance()) == {} and judge({}, Limits()) == []
