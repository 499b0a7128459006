"""OTLP trace bodies to Arrow columns, without a Python loop over spans.

The descriptor below is wire-compatible with ExportTraceServiceRequest but not recursive: values, events, resources and
scopes stay bytes and are parsed only where somebody needs them (`anyvalues` reads the values). JSON bodies become
protobuf first, so that there is one way in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message import Message
from ptars import HandlerPool

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.anyvalues import Ints, Values

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_FIELD, "TYPE_" + name.upper())
    for name in ("bytes", "string", "fixed64", "int64", "int32", "bool", "double")
}
# message: ((field, number, kind, label), …); "?" keeps presence, "*" repeats
_MESSAGES: dict[str, tuple[tuple[str, int, str, str], ...]] = {
    "KeyValue": (("key", 1, "string", ""), ("value", 2, "bytes", "")),
    "Status": (("message", 2, "string", ""), ("code", 3, "int32", "")),
    "Span": (
        ("trace_id", 1, "bytes", ""),
        ("span_id", 2, "bytes", ""),
        ("trace_state", 3, "string", ""),
        ("parent_span_id", 4, "bytes", ""),
        ("name", 5, "string", ""),
        ("kind", 6, "int32", ""),
        ("start", 7, "fixed64", ""),
        ("end", 8, "fixed64", ""),
        ("attributes", 9, "KeyValue", "*"),
        ("events", 11, "bytes", "*"),
        ("links", 13, "bytes", "*"),
        ("status", 15, "Status", ""),
    ),
    "ScopeSpans": (("scope", 1, "bytes", ""), ("spans", 2, "Span", "*")),
    "ResourceSpans": (("resource", 1, "bytes", ""), ("scope_spans", 2, "ScopeSpans", "*")),
    "Request": (("resource_spans", 1, "ResourceSpans", "*"),),
}
M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Pairs:
    """The attributes of many owners as one flat list: owner number (ascending), key code, value."""

    owner: Ints
    keys: list[str]  # distinct
    codes: Ints
    values: Values


@dataclass(frozen=True)
class Decoded:
    """`spans` is a StructArray; `resource` and `scope` tell each span's place among the encoded messages of theirs;
    `sizes`: how many spans each body has."""

    spans: Any
    attributes: Pairs
    resource: Ints
    resources: list[bytes]
    scope: Ints
    scopes: list[bytes]
    sizes: Ints


@cache
def _decoder() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="afterlaunch_wire.proto", package="w", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, label in fields:
            row = message.field.add(name=field, number=number)
            row.label = _FIELD.LABEL_REPEATED if label == "*" else _FIELD.LABEL_OPTIONAL
            if kind in _SCALARS:
                row.type = _SCALARS[kind]
            else:
                row.type, row.type_name = _FIELD.TYPE_MESSAGE, ".w." + kind
            if label == "?":
                message.oneof_decl.add(name="_" + field)
                row.oneof_index, row.proto3_optional = len(message.oneof_decl) - 1, True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName("w.Request")
    return HandlerPool([descriptor.file]).get_for_message(descriptor)


def _pairs(attributes: Any) -> Pairs:
    owner = np.repeat(np.arange(len(attributes)), np.diff(attributes.offsets.to_numpy()))
    flat = attributes.flatten()
    keys = flat.field("key").dictionary_encode()
    return Pairs(owner, keys.dictionary.to_pylist(), keys.indices.to_numpy(), Values(flat.field("value")))


def is_panic(problem: BaseException) -> bool:
    """Whether a library written in Rust gave up: that is no Exception, and its class has no name to be caught by."""
    return type(problem).__module__ == "pyo3_runtime"


def decode(*bodies: bytes) -> Decoded:
    """Protobuf bodies to columns, one after the other. Raises Invalid when one is no ExportTraceServiceRequest."""
    try:
        batch = _decoder().list_to_record_batch(list(bodies))
    except (ValueError, RuntimeError, pa.ArrowException, UnicodeDecodeError) as problem:
        raise Invalid(f"The body is no OTLP trace request: {problem}") from None
    except BaseException as problem:
        if not is_panic(problem):
            raise
        raise Invalid("The body is no OTLP trace request: its lengths are wrong.") from None
    groups_of = batch.column("resource_spans")
    groups = groups_of.flatten()
    scopes_of = groups.field("scope_spans")
    scopes = scopes_of.flatten()
    spans_of = scopes.field("spans")
    spans = spans_of.flatten()
    resource_of_scope = np.repeat(np.arange(len(groups)), np.diff(scopes_of.offsets.to_numpy()))
    scope_of_span = np.repeat(np.arange(len(scopes)), np.diff(spans_of.offsets.to_numpy()))
    return Decoded(
        spans,
        _pairs(spans.field("attributes")),
        resource_of_scope[scope_of_span],
        groups.field("resource").to_pylist(),
        scope_of_span,
        scopes.field("scope").to_pylist(),
        np.diff(spans_of.offsets.to_numpy()[scopes_of.offsets.to_numpy()[groups_of.offsets.to_numpy()]]),
    )
