"""Bodies of every signal: made up with structure, recorded from real instrumentations, and broken byte by byte."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import cramjam
import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from afterlaunch.telemetry.signals import prometheus
from tests.fuzz import ingredients as some
from tests.real_input import shared

PROTOBUF, JSON = "application/x-protobuf", "application/json"
TRACES, METRICS, LOGS, WRITE = "/v1/traces", "/v1/metrics", "/v1/logs", "/api/v1/write"
RECORDED = "data/otlp-from-instrumentations"
MESSAGES: dict[str, Any] = {TRACES: ExportTraceServiceRequest, METRICS: ExportMetricsServiceRequest}
MESSAGES[LOGS] = ExportLogsServiceRequest
IDS = ("traceId", "spanId", "parentSpanId")
HERE = (("service.name", "fuzz"), ("deployment.environment.name", "test"))


@dataclass(frozen=True)
class Body:
    """`data` before `encoding`. `mark` stands in what must be stored: `neighbours` good items, whatever is beside them;
    a `whole` body is read by the protocol's own library, so that nothing but single items may be refused."""

    path: str
    data: bytes
    content_type: str = PROTOBUF
    encoding: str = ""
    mark: bytes = b""
    neighbours: int = 0
    whole: bool = False

    def sent(self) -> bytes:
        if self.encoding == "gzip":
            return gzip.compress(self.data, 1)
        return bytes(cramjam.snappy.compress_raw(self.data)) if self.encoding == "snappy" else self.data


@dataclass(frozen=True)
class Kind:
    """One way to make bodies; `weight`: how often."""

    name: str
    make: Callable[[Random], Body]
    weight: int = 1


def resource(draw: Random, into: Any) -> None:
    into.attributes.extend(KeyValue(key=key, value={"string_value": told}) for key, told in HERE)
    if draw.random() < 0.3:
        into.attributes.extend(some.pairs(draw, 8))


def spans(draw: Random) -> tuple[ExportTraceServiceRequest, bytes]:
    """Odd ones between three plain calls, whose span ids begin with the mark."""
    request, mark = ExportTraceServiceRequest(), some.new_id(6)
    places: list[Any] = []
    for _ in range(draw.choice((1, 1, 2, 4))):
        group = request.resource_spans.add()
        resource(draw, group.resource)
        for _ in range(draw.choice((1, 1, 3))):
            scope = group.scope_spans.add()
            scope.scope.name = draw.choice(("app", "openinference.instrumentation.openai", some.text(draw, False)))
            places.append(scope.spans)
    for number in range(draw.randrange(1, 8)):
        odd_span(draw, draw.choice(places).add())
        if number < 3:
            plain_call(draw, draw.choice(places).add(), mark + bytes((0, number + 1)))
    return request, mark


def odd_span(draw: Random, span: Any) -> None:
    span.trace_id, span.span_id = some.some_id(draw, 16), some.some_id(draw, 8)
    span.parent_span_id = draw.choice((b"", some.some_id(draw, 8)))
    span.name, span.trace_state = some.text(draw), draw.choice(("", some.text(draw, False)))
    span.start_time_unix_nano, span.end_time_unix_nano = some.instant(draw), some.instant(draw)
    span.kind = draw.choice((0, 1, 2, 3, 4, 5, 6, -1, 99, 2**31 - 1, -(2**31)))
    if draw.random() < 0.5:
        span.status.code = draw.choice((0, 1, 2, 3, 300, -1, 2**31 - 1))
        span.status.message = some.text(draw)
    span.attributes.extend(some.pairs(draw))
    for _ in range(draw.choice((0, 0, 0, 1, 3, 200))):
        event = span.events.add(name=draw.choice(("exception", "gen_ai.choice", some.text(draw, False))))
        event.time_unix_nano = some.instant(draw)
        event.attributes.extend(some.pairs(draw, 4))
    for _ in range(draw.choice((0, 0, 0, 2))):
        span.links.add(trace_id=some.some_id(draw, 16), span_id=some.some_id(draw, 8)).attributes.extend(
            some.pairs(draw, 3)
        )


def plain_call(draw: Random, span: Any, span_id: bytes) -> None:
    span.trace_id, span.span_id, span.name = some.new_id(16), span_id, "chat"
    span.start_time_unix_nano = some.NOW + draw.randrange(10**12)
    span.end_time_unix_nano = span.start_time_unix_nano + 10**8
    for key, told in (("gen_ai.operation.name", "chat"), ("gen_ai.response.model", "gpt-4o")):
        span.attributes.add(key=key).value.string_value = told
    span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 10
    span.attributes.add(key="gen_ai.usage.output_tokens").value.int_value = 5


def made_traces(draw: Random) -> Body:
    request, mark = spans(draw)
    return _whole(draw, TRACES, request, mark, sum(one.span_id[:6] == mark for one in _spans_of(request)))


