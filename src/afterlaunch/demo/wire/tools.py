"""A model that is offered tools calls the first one, once, with arguments that fit its schema."""

from __future__ import annotations

from typing import Any

import orjson

from afterlaunch.demo.wire.answer import ToolCall

_EXAMPLES: dict[str, Any] = {"string": "A-17", "integer": 17, "number": 1.5, "boolean": True, "array": [], "object": {}}


def call_of(offered: list[dict[str, Any]], number: int) -> ToolCall | None:
    """`offered`: the tools of a chat request (below `function`) or of a responses request."""
    functions = [one.get("function", one) for one in offered if one.get("type") == "function"]
    if not functions:
        return None
    schema = functions[0].get("parameters") or {}
    fields = schema.get("properties") or {}
    arguments = {name: _EXAMPLES.get(fields[name].get("type"), "A-17") for name in schema.get("required") or ()}
    return ToolCall(f"call_demo{number:016d}", functions[0]["name"], orjson.dumps(arguments).decode())
