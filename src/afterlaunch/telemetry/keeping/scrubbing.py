"""What may be kept of a request that could not be mapped to columns: masked, or without its content. Pure.

Slow and plain: it is for dead letters. Scopes stay, and of resources what says whose they are; names of attributes too.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from afterlaunch.ground.sensitive.patterns import masked
from afterlaunch.telemetry.conventions.fields import RESOURCE
from afterlaunch.telemetry.keeping.content import LONGEST_PLAIN, OFF, ON, Rule, is_content, with_patterns

KEPT = ("scope", "key", "schema_url", "trace_state")
WHOSE = frozenset(key for keys in RESOURCE.values() for key in keys)
CONTENT = ("events", "links", "body", "message")
"""Fields of spans, their status and log records that hold content."""


def scrubbed(message: Message, rule: Rule) -> None:
    """Change it in place."""
    if rule.capture == ON:
        return
    for field, value in message.ListFields():
        if field.name in KEPT:
            continue
        if field.name == "resource":
            _each([one for one in value.attributes if one.key not in WHOSE], rule)
            continue
        if rule.capture == OFF and field.name in CONTENT:
            message.ClearField(field.name)
        elif rule.capture == OFF and field.name == "attributes":
            kept = [one for one in value if not _is_content(one)]
            message.ClearField(field.name)
            getattr(message, field.name).extend(kept)
            _each(getattr(message, field.name), rule)
        elif field.message_type is not None:
            _each(value if not isinstance(value, Message) else [value], rule)
        elif field.type == field.TYPE_STRING and isinstance(value, str):
            setattr(message, field.name, _masked(value, rule))


def _each(messages: Any, rule: Rule) -> None:
    for one in messages:
        scrubbed(one, rule)


def _is_content(one: KeyValue) -> bool:
    return is_content(one.key) or one.value.ByteSize() > LONGEST_PLAIN


def _masked(text: str, rule: Rule) -> str:
    found: str = with_patterns(pa.array([masked(text)]), rule)[0].as_py()
    return found