def _spans_of(request: ExportTraceServiceRequest) -> list[Any]:
    return [one for group in request.resource_spans for scope in group.scope_spans for one in scope.spans]


def _whole(draw: Random, path: str, request: Message, mark: bytes, neighbours: int) -> Body:
    gzipped = "gzip" if draw.random() < 0.2 else ""
    if draw.random() < 0.75:
        return Body(path, request.SerializeToString(), PROTOBUF, gzipped, mark, neighbours, whole=True)
    return Body(path, json.dumps(as_otlp(request)).encode(), JSON, gzipped, mark, neighbours, whole=True)


def as_otlp(request: Message) -> Any:
    """OTLP's own JSON: ids in hex, enums as numbers."""
    return _hexed(MessageToDict(request, use_integers_for_enums=True))


def _hexed(node: Any) -> Any:
    if isinstance(node, list):
        return [_hexed(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        name: base64.b64decode(one).hex() if name in IDS and isinstance(one, str) else _hexed(one)
        for name, one in node.items()
    }


def made_metrics(draw: Random) -> Body:
    request, mark = ExportMetricsServiceRequest(), some.new_id(8).hex()
    group = request.resource_metrics.add()
    resource(draw, group.resource)
    metrics, good = group.scope_metrics.add().metrics, draw.randrange(1, 4)
    for number in range(good):
        point = metrics.add(name=f"{mark}.good").gauge.data_points.add(as_double=1.5, time_unix_nano=some.NOW)
        point.attributes.add(key="n").value.int_value = number
        odd_metric(draw, metrics.add(name=draw.choice(("", "m", mark, some.text(draw, False)))))
    return _whole(draw, METRICS, request, mark.encode(), good)


def odd_metric(draw: Random, metric: Metric) -> None:
    metric.unit = some.text(draw, False)
    which = draw.choice(("gauge", "sum", "histogram", "exponential_histogram", "summary", None))
    if which is None:
        return
    data = getattr(metric, which)
    if which in ("sum", "histogram", "exponential_histogram"):
        data.aggregation_temporality = draw.choice((0, 1, 2, 7, -1))
    if which == "sum":
        data.is_monotonic = draw.random() < 0.5
    for _ in range(draw.choice((0, 1, 1, 3))):
        point = data.data_points.add()
        point.time_unix_nano, point.start_time_unix_nano = some.instant(draw), some.instant(draw)
        point.flags = draw.choice((0, 0, 1, 2**32 - 1))
        point.attributes.extend(some.pairs(draw, 5))
        if which in ("gauge", "sum"):
            if draw.random() < 0.5:
                point.as_int = draw.choice(some.WHOLE)
            elif draw.random() < 0.8:
                point.as_double = draw.choice(some.REAL)
            point.exemplars.add(trace_id=some.some_id(draw, 16))
            continue
        point.count, point.sum = abs(draw.choice(some.WHOLE)), draw.choice(some.REAL)
        if which == "summary":
            for _ in range(draw.randrange(3)):
                point.quantile_values.add(quantile=draw.choice(some.REAL), value=draw.choice(some.REAL))
        elif which == "histogram":
            point.explicit_bounds.extend(draw.choice(some.REAL) for _ in range(draw.randrange(5)))
            point.bucket_counts.extend(abs(draw.choice(some.WHOLE)) for _ in range(draw.randrange(5)))
        else:
            point.scale = draw.choice((0, 3, -10, 20, 21, -11, 2**31 - 1, -(2**31)))
            point.zero_count, point.zero_threshold = abs(draw.choice(some.WHOLE)), draw.choice(some.REAL)
            for side in (point.positive, point.negative):
                side.offset = draw.choice((0, 1, -1, 2**31 - 1, -(2**31)))
                side.bucket_counts.extend(abs(draw.choice(some.WHOLE)) for _ in range(draw.choice((0, 1, 5, 160))))


def made_logs(draw: Random) -> Body:
    request, mark = ExportLogsServiceRequest(), some.new_id(8).hex()
    group = request.resource_logs.add()
    resource(draw, group.resource)
    records, good = group.scope_logs.add().log_records, draw.randrange(1, 4)
    for number in range(good):
        records.add(time_unix_nano=some.NOW + number, event_name=mark).body.string_value = f"line {number}"
        odd = records.add(time_unix_nano=some.instant(draw), observed_time_unix_nano=some.instant(draw))
        odd.severity_number = draw.choice((0, 9, 17, 24, 25, -1, 2**31 - 1))
        odd.severity_text, odd.event_name = some.text(draw, False), draw.choice(("", some.text(draw, False)))
        odd.body.CopyFrom(some.value(draw))
        odd.attributes.extend(some.pairs(draw, 8))
        odd.trace_id, odd.span_id = some.some_id(draw, 16), some.some_id(draw, 8)
    return _whole(draw, LOGS, request, mark.encode(), good)


def made_writes(draw: Random) -> Body:
    request, mark = prometheus._request()(), some.new_id(8).hex()
    good = draw.randrange(1, 4)
    for number in range(good):
        one = request.timeseries.add()
        for name, told in (("__name__", f"{mark}.good"), ("job", "fuzz"), ("n", str(number))):
            one.labels.add(name=name, value=told)
        one.samples.add(value=1.5, timestamp=some.NOW // 10**6)
        odd = request.timeseries.add()
        for _ in range(draw.randrange(5)):
            odd.labels.add(
                name=draw.choice(("__name__", "job", "le", "", some.text(draw, False))), value=some.text(draw)
            )
        for _ in range(draw.choice((0, 1, 3))):
            odd.samples.add(value=draw.choice(some.REAL), timestamp=draw.choice((*some.WHOLE, some.NOW // 10**6)))
    return Body(WRITE, request.SerializeToString(), PROTOBUF, "snappy", mark.encode(), good, whole=True)


@cache
def recorded() -> tuple[tuple[str, bytes], ...]:
    """(path, body) of what real instrumentations sent; none where that input is absent."""
    found, folder = [], shared()
    for file in sorted((folder / RECORDED).glob("*.jsonl.gz")) if folder else []:
        with gzip.open(file) as lines:
            for row in map(orjson.loads, lines):
                found += [(one["path"], base64.b64decode(one["protobuf_base64"])) for one in row["otlp"]]
    return tuple(found)


def real(draw: Random) -> Body:
    """A recorded body with other ids and some odd values in it."""
    if not recorded():
        return made_traces(draw)
    path, data = draw.choice(recorded())
    if path != TRACES:
        return broken(draw, Body(path, data))
    request = ExportTraceServiceRequest.FromString(data)
    mark = some.new_id(6)
    for number, span in enumerate(_spans_of(request)):
        span.trace_id, span.span_id = some.new_id(16), mark + number.to_bytes(2, "big")
        for one in span.attributes:
            if draw.random() < 0.15:
                one.value.CopyFrom(some.value(draw))
            elif draw.random() < 0.05:
                one.key = draw.choice(some.keys())
    return _whole(draw, TRACES, request, mark, len(_spans_of(request)))


MADE = (made_traces, made_metrics, made_logs, made_writes, real)


def broken(draw: Random, body: Body | None = None) -> Body:
    """Any of the others with bytes changed, taken out, doubled, put elsewhere, or cut off."""
    body = body or draw.choice(MADE)(draw)
    data = bytearray(body.data)
    for _ in range(draw.choice((1, 1, 2, 5))):
        if not data:
            break
        at, size = draw.randrange(len(data)), draw.choice((1, 1, 2, 8, 64))
        match draw.randrange(6):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                data[at : at + size] = draw.randbytes(size)
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = data[at : at + size]
            case 4:
                data[at : at + 8] = struct.pack("<Q", draw.choice((0, 2**63, 2**64 - 1, 0x7FF8000000000000)))
            case _:
                del data[at:]
    return Body(body.path, bytes(data), body.content_type, body.encoding)


def odd_json(draw: Random) -> Body:
    """OTLP/JSON in which some places hold another JSON value."""
    body = draw.choice((made_traces, made_metrics, made_logs))(draw)
    kind = MESSAGES[body.path]
    document = orjson.loads(body.data) if body.content_type == JSON else as_otlp(kind.FromString(body.data))
    places = list(_places(document))
    for _ in range(draw.choice((1, 1, 2, 4))):
        holder, key = draw.choice(places)
        holder[key] = draw.choice((some.plain(draw), [], {}, None, "x", [[]] * 3, {"stringValue": 5}, 10**40))
    return Body(body.path, json.dumps(document).encode(), JSON, draw.choice(("", "gzip")))


def _places(node: Any) -> Any:
    for key, one in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(one, (dict, list)):
            yield from _places(one)


def noise(draw: Random) -> Body:
    """Bytes, and headers that do not fit them."""
    data = draw.choice((b"", b"{}", b"[]", b"null", b"[" * 100_000, b'{"resourceSpans":' * 5_000, draw.randbytes(200)))
    kinds = (
        PROTOBUF,
        JSON,
        "",
        "text/plain",
        "application/json; charset=utf-16",
        PROTOBUF + ";proto=x.v2.Request",
        "é",
    )
    paths = (TRACES, METRICS, LOGS, WRITE)
    return Body(draw.choice(paths), data, draw.choice(kinds), draw.choice(("", "gzip", "snappy", "br", "gzip, gzip")))


KINDS = (
    Kind("made traces", made_traces, 6),
    Kind("recorded", real, 4),
    Kind("made metrics", made_metrics, 2),
    Kind("made logs", made_logs, 2),
    Kind("made remote writes", made_writes, 2),
    Kind("broken bytes", broken, 4),
    Kind("odd JSON", odd_json, 3),
    Kind("noise", noise, 1),
)
