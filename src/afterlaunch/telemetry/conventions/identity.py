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

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.anyvalues import Bools, Ints, as_text
from afterlaunch.telemetry.conventions import fields as f
from afterlaunch.telemetry.conventions.arrow import nulls
from afterlaunch.telemetry.conventions.attributes import Words
from afterlaunch.telemetry.conventions.caching import kept
from afterlaunch.telemetry.otlp import Decoded

HOUSE = "house"
KEPT_COLUMN = 2**18  # characters
SPREAD = 2**25  # characters of a column that repeats words
SPAN_FIRST = {"client": "span_client", "system": "span_system", "environment": "span_environment"}
SPAN_FIRST |= {"release": "span_release"}
OTHERWISE = {"system": "unknown", "environment": "unknown", "client": HOUSE}
LATEST = np.uint64(2**63 - 1)  # of what a signed number holds: the year 2262
UNNAMED = "unknown_service"  # what an SDK writes when nobody named the service
Told = dict[str, str | None]


def identity(decoded: Decoded, words: Words, client: str | None, count: int) -> tuple[dict[str, Any], Bools]:
    """(what the resource tells, and before it the span itself; which spans have no named service). `client` None:
    they name the sender's client too."""
    told = [_resource(blob) for blob in decoded.resources]
    names = [name for name in told[0] if name != "unnamed"]
    out = {name: _told(name, told, decoded.resource, words) for name in names}
    if client:
        out["client"] = _repeated(client, count)
    unnamed = np.array([one["unnamed"] is not None for one in told])[decoded.resource]
    return out, unnamed


def _told(name: str, resources: list[Told], owner: Ints, words: Words) -> Any:
    """One column: the span's own word, else the resource's, else what stands for unknown. By distinct pair."""
    above = [resource[name] for resource in resources]
    own = words.codes.get(SPAN_FIRST.get(name, ""))
    otherwise = OTHERWISE.get(name)
    if own is None:
        return spread([_folded(name, word) or otherwise for word in above], owner)
    here = [*words.distinct, None]
    pairs, of_row = np.unique((own % len(here)) * len(above) + owner, return_inverse=True)
    both = [(here[pair // len(above)], above[pair % len(above)]) for pair in pairs.tolist()]
    told = [_folded(name, one) or _folded(name, word) or otherwise for one, word in both]
    return pa.array(_short(told, len(owner)), pa.string()).take(pa.array(of_row))


def _short(values: list[str | None], count: int) -> list[str | None]:
    """A word is repeated for each span: a megabyte that one resource tells must not become ten thousand."""
    most = max(64, SPREAD // max(count, 1))
    if max((len(word) for word in values if word), default=0) <= most:
        return values
    return [word and word[:most] for word in values]


def _folded(name: str, word: str | None) -> str | None:
    if word is None or name not in ("environment", "client"):
        return word
    low = word.strip().lower()
    return f.ENVIRONMENTS.get(low, low) if name == "environment" else low


def spread(values: list[str | None], owner: Ints) -> Any:
    """One value per resource or scope, as a column of spans."""
    values = _short(values, len(owner))
    if len(set(values)) == 1:
        return nulls(len(owner), pa.string()) if values[0] is None else _repeated(values[0], len(owner))
    return pa.array(values, pa.string()).take(pa.array(owner))


def _repeated(word: str, count: int) -> Any:
    return _kept_column(word, count) if len(word) * count <= KEPT_COLUMN else _column(word, count)


def _column(word: str, count: int) -> Any:
    return pa.repeat(pa.scalar(word), count)


_kept_column = lru_cache(maxsize=256)(_column)


@kept(1024, 16_384)
def _resource(blob: bytes) -> Told:
    """Field -> what the resource tells of it; `resource`: JSON of what no field used."""
    try:
        attributes = Resource.FromString(blob).attributes
    except DecodeError as problem:
        raise Invalid(f"A resource does not decode: {problem}") from None
    told = {one.key: text for one in attributes if (text := as_text(one.value)) not in (None, "", "<REDACTED>")}
    unnamed = told.get("service.name", UNNAMED).startswith(UNNAMED)
    named = {key: text for key, text in told.items() if not (key == "service.name" and unnamed)}
    out: Told = {name: next((named[key] for key in keys if key in named), None) for name, keys in f.RESOURCE.items()}
    process = told.get("process.pid")
    if process and not told.keys() & {"service.instance.id", "k8s.pod.uid"} and out["instance"]:
        out["instance"] = f"{out['instance']}/{process}"
    parts = [told.get(f"telemetry.sdk.{part}") for part in ("language", "name", "version")]
    out["sdk"] = "/".join(part or "" for part in parts) if any(parts) else None
    out["unnamed"] = "" if unnamed else None
    used = {key for name, keys in f.RESOURCE.items() for key in keys if name != "sampled_share"}
    left = {key: text for key, text in sorted(told.items()) if key not in used and not key.startswith("telemetry.sdk.")}
    out["resource"] = orjson.dumps(left).decode() if left else None
    return out


@kept(1024, 1024)
def scope_of(blob: bytes) -> tuple[str, str]:
    """(name, version)."""
    try:
        found = InstrumentationScope.FromString(blob)
    except DecodeError as problem:
        raise Invalid(f"A scope does not decode: {problem}") from None
    return found.name, found.version


def envelope(decoded: Decoded) -> tuple[dict[str, Any], Bools, Bools]:
    """(columns, which spans have valid ids, which end before they began)."""
    spans = decoded.spans
    trace_id, traced = _id(spans.field("trace_id"), 16)
    span_id, named = _id(spans.field("span_id"), 8)
    start, end = (np.minimum(spans.field(name).to_numpy(), LATEST).astype(np.int64) for name in ("start", "end"))
    duration = end - start
    kind = spans.field("kind").to_numpy()
    status = spans.field("status")
    scopes = [scope_of(blob) for blob in decoded.scopes]
    out = {
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_span_id": _id(spans.field("parent_span_id"), 8)[0],
        "name": spans.field("name"),
        "kind": pa.array(np.where(kind == 0, 1, kind).astype(np.int8)),
        "scope": spread([name for name, _ in scopes], decoded.scope),
        "scope_version": spread([version for _, version in scopes], decoded.scope),
        "start_ns": pa.array(start),
        "duration_ns": pa.array(duration, pa.int64(), mask=duration < 0),
        "status": pa.array(status.field("code").fill_null(0).to_numpy().astype(np.int8)),
        "status_message": status.field("message"),
    }
    return out, traced & named, duration < 0


def _id(column: Any, width: int) -> tuple[Any, Bools]:
    """(ids as a fixed-width column, which of them can be ids): the right length and not all zero."""
    count, halves = len(column), width // 8
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + count + 1]
    fits = np.diff(ends) == width
    if fits.all():
        values = np.frombuffer(data, "<u8", halves * count, ends[0]).reshape(count, halves)
    else:
        values = np.zeros((count, halves), "<u8")
        if fits.any():
            at = np.ndarray((data.size - 7,), "<u8", data, 0, (1,))
            begins = ends[:-1][fits]
            values[fits] = np.stack([at[begins + 8 * half] for half in range(halves)], axis=1)
    good = fits & (values != 0).any(axis=1)
    validity = None if good.all() else pa.py_buffer(np.packbits(good, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(width), count, [validity, pa.py_buffer(values)]), good
