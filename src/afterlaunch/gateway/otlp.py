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
    pair = _key(key) + b"\x12" + varint(len(told)) + told
    return b"\x4a" + varint(len(pair)) + pair


@lru_cache(maxsize=8192)
def constant(key: str, value: Value) -> bytes:
    """For values that repeat from call to call: routes, arms, models, hosts, statuses, short counts."""
    return attribute(key, value)


@lru_cache(maxsize=1024)
def resource(pairs: tuple[tuple[str, str], ...]) -> bytes:
    """Resource as field 1 of ResourceSpans."""
    body = b"".join(_field(1, _field(1, key.encode()) + _field(2, _any(value))) for key, value in pairs)
    return _field(1, body)


@lru_cache(maxsize=1024)
def _name(name: str, kind: int) -> bytes:
    return _field(5, name.encode()) + b"\x30" + bytes((kind,))


_TIMES = struct.Struct("<BQBQ").pack  # both fields are fixed64


class Span(NamedTuple):
    """Ids are raw bytes, times nanoseconds since 1970, `attributes` encoded. `error` None: status unset."""

    resource: bytes
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    trace_state: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: bytes
    error: str | None = None

    def encode(self) -> bytes:
        """As field 2 of ScopeSpans."""
        parts = [b"\x0a\x10", self.trace_id, b"\x12\x08", self.span_id]
        if self.trace_state:
            parts.append(_field(3, self.trace_state.encode()))
        if self.parent_id:
            parts += [b"\x22\x08", self.parent_id]
        parts += [_name(self.name, self.kind), _TIMES(0x39, self.start_ns, 0x41, self.end_ns), self.attributes]
        if self.error is not None:
            parts.append(_field(15, _field(2, self.error.encode()) + b"\x18\x02"))
        return _field(2, b"".join(parts))


def export(spans: Iterable[Span]) -> bytes:
    """An ExportTraceServiceRequest, spans grouped by resource."""
    groups: dict[bytes, list[bytes]] = {}
    for span in spans:
        groups.setdefault(span.resource, []).append(span.encode())
    scope = _field(1, _field(1, _SCOPE_NAME))
    return b"".join(_field(1, group + _field(2, scope + b"".join(found))) for group, found in groups.items())
