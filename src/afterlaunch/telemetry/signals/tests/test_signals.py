"""Metrics and logs as senders meet them: the real SDK, JSON, Prometheus; and what the questions answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from afterlaunch.ground.errors import AfterlaunchError, Invalid
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.ingest import Ingest
from afterlaunch.telemetry.intake import Door, Intake
from afterlaunch.telemetry.signals import points, prometheus, questions, receivers, records, tables

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NS = int(AT.timestamp()) * 10**9
SECOND = 10**9
JSON, PROTOBUF = "application/json", "application/x-protobuf"


@pytest.fixture
def store(place: Path | str) -> Iterator[stores.Store]:
    made = stores.open_store(place)
    tables.prepare(made)
    yield made
    stores.close_store()


def post(application: Any, body: bytes, kind: str, **more: str) -> tuple[int, bytes, dict[str, str]]:
    headers = {"content-type": kind, **{name.replace("_", "-"): value for name, value in more.items()}}
    scope = {
        "type": "http",
        "method": "POST",
        "client": ("127.0.0.1", 5),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], sent[1]["body"], told


@pytest.fixture
def metrics(store: stores.Store) -> Iterator[Ingest]:
    buffer = Buffer(tables.Lander(store, tables.METRICS), 1_000_000)
    yield Ingest(Intake(buffer, 1_000_000, Door(True), receivers.METRICS))
    buffer.close()


@pytest.fixture
def logs(store: stores.Store) -> Iterator[Ingest]:
    buffer = Buffer(tables.Lander(store, tables.LOGS), 1_000_000)
    yield Ingest(Intake(buffer, 1_000_000, Door(True), receivers.LOGS))
    buffer.close()


def attributes(**told: str) -> list[dict[str, Any]]:
    return [{"key": name.replace("_", "."), "value": {"stringValue": value}} for name, value in told.items()]


def metric_body(name: str, data: dict[str, Any]) -> bytes:
    resource = {"attributes": attributes(service_name="support", deployment_environment_name="production")}
    scope = [{"metrics": [{"name": name, "unit": "1", **data}]}]
    return json.dumps({"resourceMetrics": [{"resource": resource, "scopeMetrics": scope}]}).encode()


def counter(*values: tuple[int, int]) -> dict[str, Any]:
    rows = [{"timeUnixNano": str(NS + at * SECOND), "asInt": str(value)} for at, value in values]
    return {"sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": rows}}


def test_what_is_sent_twice_is_stored_once(store: stores.Store, metrics: Ingest) -> None:
    body = metric_body("http.requests", counter((0, 1), (10, 5)))
    for _ in range(2):
        status, answer, _ = post(metrics, body, JSON)
        assert (status, answer) == (200, b"{}")
    assert store.query("select count(*) as n from points") == [{"n": 2}]
    (row,) = store.query("select distinct client, system, environment, kind, unit from points")
    assert row == {"client": "house", "system": "support", "environment": "prod", "kind": "counter", "unit": "1"}


def test_a_counter_that_restarts_counts_from_zero(store: stores.Store, metrics: Ingest) -> None:
    post(metrics, metric_body("http.requests", counter((-10, 100), (0, 160), (30, 220), (60, 30), (90, 90))), JSON)
    found = questions.over_time("http.requests", AT, AT + timedelta(seconds=120), 60, combine="sum")
    # 60 + 60 in the 40 seconds that end in the first minute; then a restart: 30, and 60 more, in 60 seconds.
    assert [(one.at, one.value) for one in found] == [(AT, 3.0), (AT + timedelta(seconds=60), 1.5)]


def test_a_gap_is_no_zero(store: stores.Store, metrics: Ingest) -> None:
    rows = [{"timeUnixNano": str(NS), "asDouble": 0.5}, {"timeUnixNano": str(NS + 60 * SECOND), "flags": 1}]
    post(metrics, metric_body("gpu", {"gauge": {"dataPoints": rows}}), JSON)
    assert store.query("select value from points order by at_ns") == [{"value": 0.5}, {"value": None}]
    assert len(questions.over_time("gpu", AT, AT + timedelta(minutes=2), 60)) == 1


def test_points_without_a_time_are_rejected_by_number(metrics: Ingest) -> None:
    status, answer, _ = post(metrics, metric_body("gpu", {"gauge": {"dataPoints": [{"asDouble": 1}]}}), JSON)
    assert status == 200
    assert json.loads(answer)["partialSuccess"]["rejectedDataPoints"] == "1"
    request = ExportMetricsServiceRequest()
    made = request.resource_metrics.add().scope_metrics.add().metrics.add(name="x")
    made.gauge.data_points.add(as_int=1)
    status, answer, _ = post(metrics, request.SerializeToString(), PROTOBUF)
    assert ExportMetricsServiceResponse.FromString(answer).partial_success.rejected_data_points == 1


def test_an_exponential_histogram_keeps_every_count() -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="latency")
    metric.exponential_histogram.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    point = metric.exponential_histogram.data_points.add(time_unix_nano=NS, count=10, sum=30.0, scale=0, zero_count=1)
    point.positive.offset = 0
    point.positive.bucket_counts.extend([2, 3, 4])
    (row,) = points.from_otlp(request.SerializeToString(), PROTOBUF, None, NS).table.to_pylist()
    assert row["bounds"] == [1.0, 2.0, 4.0, 8.0]
    assert row["counts"] == [1, 2, 3, 4, 0] and sum(row["counts"]) == row["count"] == 10


def test_the_real_sdk_is_understood(store: stores.Store, metrics: Ingest, logs: Ingest) -> None:
    """Its own encoders, its own objects; both signals."""
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.resources import Resource

    reader = InMemoryMetricReader()
    resource = Resource.create({"service.name": "desk", "host.name": "n1"})
    meter = MeterProvider(metric_readers=[reader], resource=resource).get_meter("t")
    meter.create_counter("calls").add(3, {"model": "m"})
    meter.create_histogram("seconds", "s").record(0.25)
    data = reader.get_metrics_data()
    assert data is not None
    status, _, _ = post(metrics, encode_metrics(data).SerializeToString(), PROTOBUF)
    assert status == 200
    rows = store.query("select name, kind, value, count, sum, host, labels from points order by name")
    assert [(row["name"], row["kind"]) for row in rows] == [("calls", "counter"), ("seconds", "histogram")]
    assert rows[0]["value"] == 3 and dict(rows[0]["labels"]) == {"model": "m"} and rows[0]["host"] == "n1"
    assert rows[1]["count"] == 1 and rows[1]["sum"] == 0.25


def log_body(text: str, at: int = NS, trace: str = "0af7651916cd43dd8448eb211c80319c") -> bytes:
    record = {
        "timeUnixNano": str(at),
        "severityNumber": 17,
        "severityText": "ERROR",
        "body": {"stringValue": text},
        "traceId": trace,
        "spanId": "b7ad6b7169203331",
        "attributes": attributes(event_name="agent.failed"),
    }
    resource = {"attributes": attributes(service_name="support")}
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}).encode()


def test_logs_are_stored_once_and_found(store: stores.Store, logs: Ingest) -> None:
    for text in ("Tool crashed", "Tool crashed", "All is well"):
        assert post(logs, log_body(text), JSON)[0] == 200
    end = AT + timedelta(minutes=1)
    found = questions.records(AT, end, text="CRASHED", least_severity=17)
    assert [row["body"] for row in found] == ["Tool crashed"]
    assert found[0]["event"] == "agent.failed" and found[0]["trace_id"].startswith("0af7")
    first, second = (questions.records(AT, end, limit=1, cursor=cursor) for cursor in (None, None))
    again = questions.records(AT, end, limit=1, cursor=first[0]["cursor"])
    assert first == second and {first[0]["body"], again[0]["body"]} == {"Tool crashed", "All is well"}
    assert questions.records(AT, end, frozenset({"acme"})) == []


def test_an_empty_request_succeeds(logs: Ingest) -> None:
    status, answer, _ = post(logs, b"", PROTOBUF)
    assert status == 200 and not ExportLogsServiceResponse.FromString(answer).HasField("partial_success")


def test_a_wrong_id_is_named(logs: Ingest) -> None:
    status, answer, _ = post(logs, log_body("x", trace="zz"), JSON)
    assert status == 400
    assert "resourceLogs[0].scopeLogs[0].logRecords[0].traceId" in json.loads(answer)["message"]


def write_request(name: str, samples: list[tuple[float, float]], **labels: str) -> bytes:
    request = prometheus._request()()
    series = request.timeseries.add()
    for label, text in {"__name__": name, **labels}.items():
        if text:
            series.labels.add(name=label, value=text)
    for at, value in samples:
        series.samples.add(timestamp=int(at), value=value)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


@pytest.fixture
def remote(store: stores.Store) -> Iterator[receivers.RemoteWrite]:
    buffer = Buffer(tables.Lander(store, tables.METRICS), 1_000_000)
    yield receivers.RemoteWrite(buffer, 100_000, Door(True))
    buffer.close()


def test_prometheus_writes_here(store: stores.Store, remote: receivers.RemoteWrite) -> None:
    at = AT.timestamp() * 1000
    body = write_request("node_cpu_seconds_total", [(at, 1.0), (at + 15_000, float("nan"))], job="node", instance="n1")
    for _ in range(2):
        assert post(remote, body, PROTOBUF, content_encoding="snappy")[0] == 204
    rows = store.query("select system, host, kind, value from points order by at_ns")
    assert rows[0] == {"system": "node", "host": "n1", "kind": "counter", "value": 1.0}
    assert len(rows) == 2 and rows[1]["value"] is None


def test_prometheus_is_told_what_is_wrong(remote: receivers.RemoteWrite) -> None:
    body = write_request("up", [(1000.0, 1.0)])
    assert post(remote, body, PROTOBUF)[0] == 415
    assert post(remote, body, PROTOBUF + ";proto=io.prometheus.write.v2.Request", content_encoding="snappy")[0] == 415
    assert post(remote, b"\xff\xff\xff\xff\xff\xff", PROTOBUF, content_encoding="snappy")[0] == 400
    assert post(remote, b"\x80\x80\x80\x10", PROTOBUF, content_encoding="snappy")[0] == 413
    assert post(remote, write_request("", [(1000.0, 1.0)]), PROTOBUF, content_encoding="snappy")[0] == 400


@pytest.mark.parametrize("take", [points.from_otlp, records.from_otlp, prometheus.from_remote_write])
@settings(max_examples=150, deadline=None)
@given(body=some.binary(max_size=400), json_too=some.booleans())
def test_no_body_breaks_a_decoder(take: Any, body: bytes, json_too: bool) -> None:
    with contextlib.suppress(AfterlaunchError):
        take(body, JSON if json_too else PROTOBUF, None, NS)


def test_questions_refuse_what_makes_no_sense(store: stores.Store) -> None:
    with pytest.raises(Invalid, match="too fine"):
        questions.over_time("x", AT, AT + timedelta(days=30), 1)
    with pytest.raises(Invalid, match="no way to combine"):
        questions.over_time("x", AT, AT + timedelta(hours=1), 60, combine="; drop table points")
    assert questions.over_time("x", AT, AT + timedelta(hours=1), 60, group_by=["'; drop table points; --"]) == []
