"""OTLP protobuf of our own spans, written directly: two spans per call must cost microseconds, not tens of them.

Field numbers: opentelemetry-proto v1 trace.proto and common.proto; tests decode it with the official classes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

Value = str | int | float | bool | tuple[str, ...]
SERVER, CLIENT = 2, 3
_SCOPE_NAME = b"afterlaunch.gateway"


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_COMMON = tuple(_varint(value) for value in range(4096))  # lengths and counts are rarely longer


def varint(value: int) -> bytes:
    return _COMMON[value] if 0 <= value < 4096 else _varint(value)


def _field(number: int, payload: bytes) -> bytes:
    return _COMMON[number << 3 | 2] + varint(len(payload)) + payload


def _any(value: Value) -> bytes:
    if isinstance(value, str):
        return _field(1, value.encode(errors="replace"))
    if isinstance(value, bool):
        return b"\x10" + (b"\x01" if value else b"\x00")
    if isinstance(value, int):
        return b"\x18" + varint(value & 0xFFFFFFFFFFFFFFFF)
    if isinstance(value, float):
        return b"\x21" + struct.pack("<d", value)
    return _field(5, b"".join(_field(1, _any(item)) for item in value))


@lru_cache(maxsize=512)
def _key(key: str) -> bytes:
    return _field(1, key.encode())


def attribute(key: str, value: Value) -> bytes:
    """One KeyValue as field 9 of a span."""
    told = _any(value)
    pair = b"".join((_key(key), b"\x12", varint(len(told)), told))
    return b"\x4a" + varint(len(pair)) + pair


@lru_cache(maxsize=8192)
def constant(key: str, value: Value | None) -> bytes:
    """For values that repeat from call to call: routes, arms, models, hosts, statuses, short counts. What is None is
    not told."""
    return b"" if value is None else attribute(key, value)


@lru_cache(maxsize=1024)
def resource(pairs: tuple[tuple[str, str], ...]) -> bytes:
    """Resource as field 1 of ResourceSpans."""
    body = b"".join(_field(1, _field(1, key.encode()) + _field(2, _any(value))) for key, value in pairs)
    return _field(1, body)


@lru_cache(maxsize=1024)
def named(name: str, kind: int) -> bytes:
    """Name and kind of a span."""
    return _field(5, name.encode()) + b"\x30" + bytes((kind,))


_TIMES = struct.Struct("<BQBQ").pack  # both fields are fixed64


def span(
    trace_id: bytes,
    span_id: bytes,
    trace_state: str,
    parent_id: bytes,
    name: bytes,
    start_ns: int,
    end_ns: int,
    attributes: bytes,
    error: str | None = None,
) -> bytes:
    """As field 2 of ScopeSpans. Ids raw, `parent_id` may be empty, `name` as `named` gives it, times in nanoseconds
    since 1970, `attributes` encoded. `error` None: status unset."""
    state = _field(3, trace_state.encode()) if trace_state else b""
    parent = b"\x22\x08" + parent_id if parent_id else b""
    status = b"" if error is None else _status(error)
    times = _TIMES(0x39, start_ns, 0x41, end_ns)
    size = 28 + len(state) + len(parent) + len(name) + len(times) + len(attributes) + len(status)
    length = _COMMON[size] if size < 4096 else _varint(size)
    both = (b"\x0a\x10", trace_id, b"\x12\x08", span_id)
    return b"".join((b"\x12", length, *both, state, parent, name, times, attributes, status))


@lru_cache(maxsize=1024)
def _status(error: str) -> bytes:
    return _field(15, _field(2, error.encode()) + b"\x18\x02")


_SCOPE = _field(1, _field(1, _SCOPE_NAME))


class Told(NamedTuple):
    """Spans of one call, encoded, and how many they are."""

    resource: bytes
    encoded: bytes
    spans: int


def export(told: Iterable[Told]) -> bytes:
    """An ExportTraceServiceRequest of them, grouped by resource."""
    groups: dict[bytes, list[bytes]] = {}
    for group, spans, _ in told:
        groups.setdefault(group, []).append(spans)
    return b"".join(_field(1, group + _field(2, _SCOPE + b"".join(spans))) for group, spans in groups.items())
