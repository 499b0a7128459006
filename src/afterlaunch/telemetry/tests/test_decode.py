"""The column decoder and opentelemetry-proto read the same out of every body."""

from __future__ import annotations

import base64
import gzip
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from google.protobuf import json_format
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.real_input import real

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry import anyvalues
from afterlaunch.telemetry.otlp import decode
from afterlaunch.telemetry.tests import plain

FOLDER = "data/otlp-from-instrumentations"
RECORDED = (
    *("openllmetry-openai", "openinference-openai", "logfire-openai", "otel-openai-v2"),
    *("openllmetry-anthropic", "openinference-anthropic", "logfire-anthropic"),
)


def recorded(name: str) -> Iterator[bytes]:
    with gzip.open(real(f"{FOLDER}/{name}.jsonl.gz")) as lines:
        for row in map(orjson.loads, lines):
            yield from (base64.b64decode(one["protobuf_base64"]) for one in row["otlp"] if one["path"] == "/v1/traces")


def told(body: bytes) -> list[dict[str, Any]]:
    """What the column decoder read, span by span."""
    found = decode(body)
    pairs = found.attributes
    texts = pairs.values.texts(np.arange(len(pairs.codes))).to_pylist()
    out = [
        {
            **{name: row[name] for name in ("trace_id", "span_id", "parent_span_id", "name", "kind", "start", "end")},
            "status": (row["status"] or {"message": "", "code": 0}),
            "events": row["events"],
            "attributes": [],
            "resource": found.resources[found.resource[number]],
            "scope": found.scopes[found.scope[number]],
        }
        for number, row in enumerate(found.spans.to_pylist())
    ]
    for owner, code, text in zip(pairs.owner.tolist(), pairs.codes.tolist(), texts, strict=True):
        out[owner]["attributes"].append((pairs.keys[code], text))
    return out


def plainly(body: bytes) -> list[dict[str, Any]]:
    return [
        {
            "trace_id": one.span.trace_id,
            "span_id": one.span.span_id,
            "parent_span_id": one.span.parent_span_id,
            "name": one.span.name,
            "kind": one.span.kind,
            "start": one.span.start_time_unix_nano,
            "end": one.span.end_time_unix_nano,
            "status": {"message": one.span.status.message, "code": one.span.status.code},
            "events": [event.SerializeToString() for event in one.span.events],
            "attributes": [(key, anyvalues.as_text(value)) for key, value in one.attributes()],
            "resource": one.resource,
            "scope": one.scope,
        }
        for one in plain.read(body)
    ]


def same(body: bytes) -> None:
    """Both refuse, or both tell the same."""
    try:
        expected: Any = plainly(body)
    except Invalid:
        expected = Invalid
    try:
        found: Any = told(body)
    except Invalid:
        found = Invalid
    assert found == expected


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_bodies_are_read_alike(name: str) -> None:
    for body in recorded(name):
        same(body)


def any_values() -> st.SearchStrategy[AnyValue]:
    scalars = st.one_of(
        st.text(max_size=300).map(lambda text: AnyValue(string_value=text)),
        st.sampled_from([0, 126, 127, 128, 16_382, 16_383, 16_384]).map(lambda n: AnyValue(string_value="é" * n)),
        st.integers(-(2**63), 2**63 - 1).map(lambda number: AnyValue(int_value=number)),
        st.sampled_from([0, 1, -1, 127, 128, 2**53]).map(lambda number: AnyValue(int_value=number)),
        st.floats(allow_nan=False).map(lambda number: AnyValue(double_value=number)),
        st.booleans().map(lambda yes: AnyValue(bool_value=yes)),
        st.binary(max_size=200).map(lambda raw: AnyValue(bytes_value=raw)),
        st.just(AnyValue()),
    )
    keyed = st.tuples(st.text(max_size=5), scalars)
    return st.one_of(
        scalars,
        st.lists(scalars, max_size=4).map(lambda all_: AnyValue(array_value=ArrayValue(values=all_))),
        st.lists(keyed, max_size=4, unique_by=lambda pair: pair[0]).map(
            lambda all_: AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=key, value=one) for key, one in all_]))
        ),
    )


