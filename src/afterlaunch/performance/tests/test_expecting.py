"""Errors of quantities, estimated before labels come, beside what the labels would have said."""

from __future__ import annotations

import numpy as np
import pytest

from afterlaunch.performance import expecting, judging_errors, tally
from afterlaunch.performance.crossing import Coded
from afterlaunch.performance.expecting import Column, Expecting
from afterlaunch.performance.tally import Measured, Tally

Given = tuple[dict[str, Column], np.ndarray, np.ndarray]


def rows_of(n: int, seed: int, shift: float = 0.0, north: float = 0.3) -> Given:
    """Errors grow with `rooms`, and twice in the north: columns, outputs, labels."""
    random = np.random.default_rng(seed)
    rooms = np.abs(random.normal(3 + shift, 1, n))
    desk = (random.random(n) < north).astype(np.int64)
    outputs = 100 * rooms + random.normal(0, 5, n)
    labels = outputs + random.normal(0, 1, n) * (1 + rooms) * (1 + desk)
    return {"output": outputs, "rooms": rooms, "desk": Coded(["south", "north"], desk)}, outputs, labels


def learnt(seed: int = 1, rows: int = 4_000) -> Expecting:
    columns, outputs, labels = rows_of(rows, seed)
    found = expecting.learn(columns, np.abs(outputs - labels), 12.0)
    assert isinstance(found, Expecting)
    return found


def added(by: Expecting, given: Given) -> Tally:
    columns, outputs, _ = given
    none = np.full(len(outputs), np.nan)
    found = tally.measured(Measured(outputs, none, none))
    found.expected, found.large_cells = by.sums([columns[name] for name in by.names])
    found.expected_by = 1
    return found


def test_an_estimate_follows_harder_questions_and_its_interval_holds_the_truth() -> None:
    held, off = 0, []
    shifts = [0.0, 0.5, 1.0]
    for at in range(20):
        by = learnt(at)
        for shift in shifts:
            given = rows_of(1_500, 1_000 + at, shift, north=0.3 + shift / 4)
            truth = float(np.abs(given[1] - given[2]).mean())
            found = judging_errors.estimate(by, added(by, given))
            assert not isinstance(found, str)
            held += found.low <= truth <= found.high
            off.append(abs(found.value - truth) / truth)
    assert held / 60 >= 0.88 and np.mean(off) < 0.04


def test_without_columns_that_matter_it_knows_the_mean() -> None:
    random = np.random.default_rng(3)
    sizes = np.abs(random.normal(0, 2, 3_000))
    found = expecting.learn({"output": random.normal(0, 1, 3_000)}, sizes, 3.0)
    assert isinstance(found, Expecting)
    expected, _ = found.sums([random.normal(0, 1, 2_000)])
    assert expected[1] / 2_000 == pytest.approx(sizes.mean(), rel=0.03)


def test_a_model_is_kept_whole_and_takes_what_it_never_saw() -> None:
    by = learnt()
    again = expecting.unpack(expecting.pack(by))
    strange: list[Column] = [
        np.array([np.nan, np.inf, 3.0]),
        np.array([1e300, np.nan, 2.0]),
        Coded(["?"], np.array([0, -1, 0])),
    ]
    one, other = by.sums(strange), again.sums(strange)
    assert (one[0] == other[0]).all() and (one[1] == other[1]).all() and np.isfinite(one[0]).all()
    assert "500 are needed" in str(expecting.learn({"output": np.zeros(10)}, np.zeros(10), 1.0))


def test_few_and_constant_columns_are_no_trouble() -> None:
    found = expecting.learn({"output": np.full(600, np.nan), "none": np.zeros(600)}, np.ones(600), 2.0)
    assert isinstance(found, Expecting)
    assert found.sums([np.zeros(5), np.zeros(5)])[0][1] == pytest.approx(5)


def test_sums_of_two_models_say_nothing_together() -> None:
    by, given = learnt(), rows_of(100, 9)
    one, other = added(by, given), added(by, given)
    assert one.merge(other).expected[0] == 200 and one.merge(Tally()).expected_by == 1
    other.expected_by = 2
    assert one.merge(other).expected[0] == 0
    again = tally.unpack(tally.pack(one))
    assert (again.expected == one.expected).all() and (again.large_cells == one.large_cells).all()
