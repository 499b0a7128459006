"""OTLP bodies as messages, whichever encoding they come in. An item of a JSON body that is none is left out and told;
its neighbours are kept.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar, cast

import orjson
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from afterlaunch.ground.errors import Invalid, Unsupported

M = TypeVar("M", bound=Message)
IDS = ("traceId", "spanId", "parentSpanId")
ITEMS: dict[type[Message], tuple[tuple[str, str, str], type[Message]]] = {
    ExportTraceServiceRequest: (("resourceSpans", "scopeSpans", "spans"), Span),
    ExportLogsServiceRequest: (("resourceLogs", "scopeLogs", "logRecords"), LogRecord),
    ExportMetricsServiceRequest: (("resourceMetrics", "scopeMetrics", "metrics"), Metric),
}
"""Where the items of a request stand, and what each is."""


@dataclass(frozen=True)
class Read(Generic[M]):
    """`rejected` items (spans, records, data points) were none; `messages` say what was wrong with the first."""

    message: M
    rejected: int = 0
    messages: tuple[str, ...] = ()


def read(kind: type[M], body: bytes, content_type: str) -> Read[M]:
    """The body as a message of this kind. Raises Invalid, Unsupported."""
    media = content_type.partition(";")[0].strip().lower()
    if media == "application/x-protobuf":
        try:
            return Read(kind.FromString(body))
        except DecodeError as problem:
            raise Invalid(f"The body is no {kind.DESCRIPTOR.name}: {problem}") from None
    if media != "application/json":
        raise Unsupported(
            f"Content-Type {media or '(none)'} is not taken.", "application/x-protobuf or application/json"
        )
    return _of_json(kind, body)


def request_of(kind: type[M], body: bytes, content_type: str) -> M:
    """Only the message. Raises Invalid, Unsupported."""
    return read(kind, body, content_type).message


def _of_json(kind: type[M], body: bytes) -> Read[M]:
    try:
        return Read(message_of_json(kind, body))
    except Invalid as problem:
        kept = _without_bad_items(kind, body)
        if kept is None:
            raise
        document, rejected = kept
        said = f"{rejected} items are left out; the first: {problem.message}"
        return Read(message_of_json(kind, orjson.dumps(document)), rejected, (said,))


def _without_bad_items(kind: type[Message], body: bytes) -> tuple[dict[str, Any], int] | None:
    """The document with those items that can be read, and how many can't. None when that is none of them, or the
    fault lies elsewhere."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    path, item = ITEMS[kind]
    kept = rejected = 0
    for holder in _holders(document, path):
        told = [(one, _readable(item, one)) for one in holder[path[2]]]
        holder[path[2]] = [one for one, readable in told if readable]
        kept += len(holder[path[2]])
        rejected += sum(_points(one) for one, readable in told if not readable)
    return (document, rejected) if kept and rejected else None


def _holders(document: Any, path: tuple[str, str, str]) -> Iterator[dict[str, Any]]:
    """The objects that hold lists of items."""
    for outer in _objects(document, path[0]):
        for inner in _objects(outer, path[1]):
            if isinstance(inner.get(path[2]), list):
                yield inner


def _objects(holder: Any, name: str) -> list[dict[str, Any]]:
    found = holder.get(name) if isinstance(holder, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _readable(item: type[Message], told: Any) -> bool:
    try:
        _parsed(item, orjson.loads(orjson.dumps(told)))
    except Invalid:
        return False
    return True


def _points(item: Any) -> int:
    """How many data points a metric has; another item is one."""
    if isinstance(item, dict):
        for data in item.values():
            if isinstance(data, dict) and isinstance(data.get("dataPoints"), list):
                return max(len(data["dataPoints"]), 1)
    return 1


def message_of_json(kind: type[M], body: bytes) -> M:
    """An OTLP/JSON body as a message of this kind. Raises Invalid."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise Invalid(f"The body is no JSON: {problem}") from None
    return _parsed(kind, document)


def _parsed(kind: type[M], document: Any) -> M:
    """`document` is written over."""
    name = kind.DESCRIPTOR.name
    if not isinstance(document, dict):
        raise Invalid(f"The body is no {name}: expected an object.")
    try:
        _check(document, cast(Descriptor, kind.DESCRIPTOR), "")
        return ParseDict(document, kind(), ignore_unknown_fields=True)
    except ParseError as problem:
        raise Invalid(f"The body is no {name}: {_place(problem)}") from None
    except (DecodeError, ValueError, TypeError, AttributeError, RecursionError) as problem:
        raise Invalid(f"The body is no {name}: {type(problem).__name__}") from None


def _place(problem: ParseError) -> str:
    """Which field it was; protobuf's own words hold what the sender wrote there."""
    fields = re.findall(r"Failed to parse (\w+) field", str(problem))
    return ".".join(fields) + ": not a value of this field" if fields else "a field has a value of another kind"


@cache
def _fields(message: Descriptor) -> dict[str, tuple[str, Descriptor | None]]:
    """What to look at in a message, by its JSON name: ids, enums, and messages that may hold some."""
    found: dict[str, tuple[str, Descriptor | None]] = {}
    for field in message.fields:
        if field.message_type is not None:
            found[field.camelcase_name] = ("message", field.message_type)
        elif field.enum_type is not None:
            found[field.camelcase_name] = ("enum", None)
        elif field.camelcase_name in IDS:
            found[field.camelcase_name] = ("id", None)
    return found


def _check(node: Any, message: Descriptor, where: str) -> None:
    """OTLP/JSON writes ids in hex, where protobuf's JSON has base64, and enums as numbers. Fields that it does not
    know are left alone."""
    if isinstance(node, list):
        for number, one in enumerate(node):
            _check(one, message, f"{where}[{number}]")
    elif isinstance(node, dict):
        for name, (kind, inner) in _fields(message).items():
            value = node.get(name)
            if not value:
                continue
            here = f"{where}.{name}" if where else name
            if inner is not None:
                _check(value, inner, here)
            elif kind == "id":
                node[name] = _hex(value, here)
            elif not isinstance(value, int):
                raise Invalid(f"{here}: expected a number")


def _hex(text: Any, where: str) -> str:
    try:
        return base64.b64encode(bytes.fromhex(text)).decode()
    except (ValueError, TypeError):
        raise Invalid(f"{where}: expected hex digits") from None
