"""Whatever text, number and time a client can send is stored and read back equal, on both engines; what can't be is
refused with a clear error before anything is written."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.signals import points, records
from afterlaunch.telemetry.signals.tables import LOGS, METRICS, Lander, prepare
from afterlaunch.telemetry.tables import SPAN_TABLE, Table
from afterlaunch.telemetry.tests.telling import PROTOBUF, any_value, body, pairs, span

few = settings(
    max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True
)
ROWS = 12
TEXT = st.one_of(
    st.text(max_size=40),
    st.sampled_from(("", "\0", "a\0b", "\\N", "\\", "'", '"', "`", "{a:b}", "?", "%s", "NULL", "\r\n\t", "\x1e\x1f",
                     "\U0010ffff", "\ufeff", "é", "é", "\u202e", "--", "/*", "\ud7ff", "x" * 70_000)),
)  # fmt: skip
INT64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from((0, -1, 2**63 - 1, -(2**63), 2**53 + 1)))
REAL = st.floats(allow_nan=True, allow_infinity=True)
KEYS = st.one_of(
    TEXT.filter(lambda text: 0 < len(text) < 1000),
    st.sampled_from(("gen_ai.operation.name", "gen_ai.request.model", "gen_ai.usage.input_tokens", "tenant.id",
                     "gen_ai.usage.output_tokens", "session.id", "user.id", "gen_ai.conversation.id", "error.type",
                     "gen_ai.response.time_to_first_chunk", "gen_ai.retrieval.documents", "gen_ai.evaluation.name",
                     "gen_ai.tool.name", "http.response.status_code", "gen_ai.response.finish_reasons")),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(TEXT, INT64, REAL, st.booleans(), st.binary(max_size=9), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)
TIMES = st.one_of(st.integers(0, 2**64 - 1), st.integers(1_772_323_200 * 10**9, 1_772_323_300 * 10**9))


@pytest.fixture
def kept(place: Path | str) -> Iterator[stores.Store]:
    opened = stores.open_store(place)
    prepare(opened)
    yield opened
    stores.close_store()


@st.composite
def spans(draw: st.DrawFn) -> bytes:
    many = []
    for number in range(1, ROWS + 1):
        told = draw(st.dictionaries(KEYS, VALUES, max_size=6))
        one = span(told, number=number, name=draw(TEXT), kind=draw(st.integers(0, 5)), message=draw(TEXT))
        one.trace_id, one.span_id = _id(16), _id(8)
        one.parent_span_id = _id(8) if draw(st.booleans()) else b""
        one.start_time_unix_nano, one.end_time_unix_nano = draw(TIMES), draw(TIMES)
        one.trace_state = draw(TEXT)
        one.status.code = draw(st.integers(0, 2))  # type: ignore[assignment]
        one.events.add(name=draw(TEXT), time_unix_nano=draw(TIMES)).attributes.extend(pairs(draw(_some)))
        many.append(one)
    resource = draw(st.dictionaries(st.sampled_from(("service.name", "host.name", "x")), TEXT, max_size=3))
    return body(*many, scope=draw(TEXT), version=draw(TEXT), resource=resource)


_some = st.dictionaries(KEYS, VALUES, max_size=2)


_numbers = count(1)


def _id(width: int) -> bytes:
    """Never the same twice."""
    return hashlib.sha256(b"%d" % next(_numbers)).digest()[:width]


def same(one: Any, other: Any) -> bool:
    """As both engines tell it: an empty list or map stands for none."""
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or one == other
    if isinstance(one, list | tuple) or isinstance(other, list | tuple):
        left, right = list(one or ()), list(other or ())
        return len(left) == len(right) and all(map(same, left, right))
    return bool(one == other)


def read(store: stores.Store, table: Table | None, schema: Any, keys: Sequence[str]) -> list[dict[str, Any]]:
    names = ", ".join(f'"{name}"' for name in schema.names)
    found = store.engine.arrow(f"select {names} from {table.name if table else 'spans'}")
    rows: list[dict[str, Any]] = found.cast(schema).to_pylist()
    return sorted(rows, key=lambda row: [str(row[name]) for name in keys])


def assert_equal(found: list[dict[str, Any]], sent: list[dict[str, Any]]) -> None:
    assert len(found) == len(sent)
    for row, told in zip(found, sent, strict=True):
        wrong = {name: (row[name], value) for name, value in told.items() if not same(row[name], value)}
        assert not wrong, wrong


def test_spans_are_read_back_as_they_were_told(kept: stores.Store) -> None:
    @few
    @given(spans())
    def told(data: bytes) -> None:
        kept.engine.delete(SPAN_TABLE, "true")
        table = normalise(data, PROTOBUF, "acme", 1_772_323_200 * 10**9).table
        stored, _ = kept.commit([table])
        sent = sorted(table.to_pylist(), key=lambda row: [str(row[name]) for name in ("trace_id", "span_id")])
        assert stored == len(sent)
        assert not any("mapping_failed" in (row["flags"] or ()) for row in sent)
        free = {"inherited", *_TAKEN_OVER}
        found = read(kept, None, SPANS, ("trace_id", "span_id"))
        for row in (*found, *sent):
            for name in free:
                row.pop(name)
        assert_equal(found, sent)

    told()


def logs(told: list[tuple[int, Any, dict[str, Any], str]]) -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(pairs({"service.name": "desk"}))
    scope = group.scope_logs.add()
    for at, said, attributes, word in told:
        one = scope.log_records.add(time_unix_nano=at, body=any_value(said), severity_text=word, event_name=word)
        one.attributes.extend(pairs(attributes))
    return request.SerializeToString()


def test_log_records_are_read_back_as_they_were_told(kept: stores.Store) -> None:
    @few
    @given(st.lists(st.tuples(TIMES, VALUES, _some, TEXT), min_size=1, max_size=ROWS))
    def told(many: list[tuple[int, Any, dict[str, Any], str]]) -> None:
        kept.engine.delete(LOGS, "true")
        rows = records.from_otlp(logs(many), PROTOBUF, "acme", 1).table
        landed, _ = Lander(kept, LOGS).commit([rows])
        sent = {row["digest"]: row for row in rows.to_pylist()}
        assert landed == len(sent)
        assert_equal(
            read(kept, LOGS, rows.schema, ("digest",)), sorted(sent.values(), key=lambda row: str(row["digest"]))
        )

    told()


def gauges(told: list[tuple[int, float | int, dict[str, Any], str]]) -> bytes:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for at, value, labels, name in told:
        metric = scope.metrics.add(name=name, unit=name)
        point = metric.gauge.data_points.add(time_unix_nano=at)
        if isinstance(value, float):
            point.as_double = value
        else:
            point.as_int = value
        point.attributes.extend(pairs(labels))
    return request.SerializeToString()


def test_points_are_read_back_as_they_were_told(kept: stores.Store) -> None:
    @few
    @given(st.lists(st.tuples(TIMES, st.one_of(INT64, REAL), _some, TEXT), min_size=1, max_size=ROWS))
    def told(many: list[tuple[int, float | int, dict[str, Any], str]]) -> None:
        kept.engine.delete(METRICS, "true")
        taken = points.from_otlp(gauges(many), PROTOBUF, "acme", 1)
        landed, _ = Lander(kept, METRICS).commit([taken.table])
        sent = {(row["series"], row["at_ns"]): row for row in reversed(taken.table.to_pylist())}
        assert landed == len(sent)
        found = read(kept, METRICS, taken.table.schema, ("series", "at_ns"))
        assert_equal(found, sorted(sent.values(), key=lambda row: (str(row["series"]), str(row["at_ns"]))))

    told()


_TAKEN_OVER = ("session", "user", "transaction", "tenant", "agent", "agent_id", "agent_version", "workflow", "route",
               "prompt_name", "prompt_version", "release")  # fmt: skip
