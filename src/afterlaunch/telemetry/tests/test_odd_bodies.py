"""What fuzzing found (`python -m tests.fuzz`): each of these once broke a commit, a mapping, or the memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.prices.table import _rates, rates
from afterlaunch.telemetry import queries, rollups, suspects
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.columns import DIMENSIONS
from afterlaunch.telemetry.conventions import caching, identity, normalise
from afterlaunch.telemetry.otlp import decode
from afterlaunch.telemetry.tests.telling import AT, PROTOBUF, body, pairs, row, span
from afterlaunch.telemetry.tiers import Stretch
from afterlaunch.telemetry.tiers import plan as tiers_of


def twice(*values: str) -> bytes:
    """A span with one key several times."""
    one = span({})
    for value in values:
        one.attributes.extend(pairs({"model": value}))
    return body(one)


@pytest.mark.parametrize(("values", "kept"), [(("a", "b"), "b"), (("", "b"), "b"), (("a", ""), ""), (("a", "a"), "a")])
def test_of_a_key_sent_twice_the_last_is_kept(place: Path | str, values: tuple[str, ...], kept: str) -> None:
    """A map with a key twice broke the commit, and that of everybody beside it."""
    made = normalise(twice(*values), PROTOBUF, None, AT)
    store = stores.open_store(place)
    assert store.commit([made.table]) == (1, 0)
    assert [dict(one) for one in made.table["attributes"].to_pylist()] == [{"model": kept}]
    assert len(made.table["attributes"][0]) == 1
    stores.close_store()


@pytest.mark.parametrize("read", [lambda data: normalise(data, PROTOBUF, None, AT), lambda data: decode(data, data)])
def test_a_length_beyond_all_is_told_as_a_bad_body(read: Any) -> None:
    """Eleven bytes made the decoder give up in a way that nothing caught, and those who waited with them waited for
    ever."""
    with pytest.raises(Invalid, match="no OTLP trace request"):
        read(b"\n" + b"\xff" * 9 + b"\x7f")


@pytest.mark.parametrize(("start", "end"), [(2**63, 2**64 - 1), (2**64 - 1, 0), (2**63 - 1, 2**63), (0, 2**64 - 1)])
def test_clocks_beyond_the_year_2262_are_kept_at_their_end(place: Path | str, start: int, end: int) -> None:
    one = span({"gen_ai.operation.name": "chat"})
    one.start_time_unix_nano, one.end_time_unix_nano = start, end
    table = normalise(body(one), PROTOBUF, None, AT).table
    store = stores.open_store(place)
    assert store.commit([table]) == (1, 0)
    (kept,) = store.query("select start_ns, duration_ns from spans")
    assert kept["start_ns"] == min(start, 2**63 - 1)
    assert kept["duration_ns"] == (None if end < start else min(end, 2**63 - 1) - min(start, 2**63 - 1))
    stores.close_store()


@pytest.mark.parametrize("date", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_date_outside_of_what_is_counted_in_nanoseconds_is_unknown(date: str) -> None:
    told = {"gen_ai.operation.name": "retrieval", "afterlaunch.retrieval.index.updated_at": date}
    told |= {"retrieval.index.updated_at": date, "langfuse.observation.completion_start_time": date}
    found = row(told)
    assert "mapping_failed" not in found["flags"] and found["index_updated_ns"] is None and found["ttft_ns"] is None


def test_what_one_resource_tells_is_not_multiplied_by_its_spans() -> None:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs({"service.name": "n" * 2**20, "some.note": "m" * 2**20}))
    spans = group.scope_spans.add(scope={"name": "s" * 2**20}).spans
    for number in range(1, 2_001):
        spans.add(trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), start_time_unix_nano=AT)
    table = normalise(request.SerializeToString(), PROTOBUF, None, AT).table
    assert table.num_rows == 2_000 and table.nbytes < 10 * identity.SPREAD


def test_many_resources_with_many_words_are_not_paired_each_with_each() -> None:
    request = ExportTraceServiceRequest()
    for number in range(1, 5_001):
        group = request.resource_spans.add()
        group.resource.attributes.extend(pairs({"service.name": f"service {number}"}))
        one = group.scope_spans.add().spans.add(trace_id=number.to_bytes(16, "big"), start_time_unix_nano=AT)
        one.span_id = number.to_bytes(8, "big")
        one.attributes.extend(pairs({"afterlaunch.system": f"system {number}", "gen_ai.request.model": f"m{number}"}))
    began = time.process_time()
    table = normalise(request.SerializeToString(), PROTOBUF, None, AT).table
    assert table["system"].to_pylist()[:2] == ["system 1", "system 2"]
    assert time.process_time() - began < 20, "a hang, not a speed"


def test_many_scopes_in_one_commit_are_looked_at_once() -> None:
    count = 10_000
    rows = pa.table(
        {
            "start_ns": pa.array(np.full(count, AT)),
            "response_id": pa.array([None, "r"] * (count // 2)),
            "trace_id": pa.array([(n // 2 + 1).to_bytes(16, "big") for n in range(count)], pa.binary(16)),
            "scope": pa.array([f"scope {n % (count - 1)}" for n in range(count)]),
            "stream_key": pa.nulls(count, pa.string()),
        }
    )
    began = time.process_time()
    found = suspects._Told(rows).across_scopes()
    assert found.all() and time.process_time() - began < 5, "a hang, not a speed"


def test_rows_of_one_trace_are_suspects_when_another_scope_lacks_an_id() -> None:
    told = [("a", "x", "1"), ("a", "y", "2"), ("b", "x", None), ("b", "y", "2"), ("c", "x", None), ("c", "x", None)]
    rows = pa.table(
        {
            "start_ns": pa.array([AT] * len(told)),
            "response_id": pa.array([one[2] for one in told]),
            "trace_id": pa.array([one[0].encode() * 16 for one in told], pa.binary(16)),
            "scope": pa.array([one[1] for one in told]),
            "stream_key": pa.nulls(len(told), pa.string()),
        }
    )
    assert suspects._Told(rows).across_scopes().tolist() == [False, False, True, True, False, False]


def test_what_is_remembered_of_senders_is_bounded() -> None:
    """By number, and none of it is long."""
    long = "x" * 100_000
    asked: list[str] = []

    @caching.kept(10, 5)
    def seen(text: str) -> int:
        asked.append(text)
        return len(text)

    assert [seen("short"), seen("short"), seen("longer"), seen("longer")] == [5, 5, 6, 6]
    assert asked == ["short", "longer", "longer"]
    before = _rates.cache_info().currsize
    assert rates("openai", long, pa.scalar(AT, pa.timestamp("ns", "UTC")).as_py().to_pydatetime()) is None
    assert _rates.cache_info().currsize == before
    series = rollups.SeriesIds()
    names: dict[str, Any] = {name: pa.array([long], pa.string()) for name in DIMENSIONS}
    (number,), _ = series.of(pa.table(names))
    assert not series._known and series.of(pa.table(names))[0][0] == number
    processes = suspects.Processes()
    processes.note(("acme", "i", "m", f"scope {n}") for n in range(1_000))
    processes.note([("acme", long, "m", "one"), ("acme", long, "m", "two")])
    assert processes.mixed() == {("acme", "i", "m")} and sum(map(len, processes._scopes.values())) == 2


def test_a_question_over_centuries_costs_what_there_is() -> None:
    began = time.process_time()
    for _ in range(200):
        found = tiers_of(0, 290 * 366 * 1440, 1440, {60, 120}, {1440})
    assert found[0] == Stretch("minute", 0, 60) and Stretch("day", 1440, 2880) in found
    assert time.process_time() - began < 2, "a hang, not a speed"


@pytest.mark.parametrize("told", [{"gen_ai.usage.input_tokens": 2**53 - 1}, {"gen_ai.usage.cost": 4e9}])
def test_numbers_in_another_unit_make_no_sum_overflow(place: Path | str, told: dict[str, Any]) -> None:
    """Two thousand of them made every page fail that shows a sum, or the sum wrong."""
    common = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "own", "gen_ai.usage.output_tokens": 3} | told
    data = body(*(span(common, number=number, trace=number) for number in range(1, 2_001)))
    table = normalise(data, PROTOBUF, None, AT).table
    assert set(table["flags"].to_pylist()[0]) & {"invalid_value"} and table["cost_nano"].null_count == 2_000
    store = stores.open_store(place)
    assert store.commit([table]) == (2_000, 0)
    store.upkeep(AT + 3 * 86_400 * 10**9)
    (row,) = queries.windows(clock.from_ns(AT), clock.from_ns(AT + 60 * 10**9), [], None)
    assert (row.calls, row.output_tokens, row.cost_nano) == (2_000, 6_000, 0)
    stores.close_store()
