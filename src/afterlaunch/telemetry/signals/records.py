"""Log records as one table. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from afterlaunch.telemetry.encodings import read
from afterlaunch.telemetry.signals.points import INT63, Taken
from afterlaunch.telemetry.signals.wire import Place, text, texts

RECORDS = pa.schema(
    [
        ("digest", pa.int64()),  # of everything below: what is sent twice is stored once
        ("client", pa.string()),
        ("system", pa.string()),
        ("environment", pa.string()),
        ("service", pa.string()),
        ("host", pa.string()),
        ("scope", pa.string()),
        ("at_ns", pa.int64()),
        ("severity", pa.int8()),  # 1 to 24, 0 unknown
        ("severity_text", pa.string()),
        ("event", pa.string()),
        ("body", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("trace_id", pa.binary(16)),
        ("span_id", pa.binary(8)),
    ]
)


def from_otlp(body: bytes, content_type: str, client: str | None, received_ns: int) -> Taken:
    """An ExportLogsServiceRequest. A record without a time has that of its observation, else of its arrival.
    Raises Invalid, Unsupported."""
    told = read(ExportLogsServiceRequest, body, content_type)
    request = told.message
    rows = []
    for group in request.resource_logs:
        place = Place(group.resource, client)
        for scope in group.scope_logs:
            rows += [_row(place, scope.scope.name, one, received_ns) for one in scope.log_records]
    return Taken(pa.Table.from_pylist(rows, schema=RECORDS), told.rejected, list(told.messages))


def count(request: ExportLogsServiceRequest) -> int:
    """Of its records."""
    return sum(len(scope.log_records) for group in request.resource_logs for scope in group.scope_logs)


def _row(place: Place, scope: str, record: LogRecord, received_ns: int) -> dict[str, Any]:
    attributes = texts(record.attributes)
    told = min(record.time_unix_nano or record.observed_time_unix_nano, INT63)
    row: dict[str, Any] = {
        "client": place.client,
        "system": place.system,
        "environment": place.environment,
        "service": place.service,
        "host": place.host,
        "scope": scope or None,
        "at_ns": told or received_ns,
        "severity": record.severity_number if 0 <= record.severity_number <= 24 else 0,
        "severity_text": record.severity_text or None,
        "event": record.event_name or attributes.pop("event.name", None),
        "body": text(record.body),
        "attributes": list(attributes.items()),
        "trace_id": _id(record.trace_id, 16),
        "span_id": _id(record.span_id, 8),
    }
    known = [value.hex() if isinstance(value, bytes) else value for value in row.values()]
    digest = hashlib.blake2b(orjson.dumps([*known[:6], told, *known[7:]]), digest_size=8).digest()
    return {"digest": int.from_bytes(digest, "big") & INT63, **row}


def _id(given: bytes, width: int) -> bytes | None:
    return given if len(given) == width and any(given) else None
