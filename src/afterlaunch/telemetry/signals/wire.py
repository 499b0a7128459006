"""OTLP metric and log bodies to protobuf messages, and what both share. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from afterlaunch.ground.errors import Invalid, Unsupported
from afterlaunch.telemetry.conventions import HOUSE
from afterlaunch.telemetry.conventions import fields as f
from afterlaunch.telemetry.otlp import M, message_of_json

MAX_TEXT = 64 * 1024
NESTING = 32


def request_of(kind: type[M], body: bytes, content_type: str) -> M:
    """The body as a message of this kind. Raises Invalid, Unsupported."""
    name = kind.DESCRIPTOR.name
    media = content_type.partition(";")[0].strip().lower()
    if media == "application/x-protobuf":
        try:
            return kind.FromString(body)
        except DecodeError as problem:
            raise Invalid(f"The body is no {name}: {problem}") from None
    if media != "application/json":
        raise Unsupported(
            f"Content-Type {media or '(none)'} is not taken.", "application/x-protobuf or application/json"
        )
    return message_of_json(kind, body)


def plain(value: AnyValue, depth: int = 0) -> Any:
    """An AnyValue as Python; deeper than 32 levels as a mark."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    if depth > NESTING:
        return "…"
    if which == "array_value":
        return [plain(one, depth + 1) for one in value.array_value.values]
    if which == "kvlist_value":
        return {one.key: plain(one.value, depth + 1) for one in value.kvlist_value.values}
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, which)


def text(value: AnyValue) -> str | None:
    """An AnyValue as text, cut at 64 Ki characters: strings as they are, everything else as JSON."""
    found = plain(value)
    if found is None:
        return None
    if isinstance(found, str):
        return found[:MAX_TEXT]
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, (int, float)):
        return str(found)
    return orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS).decode()[:MAX_TEXT]


def texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Of a key sent twice the last wins."""
    found = ((one.key, text(one.value)) for one in attributes)
    return {name: value for name, value in found if value is not None}


class Place:
    """Whose signal it is, as the resource tells it. `client`: slug of the sender's credential; None lets the
    resource name it."""

    def __init__(self, resource: Resource, client: str | None) -> None:
        told = texts(resource.attributes)

        def first(name: str) -> str | None:
            return next((told[key] for key in f.RESOURCE[name] if told.get(key)), None)

        environment = (first("environment") or "unknown").strip().lower()
        self.client = client or (first("client") or HOUSE).strip().lower()
        self.system = first("system") or "unknown"
        self.service = first("service")
        self.environment = f.ENVIRONMENTS.get(environment, environment)
        self.host = told.get("host.name") or told.get("service.instance.id") or told.get("k8s.pod.name")
        self.attributes = told
