"""Calls and answers for tests, as an application would send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from afterlaunch.ground import clock
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.signals import tables
from afterlaunch.telemetry.signals.records import RECORDS
from afterlaunch.telemetry.tests.telling import pairs

NOW = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
_numbers = count(1)
RESOURCE = {"afterlaunch.client": "acme", "afterlaunch.system": "support", "deployment.environment.name": "prod"}


def ago(**parts: float) -> datetime:
    return NOW - timedelta(**parts)


def calls(
    at: datetime,
    good: int = 0,
    bad: int = 0,
    ms: int = 200,
    more: Mapping[str, Any] | None = None,
    service: str = "",
    over: timedelta = timedelta(),
) -> bytes:
    """So many calls, spread evenly from `at` on."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(RESOURCE | ({"service.name": service} if service else {})))
    spans = group.scope_spans.add(scope={"name": "app"}).spans
    many = good + bad
    for place in range(many):
        number = next(_numbers)
        start = clock.to_ns(at + over * (place / many))
        span = spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name="chat",
            start_time_unix_nano=start,
        )
        span.end_time_unix_nano = start + ms * 1_000_000
        told: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.response.model": "gpt-4o-mini", **(more or {})}
        failed = (place + 1) * bad // many > place * bad // many
        if failed:
            told["error.type"] = "500"
            span.status.code = Status.STATUS_CODE_ERROR
        span.attributes.extend(pairs(told))
    return request.SerializeToString()


def tell(store: stores.Store, *bodies: bytes) -> None:
    for body in bodies:
        store.commit([normalise(body, "application/x-protobuf", None, 0).table])


def last_trace() -> bytes:
    return (next(_numbers) - 1).to_bytes(16, "big")


def rate(store: stores.Store, rows: Sequence[tuple[datetime, bytes | None, str, float | None, str | None]]) -> None:
    """Evaluation events: (when, trace, name, score, label)."""
    found = []
    for at, trace, name, score, label in rows:
        told = {"gen_ai.evaluation.name": name}
        told |= {} if score is None else {"gen_ai.evaluation.score.value": str(score)}
        told |= {} if label is None else {"gen_ai.evaluation.score.label": label}
        found.append(
            {
                "digest": next(_numbers),
                "client": "acme",
                "system": "support",
                "environment": "prod",
                "at_ns": clock.to_ns(at),
                "severity": 9,
                "event": "gen_ai.evaluation.result",
                "trace_id": trace,
                "attributes": list(told.items()),
            }
        )
    tables.Lander(store, tables.LOGS).commit([pa.Table.from_pylist(found, schema=RECORDS)])
