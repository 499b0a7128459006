"""What metrics and logs of OTLP share: values as texts, and whose signal it is. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from afterlaunch.telemetry.conventions import HOUSE
from afterlaunch.telemetry.conventions import fields as f

MAX_TEXT = 64 * 1024
NESTING = 32


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
