"""Prometheus remote write 1.0: snappy-compressed WriteRequest bodies as metric points. Pure.

Format: prometheus.io/docs/specs/prw/remote_write_spec. Samples of names that end in _total, _count, _sum or _bucket
are counters; Prometheus itself does not tell. A stale marker (a NaN) is a gap.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import cramjam
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from afterlaunch.ground.errors import Invalid, TooLarge, Unsupported
from afterlaunch.telemetry.conventions import HOUSE
from afterlaunch.telemetry.conventions import fields as f
from afterlaunch.telemetry.signals.points import INT63, POINTS, Taken, series_id

COUNTERS = ("_total", "_count", "_sum", "_bucket")
PLACES = {
    "system": ("afterlaunch_system", "system", "job"),
    "environment": ("afterlaunch_environment", "environment", "env"),
    "client": ("afterlaunch_client",),
}
_FIELD = descriptor_pb2.FieldDescriptorProto


@cache
def _request() -> Any:
    """The message class, built from its published numbers."""
    file = descriptor_pb2.FileDescriptorProto(name="afterlaunch_remote_write.proto", package="rw", syntax="proto3")
    messages = {
        "Label": (("name", 1, _FIELD.TYPE_STRING, ""), ("value", 2, _FIELD.TYPE_STRING, "")),
        "Sample": (("value", 1, _FIELD.TYPE_DOUBLE, ""), ("timestamp", 2, _FIELD.TYPE_INT64, "")),
        "TimeSeries": (("labels", 1, _FIELD.TYPE_MESSAGE, "Label"), ("samples", 2, _FIELD.TYPE_MESSAGE, "Sample")),
        "WriteRequest": (("timeseries", 1, _FIELD.TYPE_MESSAGE, "TimeSeries"),),
    }
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            row = message.field.add(name=field, number=number, type=kind)
            row.label = _FIELD.LABEL_REPEATED if of else _FIELD.LABEL_OPTIONAL
            if of:
                row.type_name = ".rw." + of
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("rw.WriteRequest"))


def unsnapped(body: bytes, limit: int) -> bytes:
    """The block format of snappy; its head tells the size, which is checked before anything is inflated."""
    size, shift = 0, 0
    for place, byte in enumerate(body[:6]):
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if place == 5:
            raise Invalid("The body is no snappy block.")
    if size > limit:
        raise TooLarge(f"The body is over {limit // 2**20} MiB.", "Lower max_samples_per_send.")
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except (cramjam.DecompressionError, ValueError) as problem:
        raise Invalid(f"The body is no snappy block: {problem}") from None


def request_of(body: bytes, content_type: str) -> Any:
    """A WriteRequest. Raises Invalid, Unsupported for version 2."""
    if "v2" in content_type:
        raise Unsupported("Remote write 2.0 is not taken.", "Use protobuf_message: prometheus.WriteRequest")
    try:
        return _request().FromString(body)
    except DecodeError as problem:
        raise Invalid(f"The body is no WriteRequest: {problem}") from None


def count(request: Any) -> int:
    """Of its samples."""
    return sum(len(one.samples) for one in request.timeseries)


def from_remote_write(body: bytes, content_type: str, client: str | None, received_ns: int) -> Taken:
    """An uncompressed WriteRequest. Series without a name are rejected. Raises Invalid, Unsupported for version 2."""
    request = request_of(body, content_type)
    rows: list[dict[str, Any]] = []
    rejected = 0
    for one in request.timeseries:
        labels = {label.name: label.value for label in one.labels}
        name = labels.pop("__name__", "")
        if not name:
            rejected += len(one.samples)
            continue
        head = _series(name, labels, client)
        rows += [{**head, "at_ns": at * 1_000_000, "value": value} for at, value in _samples(one)]
    said = [f"{rejected} samples belong to series without a name"] if rejected else []
    return Taken(pa.Table.from_pylist(rows, schema=POINTS), rejected, said)


def _samples(series: Any) -> list[tuple[int, float | None]]:
    known = [(one.timestamp, one.value) for one in series.samples if 0 < one.timestamp <= INT63 // 1_000_000]
    return [(at, value if math.isfinite(value) else None) for at, value in known]


def _series(name: str, labels: dict[str, str], client: str | None) -> dict[str, Any]:
    def first(what: str) -> str | None:
        return next((labels[key] for key in PLACES[what] if labels.get(key)), None)

    environment = (first("environment") or "unknown").lower()
    environment = f.ENVIRONMENTS.get(environment, environment)
    whose, system, host = client or first("client") or HOUSE, first("system") or "unknown", labels.get("instance")
    counter = name.endswith(COUNTERS)
    return {
        "series": series_id(whose, system, environment, host, name, "", labels),
        "client": whose,
        "system": system,
        "environment": environment,
        "service": labels.get("job"),
        "host": host,
        "name": name,
        "unit": "",
        "kind": "counter" if counter else "gauge",
        "cumulative": counter,
        "labels": list(labels.items()),
    }
