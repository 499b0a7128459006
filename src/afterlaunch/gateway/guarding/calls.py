"""The tool calls that an answer makes, and those of the model's last turn that a request tells. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from afterlaunch.gateway.protocols import CHAT, RESPONSES, Protocol


class Unreadable(Exception):
    """A check cannot be made; the argument is a named reason."""


class ToolCall(NamedTuple):
    name: str
    arguments: str


def calls_of(document: dict[str, Any], wire: Protocol) -> list[ToolCall]:
    if wire is CHAT:
        return [call for one in objects(document.get("choices")) for call in _of_message(object_of(one, "message"))]
    if wire is RESPONSES:
        return [_call(one) for one in objects(document.get("output")) if _is_call(one)]
    return list(_of_message(document))


def last_calls(body: bytes) -> list[ToolCall]:
    """Of a request of any protocol: in `messages` those of the last thing that the model said, in `input` those since
    somebody else said something. Raises Unreadable."""
    document = strict(body) if body.strip() else {}
    if not isinstance(document, dict):
        return []
    found: list[ToolCall] = []
    for one in _last(objects(document.get("messages"))):
        found += _of_message(one)
    for one in reversed(objects(document.get("input"))):
        if one.get("role", "assistant") != "assistant":
            break
        if _is_call(one):
            found.append(_call(one))
    return found


def _last(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    said = False
    for one in reversed(messages):
        if one.get("role") == "assistant":
            said = True
            yield one
        elif said:
            return


def _of_message(message: dict[str, Any]) -> Iterator[ToolCall]:
    for one in objects(message.get("tool_calls")):
        yield _call(one.get("function") or one.get("custom") or {})
    if isinstance(message.get("function_call"), dict):
        yield _call(message["function_call"])
    for one in objects(message.get("content")):
        if str(one.get("type", "")).endswith("tool_use"):
            yield _call(one)


def _is_call(item: dict[str, Any]) -> bool:
    return str(item.get("type", "")).endswith("_call")


def _call(item: Any) -> ToolCall:
    item = item if isinstance(item, dict) else {}
    arguments = item.get("arguments", item.get("input", ""))
    told = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    return ToolCall(str(item.get("name") or item.get("type") or ""), told)


def object_of(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def strict(text: str | bytes) -> Any:
    """JSON that no two readers read differently. Raises Unreadable: a member that stands twice, a number that is
    none."""
    try:
        return json.loads(text, object_pairs_hook=_members, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Unreadable("no-json") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable("told-twice")
    return found


def _no_number(said: str) -> float:
    raise ValueError(said)
