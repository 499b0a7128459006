"""Whole columns are judged as their values are one by one."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as some

from afterlaunch.data_contracts.alone import typed
from afterlaunch.data_contracts.cells import TYPES, instant, is_type, marker, missing, number
from afterlaunch.data_contracts.coded import NEVER, coded, micros
from afterlaunch.data_contracts.columnar import doubtful
from afterlaunch.data_contracts.expressions import Expression
from afterlaunch.data_contracts.seen import Seen

NUMBERS = ["1", "-2.5", "+3", "1.", " 4 ", "1e5", "1e9999", "1e0005", "inf", "nan", "0x1", "１２", "1_0", "12 kg"]
TIMES = ["2026-01-01", "2026-02-30", "0000-01-01", "2026-01-01T00:00:00Z", "2026-01-01 10:00", "20260101", "12:30"]
OTHERS = ["", " ", "N/A", " n/a ", "\u00a0NA", "unKnown", "none of it", "true", "München", "-"]
MANY = some.sampled_from([*NUMBERS, *TIMES, *OTHERS]) | some.text(max_size=8)
COLUMNS = some.lists(MANY, max_size=20) | some.sampled_from([NUMBERS[:3], TIMES[:1], TIMES[3:4], ["7"] * 30]).flatmap(
    lambda known: some.lists(some.sampled_from([*known, ""]), max_size=40)
)


@given(COLUMNS, some.booleans())
@settings(max_examples=400, deadline=None)
def test_a_column_says_what_its_values_say(values: list[str], in_codes: bool) -> None:
    array = pa.array([one or None for one in values], pa.string())
    column = coded(array.dictionary_encode() if in_codes else array)
    told = [column.values[code] for code in column.codes]
    assert told == values and [column.cell(row) for row in range(len(values))] == values
    assert column.of_rows(column.gone).tolist() == [missing(one) or marker(one) for one in values]
    written = [math.nan if (told_as := number(one)) is None else told_as for one in values]
    np.testing.assert_array_equal(column.of_rows(column.numbers), written)
    if column.instants is not None:
        found = [NEVER if not one else micros(at) if (at := instant(one)) else None for one in values]
        assert column.of_rows(column.instants[0]).tolist() == found
    for kind in TYPES:
        loose = kind not in ("integer", "number")
        wrong = typed(kind)(column)
        for value, code in zip(values, column.codes.tolist(), strict=True):
            fine = missing(value) or is_type(value, kind) or (loose and marker(value))
            assert fine == (code not in wrong), (kind, value)


@given(
    some.sampled_from(["a <= b", "a + 1 == b", "a / b > 0 or a == 2", "not a < b", "a < b < 3", "-a < b", 'a == "x"']),
    some.lists(some.tuples(some.sampled_from(["0", "1", "2", "-1", "2.5", "", "N/A", "x"]), MANY), max_size=20),
)
@settings(max_examples=400, deadline=None)
def test_no_record_that_breaks_an_expression_is_passed_over(text: str, records: list[tuple[str, str]]) -> None:
    columns = {name: coded(pa.array([one[at] for one in records], pa.string())) for at, name in enumerate("ab")}
    looked_at = set(doubtful(Expression(text), columns, len(records)).tolist())
    for row, (a, b) in enumerate(records):
        if Expression(text).holds({"a": a, "b": b}) is False:
            assert row in looked_at


def test_numbers_and_instants_that_keep_an_expression_are_not_looked_at_one_by_one() -> None:
    low, high = pa.array(["1", "", "5"]), pa.array(["2", "3", "4"])
    assert doubtful(Expression("a <= b"), {"a": coded(low), "b": coded(high)}, 3).tolist() == [2]
    times = [pa.array([f"2026-01-0{day}T00:00:00Z" for day in days]) for days in ((1, 2, 3), (2, 2, 2))]
    assert doubtful(Expression("a <= b"), dict(zip("ab", map(coded, times), strict=True)), 3).tolist() == [2]


@given(some.lists(some.lists(some.integers(0, 2**64 - 1) | some.integers(0, 50), max_size=60), max_size=12))
@settings(max_examples=100, deadline=None)
def test_what_was_seen_before_is_known(batches: list[list[int]]) -> None:
    seen, before = Seen(), set[int]()
    for batch in batches:
        keys = sorted(set(batch))
        assert seen.take(np.array(keys, np.uint64)).tolist() == [key in before for key in keys]
        before.update(keys)
    assert seen.count == len(before)
