"""Hours and days give what the minutes give, before and after late spans; and every minute is answered once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.ground import clock
from afterlaunch.telemetry import queries, records, store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.ranked import layers, ranked
from afterlaunch.telemetry.tables import TABLES, TIERS
from afterlaunch.telemetry.tests.test_queries import pairs
from afterlaunch.telemetry.tiers import apart, plan, shorter

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 3


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    first=st.integers(0, 6000),
    length=st.integers(1, 6000),
    grain=st.sampled_from((1, 30, 60, 120, 1440)),
    hours=st.sets(st.integers(0, 200)),
    days=st.sets(st.integers(0, 8)),
)
def test_every_minute_is_answered_once(first: int, length: int, grain: int, hours: set[int], days: set[int]) -> None:
    last = first + length
    found = plan(first, last, grain, {hour * 60 for hour in hours}, {day * 1440 for day in days})
    assert [minute for one in found for minute in range(one.first, one.last)] == list(range(first, last))
    for one in found:
        size = TIERS[one.tier]
        assert one.first % size == 0 == one.last % size and grain % size == 0


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    first=st.integers(0, 8000),
    length=st.integers(1, 8000),
    hours=st.sets(st.integers(0, 300)),
    days=st.sets(st.integers(0, 12)),
)
def test_a_day_less_its_rest_is_the_same_from_no_more_minutes(
    first: int, length: int, hours: set[int], days: set[int]
) -> None:
    last, held = first + length, ({hour * 60 for hour in hours}, {day * 1440 for day in days})
    found = plan(first, last, 0, *held)
    short = shorter(found, *held)
    counted = Counter[int]()
    for one in short:
        for minute in range(one.first, one.last):
            counted[minute] += one.sign
    assert {minute for minute, times in counted.items() if times} == set(range(first, last))
    assert set(counted.values()) <= {0, 1}
    assert sum(one.last - one.first for one in short if one.tier != "day") <= length


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    bounds=st.lists(st.integers(0, 8000), min_size=2, max_size=5, unique=True).map(sorted),
    hours=st.sets(st.integers(0, 140)),
    days=st.sets(st.integers(0, 6)),
)
def test_no_piece_crosses_a_bound(bounds: list[int], hours: set[int], days: set[int]) -> None:
    held = ({hour * 60 for hour in hours}, {day * 1440 for day in days})
    found = apart((plan(since, until, 1440, *held) for since, until in pairwise(bounds)), most=10_000)
    assert found is not None
    assert [minute for one in found for minute in range(one.first, one.last)] == list(range(bounds[0], bounds[-1]))
    for one in found:
        size = TIERS[one.tier]
        rows = range(one.first, one.last, size)
        assert not any(row < bound < row + size for row in rows for bound in bounds)
    assert apart([found], most=len(found) - 1) is None


def spans(seed: int, count: int) -> Any:
    draw = random.Random(seed)
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs({"afterlaunch.client": "acme", "afterlaunch.system": "desk"}))
    for _ in range(count):
        start = clock.to_ns(START) + draw.randrange(DAYS * 86_400) * 10**9
        told: dict[str, Any] = {
            "gen_ai.operation.name": draw.choice(("chat", "chat", "execute_tool")),
            "gen_ai.provider.name": "openai",
            "gen_ai.response.model": draw.choice(("gpt-4o", "gpt-4o-mini")),
            "gen_ai.usage.input_tokens": draw.randrange(10, 5000),
            "gen_ai.usage.output_tokens": draw.randrange(1, 500),
        }
        if draw.random() < 0.2:
            told["error.type"] = "timeout"
        span = group.scope_spans.add(scope={"name": "app"}).spans.add(
            trace_id=draw.randbytes(16), span_id=draw.randbytes(8), name="x", start_time_unix_nano=start
        )
        span.end_time_unix_nano = start + draw.randrange(1, 10**10)
        span.attributes.extend(pairs(told))
    return normalise(request.SerializeToString(), "application/x-protobuf", None, 0).table


ODD = START + timedelta(hours=25, minutes=7)


@pytest.fixture
def opened(place: Path | str) -> Iterator[store.Store]:
    yield store.open_store(place)
    store.close_store()


def answers() -> list[Any]:
    end = START + timedelta(days=DAYS)
    asked: list[Any] = [
        queries.windows(START, end, ["model"]),
        queries.operations(START, end, ["op_kind", "tool"]),
        queries.windows(START + timedelta(minutes=7), end - timedelta(hours=5, minutes=3), [], model="gpt-4o"),
        queries.windows(START + timedelta(minutes=5), end - timedelta(minutes=50), ["model"]),
        queries.series(START, end, 180),
        queries.series(START, end, 45),
        queries.stretches([START, START + timedelta(hours=5), START + timedelta(days=2), end], ["model"]),
        queries.stretches([START + timedelta(minutes=7), START + timedelta(hours=29, minutes=59), end], ["model"]),
        queries.stretches([START + timedelta(minutes=61 * n) for n in range(DAYS * 23)], []),
        ranked(ODD, end - timedelta(minutes=3), ["model"], before=START + timedelta(minutes=1)).rows,
        layers([START + timedelta(minutes=9), ODD, end - timedelta(minutes=1)], "model", "tokens", 2).steps,
    ]
    return [sorted(rows, key=repr) for rows in asked]


def test_what_is_added_up_answers_like_the_minutes(opened: store.Store) -> None:
    opened.commit([spans(1, 800)])
    over = clock.to_ns(START + timedelta(days=DAYS + 1))
    for late in (None, spans(2, 5), spans(3, 300)):
        if late is not None:
            opened.commit([late])
        by_minutes = answers()
        opened.upkeep(over)
        tiers = {one.tier for one in opened.engine.stretches(*_minutes(), 1440)}
        assert tiers == {"day"}, "everything is added up"
        assert answers() == by_minutes


def test_what_was_forgotten_by_the_minute_is_not_counted_in(place: Path | str) -> None:
    """A day is taken whole, less its first hours, only while these are known by the minute."""
    opened = store.open_store(place)
    try:
        opened.commit([spans(1, 800)])
        opened.upkeep(clock.to_ns(START + timedelta(days=DAYS + 1)))
        begin, end = START + timedelta(minutes=35), START + timedelta(days=DAYS)
        asked = sum(one.calls for one in queries.windows(begin, end, []))
        first = queries.minute_of(START)
        (row,) = opened.query("select sum(calls) as calls from sums_minute where minute < ?", [first + 60])
        (kept,) = opened.query("select sum(calls) as calls from sums_minute where minute < ?", [first + 35])
        (minutes,) = [one for one in TABLES if one.name == "sums_minute"]
        opened.take_out(minutes, "minute < ?", [first + 60])
        left = sum(one.calls for one in queries.windows(begin, end, []))
        assert left <= asked
        assert row["calls"] > kept["calls"] > 0
    finally:
        store.close_store()


def _minutes() -> tuple[int, int]:
    return queries.minute_of(START), queries.minute_of(START + timedelta(days=DAYS))


def under_new_ids(table: Any, number: int) -> Any:
    """The same spans as another sender's."""
    for name, width in (("trace_id", 16), ("span_id", 8)):
        raw = table[name].combine_chunks().buffers()[1]
        words = np.frombuffer(raw, np.uint64)[: table.num_rows * width // 8] ^ np.uint64(number << 40)
        ids = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), table.num_rows, [None, pa.py_buffer(words)])
        table = table.set_column(table.schema.get_field_index(name), name, ids)
    return table


def test_a_trace_is_found_wherever_it_lies_and_nowhere_else(place: Path | str) -> None:
    store.open_store(place)
    tables = [spans(seed, 400) for seed in range(10, 13)]
    many = spans(100, 4_000)
    try:
        for number in range(9):
            store.current().commit([under_new_ids(many, number)])
            if number in (0, 4, 8):
                store.current().commit([tables[number // 4]])
        for _ in range(2):
            for table in tables:
                wanted = table["trace_id"][7].as_py()
                found, _ = records.trace(wanted.hex())
                assert [row["span_id"] for row in found] == [table["span_id"][7].as_py().hex()]
                inside, parameters = store.current().engine.holding(wanted)
                (held,) = store.current().query(f"select count(*) as spans from spans where {inside}", parameters)
                assert held["spans"] < 40_000 + 9_000
            assert records.trace("ff" * 16) == ([], [])
            store.close_store()
            store.open_store(place)
    finally:
        store.close_store()
