"""Bodies and rows for tests: spans as plain dictionaries in, columns as plain dictionaries out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from afterlaunch.telemetry.conventions import normalise

AT = 1_772_323_200_000_000_000
MS = 1_000_000
PROTOBUF = "application/x-protobuf"


def any_value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    out = AnyValue()
    if isinstance(value, Mapping):
        out.kvlist_value.SetInParent()
        out.kvlist_value.values.extend(pairs(value))
    elif value is not None:
        out.array_value.SetInParent()
        out.array_value.values.extend(any_value(one) for one in value)
    return out


def pairs(told: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in told.items()]


def span(
    told: Mapping[str, Any],
    *,
    number: int = 1,
    name: str = "x",
    kind: Any = 3,
    lasts_ms: int = 1000,
    parent: int = 0,
    trace: int = 1,
    status: Any = 0,
    message: str = "",
    events: Iterable[tuple[str, int, Mapping[str, Any]]] = (),
) -> Span:
    """`events`: name, milliseconds after the start, attributes."""
    out = Span(trace_id=trace.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), name=name, kind=kind)
    out.parent_span_id = parent.to_bytes(8, "big") if parent else b""
    out.start_time_unix_nano, out.end_time_unix_nano = AT, AT + lasts_ms * MS
    out.status.code, out.status.message = status, message
    out.attributes.extend(pairs(told))
    for event, after, attributes in events:
        out.events.add(name=event, time_unix_nano=AT + after * MS).attributes.extend(pairs(attributes))
    return out


def body(
    *spans: Span, scope: str = "a.scope", version: str = "1.0", resource: Mapping[str, Any] | None = None
) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs({"service.name": "desk"} if resource is None else resource))
    group.scope_spans.add(scope={"name": scope, "version": version}).spans.extend(spans)
    return request.SerializeToString()


def rows(data: bytes, content_type: str = PROTOBUF, received_ns: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = normalise(data, content_type, "acme", received_ns).table.to_pylist()
    for row in found:
        row["attributes"] = dict(row["attributes"])
        row["flags"] = set(row["flags"] or ())
    return found


def row(
    told: Mapping[str, Any], scope: str = "a.scope", resource: Mapping[str, Any] | None = None, **of_span: Any
) -> dict[str, Any]:
    """The columns of one span."""
    return rows(body(span(told, **of_span), scope=scope, resource=resource))[0]


def text(value: Any) -> str:
    """JSON, as some senders put it into attributes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
