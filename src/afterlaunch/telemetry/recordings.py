"""Recorded traffic as OTLP bodies, ready to be posted. Ids come from the recording, so that playing it twice is a
resend and changes nothing.

Formats: request logs with the columns TIMESTAMP, ContextTokens, GeneratedTokens (the Azure LLM inference trace; csv
or parquet); JSON lines of recorded exports, each with `otlp`: a list of `path` and `protobuf_base64`; single bodies
(.pb, .bin, .json); any of the last three may be gzipped.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from afterlaunch.ground.errors import Invalid

SPANS_A_BODY = 512
PROTOBUF, JSON = "application/x-protobuf", "application/json"
REQUEST_LOG = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
Labels = Callable[[int], Mapping[str, str]]


@dataclass(frozen=True)
class Body:
    """One request to `/v1/traces`. `spans`: how many it holds."""

    data: bytes
    content_type: str
    spans: int


def bodies(file: Path, resource: Mapping[str, str], labels: Labels | None = None) -> Iterator[Body]:
    """`resource` (attributes) and `labels` (span attributes by row number) apply to request logs, which name nothing.
    Raises Invalid for a file that is none of the formats."""
    if not file.is_file():
        raise Invalid(f"{file} is no file.")
    kinds = [suffix.lower() for suffix in file.suffixes]
    if kinds[-1:] in ([".csv"], [".parquet"]):
        yield from _request_log(file, resource, labels)
        return
    raw = gzip.decompress(file.read_bytes()) if kinds[-1:] == [".gz"] else file.read_bytes()
    if ".jsonl" in kinds:
        yield from _exports(raw)
    elif ".json" in kinds:
        yield Body(raw, JSON, _spans_of_json(raw))
    elif ".pb" in kinds or ".bin" in kinds:
        yield _protobuf(raw)
    else:
        raise Invalid(f"{file.name} is no recording.", "csv, parquet, jsonl, json, pb or bin")


def _request_log(file: Path, resource: Mapping[str, str], labels: Labels | None) -> Iterator[Body]:
    table = _read(file)
    missing = [name for name in REQUEST_LOG if name not in table.column_names]
    if missing:
        raise Invalid(f"{file.name} lacks the column {missing[0]}.", "Columns: " + ", ".join(REQUEST_LOG))
    starts = pc.cast(pc.cast(table["TIMESTAMP"], pa.timestamp("ns")), pa.int64()).to_pylist()
    context, generated = (table[name].to_pylist() for name in REQUEST_LOG[1:])
    seed = hashlib.sha256(file.read_bytes()).digest()
    for first in range(0, len(starts), SPANS_A_BODY):
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.extend(_pairs(resource))
        spans = group.scope_spans.add(scope={"name": "afterlaunch.replay"}).spans
        for row in range(first, min(first + SPANS_A_BODY, len(starts))):
            extra = labels(row) if labels else {}
            spans.append(_call(seed, row, starts[row], context[row], generated[row], extra))
        yield Body(request.SerializeToString(), PROTOBUF, len(spans))


def _call(seed: bytes, row: int, start: int, context: int, generated: int, extra: Mapping[str, str]) -> Span:
    """The log tells no end: the duration stays unknown, and so does the cost, as it names no model."""
    identity = hashlib.sha256(seed + row.to_bytes(8, "big")).digest()
    counts = {"gen_ai.usage.input_tokens": context, "gen_ai.usage.output_tokens": generated}
    span = Span(trace_id=identity[:16], span_id=identity[16:24], name="chat", kind=Span.SPAN_KIND_CLIENT)
    span.start_time_unix_nano = start
    span.attributes.extend(_pairs({"gen_ai.operation.name": "chat", **extra}))
    span.attributes.extend(KeyValue(key=key, value=AnyValue(int_value=value)) for key, value in counts.items())
    return span


def _read(file: Path) -> Any:
    try:
        if file.suffix.lower() == ".parquet":
            from pyarrow import parquet

            return parquet.read_table(file)
        from pyarrow import csv

        return csv.read_csv(file)
    except pa.ArrowException as problem:
        raise Invalid(f"{file.name} cannot be read: {problem}") from None


def _exports(raw: bytes) -> Iterator[Body]:
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            sent = orjson.loads(line)["otlp"]
            traces = [base64.b64decode(one["protobuf_base64"]) for one in sent if one["path"] == "/v1/traces"]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            raise Invalid(f"Line {number} is no recorded export.", "An object with `otlp`.") from None
        yield from map(_protobuf, traces)


def _protobuf(raw: bytes) -> Body:
    try:
        request = ExportTraceServiceRequest.FromString(raw)
    except Exception as problem:  # noqa: BLE001 - the class depends on the protobuf backend
        raise Invalid(f"No OTLP trace request: {problem}") from None
    return Body(raw, PROTOBUF, sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans))


def _spans_of_json(raw: bytes) -> int:
    try:
        groups = orjson.loads(raw)["resourceSpans"]
        return sum(len(scope["spans"]) for group in groups for scope in group["scopeSpans"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Invalid("No OTLP trace request in JSON.") from None


def _pairs(values: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in values.items()]