def spans() -> st.SearchStrategy[Span]:
    pairs = st.lists(st.tuples(st.sampled_from(["a", "b", "", "gen_ai.system"]), any_values()), max_size=6)
    ids = st.one_of(st.binary(min_size=16, max_size=16), st.binary(max_size=20))

    def made(trace: bytes, span: bytes, name: str, start: int, end: int, kind: Any, code: Any, told: Any) -> Span:
        out = Span(trace_id=trace, span_id=span[:8], name=name, kind=kind)
        out.start_time_unix_nano, out.end_time_unix_nano = start, end
        if code:
            out.status.code = code
        out.attributes.extend([KeyValue(key=key, value=value) for key, value in told])
        return out

    instants = st.integers(0, 2**64 - 1)
    return st.builds(
        made, ids, ids, st.text(max_size=10), instants, instants, st.integers(0, 5), st.integers(0, 2), pairs
    )


def bodies() -> st.SearchStrategy[bytes]:
    def made(groups: list[tuple[list[list[Span]], bool]]) -> bytes:
        request = ExportTraceServiceRequest()
        for number, (scopes, named) in enumerate(groups):
            group = request.resource_spans.add()
            if named:
                group.resource.attributes.add(key="service.name").value.string_value = f"s{number}"
            for found in scopes:
                group.scope_spans.add(scope={"name": "x"} if named else None).spans.extend(found)
        return request.SerializeToString()

    scopes = st.lists(st.lists(spans(), max_size=4), max_size=3)
    return st.lists(st.tuples(scopes, st.booleans()), max_size=3).map(made)


@settings(deadline=None, max_examples=150)
@given(bodies())
def test_made_up_bodies_are_read_alike(body: bytes) -> None:
    same(body)


def with_value(blob: bytes) -> bytes:
    """A body of one span whose one attribute has this encoded value."""

    def sized(number: int, content: bytes) -> bytes:
        size, length = b"", len(content)
        while length >= 0x80:
            size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + content

    pair = sized(1, b"k") + sized(2, blob)
    return sized(1, sized(2, sized(2, sized(1, b"t" * 16) + sized(9, pair))))


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=40))
@example(b"\x0a\x81\x00a")  # a length that is longer than it needs to be
@example(b"\x18\x80\x00")  # so is this number
@example(b"\x0a\x01a\x18\x05")  # two members: the last counts
@example(b"\x18\x05\x0a\x01a")
@example(b"\x40\x07")  # a member that we do not know
@example(b"\x0a\x01a\x40\x07")
@example(b"\x10\x05")  # true is whatever is not zero
@example(b"\x10\x80\x01")
@example(b"\x0a\x02\xff\xfe")  # no UTF-8
@example(b"\x21" + struct.pack("<d", float("inf")))
def test_values_in_unusual_encodings_are_read_alike(blob: bytes) -> None:
    same(with_value(blob))


def test_cut_bodies_are_refused_or_read_alike() -> None:
    body = with_value(AnyValue(string_value="a" * 300).SerializeToString())
    for size in range(len(body)):
        same(body[:size])


def test_json_and_protobuf_bodies_become_the_same_columns() -> None:
    from afterlaunch.telemetry.encodings import request_of

    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="é")
    span.attributes.add(key="n").value.int_value = 2**60
    span.attributes.add(key="l").value.array_value.values.add().string_value = "x"
    document = json_format.MessageToDict(request)
    one = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    one["traceId"], one["spanId"] = (b"t" * 16).hex(), (b"s" * 8).hex().upper()
    one["somethingNew"] = {"a": 1}
    kind = "application/json; charset=utf-8"
    body = request_of(ExportTraceServiceRequest, orjson.dumps(document), kind).SerializeToString()
    assert told(body) == told(request.SerializeToString())
