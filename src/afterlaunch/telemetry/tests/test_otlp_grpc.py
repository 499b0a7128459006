"""OTLP over gRPC as its senders meet it: the official exporters, every status, and the rows that stand afterwards."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Status as OtlpStatus

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import Unavailable
from afterlaunch.telemetry import intake as intakes
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.ingest import Ingest
from afterlaunch.telemetry.intake import TRACES, Door, Intake
from afterlaunch.telemetry.lander import Lander
from afterlaunch.telemetry.otlp_grpc import DETAILS, SERVICES, GrpcReceiver, peer_of
from afterlaunch.telemetry.signals import receivers, tables

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NS = int(NOW.timestamp()) * 10**9
LIMIT = 100_000
OPEN = Door(True)
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
PROTOBUF, JSON = "application/x-protobuf", "application/json"


@dataclass
class Receiving:
    """A store of its own with every receiver in front of it."""

    intakes: dict[str, Intake]
    receiver: GrpcReceiver
    channel: grpc.Channel
    metadata: list[tuple[str, str]] = field(default_factory=list)

    def export(self, signal: str, body: bytes, compression: Any = None, timeout: float = 10) -> bytes:
        call: Any = self.channel.unary_unary(f"/{SERVICES[signal]}/Export")
        return bytes(call(body, compression=compression, metadata=tuple(self.metadata), timeout=timeout))

    def post(self, signal: str, body: bytes, kind: str, encoding: str = "identity") -> int:
        sent: list[Any] = []
        headers = [(b"content-type", kind.encode()), (b"content-encoding", encoding.encode())]
        scope = {"method": "POST", "headers": headers, "client": ("127.0.0.1", 1)}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(Ingest(self.intakes[signal])(scope, receive, send))
        return int(sent[0]["status"])

    def refused(self, signal: str, body: bytes, **more: Any) -> tuple[grpc.StatusCode, Status]:
        with pytest.raises(grpc.RpcError) as caught:
            self.export(signal, body, **more)
        problem: Any = caught.value
        told = dict(problem.trailing_metadata() or ())
        return problem.code(), Status.FromString(told.get(DETAILS, b""))


def receiving(folder: Path, door: Door = OPEN, max_bytes: int = 10_000_000) -> Iterator[Receiving]:
    store = stores.open_store(folder / "t.duckdb")
    tables.prepare(store)
    landers: dict[str, Lander] = {
        "traces": store,
        "metrics": tables.Lander(store, tables.METRICS),
        "logs": tables.Lander(store, tables.LOGS),
    }
    kinds = {"traces": TRACES, "metrics": receivers.METRICS, "logs": receivers.LOGS}
    buffers = {name: Buffer(lander, max_bytes) for name, lander in landers.items()}
    made = {name: Intake(buffers[name], LIMIT, door, kinds[name]) for name in buffers}
    receiver = GrpcReceiver(made, "127.0.0.1", 0)
    receiver.start()
    with grpc.insecure_channel(f"127.0.0.1:{receiver.port}", [("grpc.max_send_message_length", -1)]) as channel:
        yield Receiving(made, receiver, channel)
    receiver.stop()
    for buffer in buffers.values():
        buffer.close()
    stores.close_store()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Receiving]:
    yield from receiving(tmp_path)


def attribute(key: str, value: AnyValue) -> KeyValue:
    return KeyValue(key=key, value=value)


EVERY_KIND = [
    attribute("text", AnyValue(string_value="grüß 🚀")),
    attribute("whole", AnyValue(int_value=2**62)),
    attribute("real", AnyValue(double_value=0.1)),
    attribute("no number", AnyValue(double_value=float("nan"))),
    attribute("endless", AnyValue(double_value=float("-inf"))),
    attribute("yes", AnyValue(bool_value=True)),
    attribute("raw", AnyValue(bytes_value=b"\x00\xff")),
    attribute("list", AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue(string_value="b")]))),
    attribute("map", AnyValue(kvlist_value=KeyValueList(values=[attribute("traceId", AnyValue(string_value="x"))]))),
    attribute("nothing", AnyValue()),
]
RESOURCE = [
    attribute("service.name", AnyValue(string_value="support")),
    attribute("deployment.environment.name", AnyValue(string_value="production")),
]
CALL = {
    "gen_ai.operation.name": AnyValue(string_value="chat"),
    "gen_ai.provider.name": AnyValue(string_value="openai"),
    "gen_ai.response.model": AnyValue(string_value="gpt-4o-2024-08-06"),
    "gen_ai.usage.input_tokens": AnyValue(int_value=1000),
    "gen_ai.usage.output_tokens": AnyValue(int_value=100),
}


def traces() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(RESOURCE)
    scope = group.scope_spans.add()
    scope.scope.name = "s"
    for number in (1, 2):
        span = scope.spans.add(
            trace_id=b"\x0a" * 16, span_id=bytes([number] * 8), name=f"chat {number}", kind=3,
            start_time_unix_nano=NS, end_time_unix_nano=NS + 1_500_000_000,
        )  # fmt: skip
        if number == 2:
            span.parent_span_id = b"\x01" * 8
            span.status.code = OtlpStatus.STATUS_CODE_ERROR
            span.events.add(name="exception", time_unix_nano=NS, attributes=EVERY_KIND[:3])
            span.links.add(trace_id=b"\x0b" * 16, span_id=b"\x0c" * 8)
        span.attributes.extend([*(attribute(key, value) for key, value in CALL.items()), *EVERY_KIND])
    return request


def metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(RESOURCE)
    scope = group.scope_metrics.add()
    gauge = scope.metrics.add(name="gpu", unit="1").gauge
    gauge.data_points.add(time_unix_nano=NS, as_double=0.25, attributes=EVERY_KIND)
    gauge.data_points.add(time_unix_nano=NS + 1, flags=1)
    total = scope.metrics.add(name="calls").sum
    total.is_monotonic, total.aggregation_temporality = True, CUMULATIVE
    point = total.data_points.add(time_unix_nano=NS, start_time_unix_nano=NS - 10, as_int=2**53 + 1)
    point.exemplars.add(time_unix_nano=NS, as_int=1, trace_id=b"\x0a" * 16, span_id=b"\x01" * 8)
    histogram = scope.metrics.add(name="seconds", unit="s").histogram
    histogram.aggregation_temporality = DELTA
    histogram.data_points.add(
        time_unix_nano=NS, count=3, sum=1.5, min=0.1, max=1.0, explicit_bounds=[0.5], bucket_counts=[2, 1]
    )
    exponential = scope.metrics.add(name="exponential").exponential_histogram
    exponential.aggregation_temporality = CUMULATIVE
    bucket = exponential.data_points.add(time_unix_nano=NS, count=3, sum=7.0, scale=1, zero_count=1)
    bucket.positive.offset = -1
    bucket.positive.bucket_counts.extend([1, 1])
    summary = scope.metrics.add(name="summary").summary.data_points.add(time_unix_nano=NS, count=2, sum=3.0)
    summary.quantile_values.add(quantile=0.5, value=1.0)
    return request


def logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(RESOURCE)
    scope = group.scope_logs.add()
    for number, body in enumerate(EVERY_KIND):
        scope.log_records.add(
            time_unix_nano=NS + number, severity_number=17, severity_text="ERROR", body=body.value,
            trace_id=b"\x0a" * 16, span_id=b"\x01" * 8, attributes=EVERY_KIND, event_name="happened",
        )  # fmt: skip
    return request


REQUESTS: dict[str, Callable[[], Message]] = {"traces": traces, "metrics": metrics, "logs": logs}
TABLES = {"traces": ("spans", "calls"), "metrics": ("points",), "logs": ("records",)}
IDS = ("traceId", "spanId", "parentSpanId")


def as_json(message: Message, upper: bool = False) -> bytes:
    """OTLP/JSON: ids in hex, enums as numbers, 64-bit numbers as text."""
    import base64

    def hexed(node: Any) -> Any:
        if isinstance(node, list):
            return [hexed(one) for one in node]
        if not isinstance(node, dict):
            return node
        out = {}
        for name, value in node.items():
            if name in IDS and isinstance(value, str):
                text = base64.b64decode(value).hex()
                out[name] = text.upper() if upper else text
            else:
                out[name] = hexed(value)
        return out

    told = hexed(MessageToDict(message, use_integers_for_enums=True))
    return json.dumps({**told, "unheardOf": {"traceId": 7}}).encode()


def rows(signal: str) -> list[Any]:
    found = [stores.current().query(f"select * from {table}") for table in TABLES[signal]]
    return [sorted((repr(row) for row in table), key=str) for table in found]


WAYS: dict[str, Callable[[Receiving, str, Message], object]] = {
    "protobuf": lambda to, signal, told: to.post(signal, told.SerializeToString(), PROTOBUF),
    "protobuf, gzip": lambda to, signal, told: to.post(
        signal, gzip.compress(told.SerializeToString()), PROTOBUF, "gzip"
    ),
    "json": lambda to, signal, told: to.post(signal, as_json(told), JSON + "; charset=utf-8"),
    "json, gzip": lambda to, signal, told: to.post(signal, gzip.compress(as_json(told, True)), JSON, "gzip"),
    "grpc": lambda to, signal, told: to.export(signal, told.SerializeToString()),
    "grpc, gzip": lambda to, signal, told: to.export(signal, told.SerializeToString(), grpc.Compression.Gzip),
}


@pytest.mark.parametrize("signal", REQUESTS)
def test_one_request_gives_the_same_rows_whatever_carries_it(signal: str, tmp_path: Path) -> None:
    found: dict[str, list[Any]] = {}
    with clock.frozen(NOW):
        for way, send in WAYS.items():
            for to in receiving(tmp_path / way):
                assert send(to, signal, REQUESTS[signal]()) in (200, b""), way
                found[way] = rows(signal)
    first = found["protobuf"]
    assert all(first) and all(told == first for told in found.values())


def test_the_official_exporters_store_here(here: Receiving) -> None:
    """Traces, metrics and logs of the real SDK, one of them gzipped."""
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource, address = Resource.create({"service.name": "desk"}), f"127.0.0.1:{here.receiver.port}"
    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(address, insecure=True, compression=grpc.Compression.Gzip))
    )
    with tracing.get_tracer("t").start_as_current_span("turn"):
        pass
    assert tracing.force_flush(10_000)
    tracing.shutdown()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(address, insecure=True), 60_000)
    metering = MeterProvider([reader], resource=resource)
    metering.get_meter("t").create_counter("calls").add(3)
    assert metering.force_flush(10_000)
    metering.shutdown()
    logging = LoggerProvider(resource=resource)
    logging.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(address, insecure=True)))
    logging.get_logger("t").emit(body="hello", timestamp=NS)
    logging.shutdown()
    query = stores.current().query
    assert query("select system, name from spans") == [{"system": "desk", "name": "turn"}]
    assert query("select distinct system, name, value from points") == [
        {"system": "desk", "name": "calls", "value": 3.0}
    ]
    assert query("select system, body from records") == [{"system": "desk", "body": "hello"}]


def test_an_empty_request_succeeds(here: Receiving) -> None:
    for signal in SERVICES:
        assert here.export(signal, b"") == b""


def test_what_can_never_be_stored_is_told_as_partial_success(here: Receiving) -> None:
    request = traces()
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b"\x00" * 16
    answer = ExportTraceServiceResponse.FromString(here.export("traces", request.SerializeToString()))
    assert answer.partial_success.rejected_spans == 1 and "number 0" in answer.partial_success.error_message
    assert stores.current().query("select count(*) as n from spans") == [{"n": 1}]


def details(status: Status) -> list[str]:
    return [one.type_url.rpartition(".")[2] for one in status.details]


def test_what_is_wrong_with_a_body_is_told_and_is_never_sent_again(here: Receiving) -> None:
    code, status = here.refused("traces", b"\x0a\xff")
    assert code is grpc.StatusCode.INVALID_ARGUMENT and status.code == 3 and details(status) == ["BadRequest"]
    told = BadRequest()
    assert status.details[0].Unpack(told) and told.field_violations[0].description
    broken = gzip.compress(traces().SerializeToString())
    for body in (broken[:-9], broken[:20] + b"\xff" * 20 + broken[40:], b"\x1f\x8bx"):
        assert here.refused("traces", body)[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert here.refused("logs", b"\x0a\x04\x12\x02\x0a\xff")[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_another_compression_is_not_taken(here: Receiving) -> None:
    code, _ = here.refused("traces", traces().SerializeToString(), compression=grpc.Compression.Deflate)
    assert code is grpc.StatusCode.UNIMPLEMENTED


def test_a_body_over_the_limit_is_refused_for_good_before_and_after_inflating(here: Receiving) -> None:
    for body, compression in (
        (b"\x0a" * (LIMIT + 1), None),
        (b"\x00" * (50 * LIMIT), grpc.Compression.Gzip),
        (gzip.compress(b"\x00" * (LIMIT + 1)), None),
    ):
        code, status = here.refused("traces", body, compression=compression)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not details(status), "RetryInfo would have it sent again for ever"


def test_a_full_buffer_says_when_to_come_again(here: Receiving) -> None:
    buffer = here.intakes["traces"].buffer
    buffer.reserve(buffer.max_bytes)
    code, status = here.refused("traces", traces().SerializeToString())
    assert code is grpc.StatusCode.UNAVAILABLE and details(status) == ["RetryInfo"]
    told = RetryInfo()
    assert status.details[0].Unpack(told) and 1 <= told.retry_delay.seconds <= 30
    buffer.release(buffer.max_bytes)
    buffer.decoded()
    assert here.export("traces", traces().SerializeToString()) == b""
    assert buffer.held_bytes == 0


def test_a_commit_that_takes_too_long_may_be_sent_again_and_lands_once(
    here: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intakes, "COMMIT_SECONDS", 0.1)
    store = stores.current()
    with store._write:  # somebody else writes
        code, status = here.refused("traces", traces().SerializeToString())
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED and details(status) == ["RetryInfo"]
    monkeypatch.setattr(intakes, "COMMIT_SECONDS", 10)
    assert here.export("traces", traces().SerializeToString()) == b""
    assert store.query("select count(*) as n from spans") == [{"n": 2}]
    assert here.intakes["traces"].buffer.held_bytes == 0


def test_a_sender_that_hangs_up_stops_nobody(here: Receiving) -> None:
    store = stores.current()
    with store._write:
        code, _ = here.refused("traces", traces().SerializeToString(), timeout=0.2)
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert here.export("traces", traces().SerializeToString()) == b"", "the commits go on"


def test_a_store_that_fails_is_unavailable_and_what_we_cannot_read_is_a_dead_letter(
    here: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(tables: list[Any]) -> tuple[int, int]:
        raise OSError("no space left on device")

    monkeypatch.setattr(stores.current(), "commit", fails)
    code, status = here.refused("traces", traces().SerializeToString())
    assert code is grpc.StatusCode.UNAVAILABLE and "device" not in status.message
    signal = here.intakes["logs"].signal
    monkeypatch.setattr(here.intakes["logs"], "signal", replace(signal, decode=lambda *_: pa.nonsense))
    code, status = here.refused("logs", logs().SerializeToString())
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "dead letter" in status.message


@pytest.mark.django_db(transaction=True)
def test_tokens_come_in_the_metadata(tmp_path: Path) -> None:
    acme = Client.objects.create(slug="acme", name="Acme", created_at=clock.now())
    secrets = {role: create_token(automation("test"), role, role, acme)[1] for role in ("ingest", "viewer")}
    body = traces().SerializeToString()
    for to in receiving(tmp_path, Door(False, at_once=1)):
        assert to.refused("traces", body)[0] is grpc.StatusCode.UNAUTHENTICATED
        for secret, named in (("alt_x", "UNAUTHENTICATED"), (secrets["viewer"], "PERMISSION_DENIED")):
            to.metadata = [("authorization", f"Bearer {secret}")]
            assert to.refused("traces", body)[0].name == named
        to.metadata = [("authorization", f"Bearer {secrets['ingest']}")]
        assert to.export("traces", body) == b""
        assert stores.current().query("select distinct client from spans") == [{"client": "acme"}]
        with to.intakes["traces"].turn(intakes.Sender("acme", f"Bearer {secrets['ingest']}")):
            code, status = to.refused("traces", body)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED and details(status) == ["RetryInfo"]
        assert to.export("traces", body) == b""


def test_whom_a_proxy_forwards_is_a_stranger(here: Receiving) -> None:
    here.metadata = [("x-forwarded-for", "192.0.2.7")]
    assert here.refused("traces", b"")[0] is grpc.StatusCode.UNAUTHENTICATED


def test_a_port_that_is_taken_is_named(here: Receiving) -> None:
    with pytest.raises(Unavailable, match=f"127.0.0.1:{here.receiver.port}"):
        GrpcReceiver(here.intakes, "127.0.0.1", here.receiver.port).start()


@pytest.mark.parametrize(
    ("told", "peer"),
    [
        ("ipv4:127.0.0.1:5000", "127.0.0.1"),
        ("ipv6:%5B::1%5D:5000", "::1"),
        ("ipv6:[::ffff:10.0.0.1]:5000", "10.0.0.1"),
        ("unix:/run/x", ""),
        ("", ""),
    ],
)
def test_a_peer_is_read_as_an_address(told: str, peer: str) -> None:
    assert peer_of(told) == peer
