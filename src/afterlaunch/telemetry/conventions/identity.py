"""Who sent a span, and its own words: ids, times, scope, status (telemetry conventions §4.4)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.anyvalues import Ints, as_text
from afterlaunch.telemetry.conventions import fields as f
from afterlaunch.telemetry.conventions.arrow import lengths, nulls
from afterlaunch.telemetry.conventions.attributes import Words
from afterlaunch.telemetry.otlp import Decoded

HOUSE = "house"
MAX_EVENTS = 128
KEPT_BYTES = 16_384  # a larger resource is read anew each time


def identity(decoded: Decoded, words: Words, client: str | None, count: int) -> dict[str, Any]:
    """What the resource tells, and before it the span itself. `client` None: they name the sender's client too."""
    told = [_resource(blob) for blob in decoded.resources]
    out = {name: _told(name, told, decoded.resource, words) for name in f.RESOURCE}
    if client:
        out["client"] = pa.repeat(pa.scalar(client, pa.string()), count)
    return out


def _told(name: str, resources: list[dict[str, str | None]], owner: Ints, words: Words) -> Any:
    """One column: the span's own word, else the resource's, else what stands for unknown. By distinct pair."""
    above = [resource[name] for resource in resources]
    own = words.codes.get(f.SPAN_IDENTITY.get(name, ""))
    otherwise = {"system": "unknown", "environment": "unknown", "client": HOUSE}.get(name)
    if own is None:
        return _spread([_folded(name, word) or otherwise for word in above], owner)
    here = [_folded(name, word) for word in words.distinct]
    both = [one or _folded(name, word) or otherwise for one in here for word in above]
    return pa.array(both, pa.string()).take(pa.array(own * len(above) + owner))


def _folded(name: str, word: str | None) -> str | None:
    if word is None or name not in ("environment", "client"):
        return word
    low = word.strip().lower()
    return f.ENVIRONMENTS.get(low, low) if name == "environment" else low


def _spread(values: list[str | None], owner: Ints) -> Any:
    """One value per resource or scope, as a column of spans."""
    if len(set(values)) == 1:
        return nulls(len(owner), pa.string()) if values[0] is None else pa.repeat(pa.scalar(values[0]), len(owner))
    return pa.array(values, pa.string()).take(pa.array(owner))


def _resource(blob: bytes) -> dict[str, str | None]:
    return _resource_kept(blob) if len(blob) <= KEPT_BYTES else _resource_told(blob)


def _resource_told(blob: bytes) -> dict[str, str | None]:
    """Field -> what the resource tells of it."""
    try:
        attributes = Resource.FromString(blob).attributes
    except DecodeError as problem:
        raise Invalid(f"A resource does not decode: {problem}") from None
    told = {one.key: text for one in attributes if (text := as_text(one.value)) not in (None, "", "<REDACTED>")}
    return {name: next((told[key] for key in keys if key in told), None) for name, keys in f.RESOURCE.items()}


@lru_cache(maxsize=1024)
def _resource_kept(blob: bytes) -> dict[str, str | None]:
    return _resource_told(blob)


def _scope(blob: bytes) -> tuple[str, str]:
    try:
        found = InstrumentationScope.FromString(blob)
    except DecodeError as problem:
        raise Invalid(f"A scope does not decode: {problem}") from None
    return found.name, found.version


def envelope(decoded: Decoded, count: int) -> tuple[dict[str, Any], Any]:
    """(columns, which spans have valid ids)."""
    spans = decoded.spans
    trace_id, traced = _id(spans.field("trace_id"), 16)
    span_id, named = _id(spans.field("span_id"), 8)
    start = spans.field("start").to_numpy().astype(np.int64)
    duration = spans.field("end").to_numpy().astype(np.int64) - start
    kind = spans.field("kind").to_numpy()
    status = spans.field("status")
    scopes = [_scope(blob) for blob in decoded.scopes]
    out = {
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_span_id": _id(spans.field("parent_span_id"), 8)[0],
        "name": spans.field("name"),
        "kind": pa.array(np.where(kind == 0, 1, kind).astype(np.int8)),
        "scope": _spread([name for name, _ in scopes], decoded.scope),
        "scope_version": _spread([version for _, version in scopes], decoded.scope),
        "start_ns": pa.array(start),
        "duration_ns": pa.array(duration, pa.int64(), mask=duration < 0),
        "status": pa.array(status.field("code").fill_null(0).to_numpy().astype(np.int8)),
        "status_message": status.field("message"),
        "events": _events(spans.field("events"), count),
    }
    return out, traced & named


def _id(column: Any, width: int) -> tuple[Any, Any]:
    """(ids as a fixed-width column, which of them can be ids): the right length and not all zero."""
    count = len(column)
    fits = lengths(column) == width
    _, offsets, data = column.buffers()
    begins = np.frombuffer(offsets, np.int32)[column.offset : column.offset + count]
    raw = np.frombuffer(data if data is not None else b"", np.uint8)
    if fits.all():
        values = raw[begins[0] : begins[0] + count * width].reshape(count, width)
    else:
        values = np.zeros((count, width), np.uint8)
        if fits.any():
            values[fits] = np.lib.stride_tricks.sliding_window_view(raw, width)[begins[fits]]
    good = fits & values.any(axis=1)
    validity = None if good.all() else pa.py_buffer(np.packbits(good, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(width), count, [validity, pa.py_buffer(values)]), good


def _events(events: Any, count: int) -> Any:
    sizes = np.diff(events.offsets.to_numpy())
    if not sizes.any():
        return nulls(count, pa.string())
    texts: list[str | None] = [None] * count
    for row in np.flatnonzero(sizes).tolist():
        texts[row] = orjson.dumps([_event(raw) for raw in events[row].as_py()[:MAX_EVENTS]]).decode()
    return pa.array(texts, pa.string())


def _event(raw: bytes) -> dict[str, Any]:
    event = Span.Event.FromString(raw)
    told = {
        pair.key: pair.value.string_value[:4096] for pair in event.attributes if pair.value.HasField("string_value")
    }
    return {"name": event.name, "time_ns": event.time_unix_nano, "attributes": told}
