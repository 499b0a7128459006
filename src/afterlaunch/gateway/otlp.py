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


class Counts(dict[int | None, bytes]):
    """One attribute by its value, for counts that repeat from call to call. What is None is not told."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def __missing__(self, value: int | None) -> bytes:
        if len(self) >= 1024:
            self.clear()
        found = self[value] = b"" if value is None else attribute(self._key, value)
        return found


def words(key: str, value: str) -> bytes:
    """Like `attribute`, for texts that never repeat."""
    raw = value.encode(errors="replace")
    return _before_words(key, len(raw)) + raw


@lru_cache(maxsize=1024)
def _before_words(key: str, size: int) -> bytes:
    return attribute(key, "0" * size)[:-size] if size else attribute(key, "")


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


def span(ids: bytes, start_ns: int, end_ns: int, alike: bytes, own: bytes) -> bytes:
    """As field 2 of ScopeSpans. `ids` as `ids_of` gives them, times in nanoseconds since 1970; `alike`: name, status
    and attributes that many spans have in common, `own`: those of this one alone, encoded."""
    size = 18 + len(ids) + len(alike) + len(own)
    length = _COMMON[size] if size < 4096 else _varint(size)
    return b"".join((b"\x12", length, ids, _TIMES(0x39, start_ns, 0x41, end_ns), alike, own))


def ids_of(trace_id: bytes, span_id: bytes, parent_id: bytes, trace_state: str = "") -> bytes:
    """Ids raw; `parent_id` may be empty."""
    ids = b"\x0a\x10%b\x12\x08%b" % (trace_id, span_id)
    if parent_id:
        ids += b"\x22\x08" + parent_id
    return ids + _field(3, trace_state.encode()) if trace_state else ids


@lru_cache(maxsize=1024)
def status_of(error: str | None) -> bytes:
    """Of a span; None: unset."""
    return b"" if error is None else _field(15, _field(2, error.encode()) + b"\x18\x02")


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
