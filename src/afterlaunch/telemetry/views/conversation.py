"""What was said in calls, as one conversation. Pure.

1. Each side of a call is read in whatever shape it was sent: messages as JSON (parts, OpenAI's, Anthropic's, indexed
OpenInference and OpenLLMetry families become the same), or plain text. 2. A call usually repeats what was said before:
that is counted, and not shown again. 3. Tool calls and results are kept apart, so
that a page can fold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from afterlaunch.telemetry.views.reading import attributes, parsed

ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "function": "tool", "developer": "system"}
MOST_CHARACTERS = 20_000
INSTRUCTIONS = "gen_ai.system_instructions"
"""What the current conventions tell apart from the messages."""
_TEXTS = ("text", "content", "value", "input", "output", "query", "question", "answer", "response")


@dataclass(frozen=True)
class Part:
    """`kind`: text, tool_call, tool_result, other. JSON is written with indents. `cut`: there is more."""

    kind: str
    text: str
    name: str = ""
    cut: bool = False


@dataclass(frozen=True)
class Message:
    role: str
    parts: tuple[Part, ...]

    def key(self) -> tuple[Any, ...]:
        return (self.role, *((part.kind, part.text.strip(), part.name) for part in self.parts))


@dataclass
class Turn:
    """What one call added. `span`: the row it came from."""

    span: Mapping[str, Any]
    messages: list[Message] = field(default_factory=list)
    repeated: int = 0


def turns(spans: Iterable[Mapping[str, Any]]) -> list[Turn]:
    """Of spans with content, in order of their start. History is not shown again; the newest question and the answer
    are, however often the same was said, unless the call before asked and answered just the same (a second report)."""
    seen: set[tuple[Any, ...]] = set()
    last: tuple[Any, Any] = (None, None)
    out = []
    for span in spans:
        question = messages(span.get("input_text"), "user")
        said = messages(span.get("output_text"), "assistant")
        asked = [*messages(attributes(span).get(INSTRUCTIONS), "system"), *question]
        asks = question[-1].key() if question else None
        answers = tuple(one.key() for one in said)
        again = asks == last[0] and (answers == last[1] or not last[1])
        turn = Turn(span)
        for place, message in enumerate(asked):
            newest = place == len(asked) - 1 and not again
            if message.key() in seen and not newest:
                turn.repeated += 1
            else:
                turn.messages.append(message)
        if asks == last[0] and answers == last[1]:
            turn.repeated += len(said)
        else:
            turn.messages += said
        seen |= {one.key() for one in (*asked, *said)}
        last = (asks, answers)
        if turn.messages or turn.repeated:
            out.append(turn)
    return out


def messages(text: str | None, role: str) -> list[Message]:
    if not text or not text.strip():
        return []
    value = parsed(text) if text.lstrip()[:1] in '[{"' else None
    if value is None or isinstance(value, str):
        return [Message(role, (_text(value or text),))]
    found = _messages(value, role)
    return found or [Message(role, (_json("other", value),))]


def _messages(value: Any, role: str) -> list[Message]:
    if isinstance(value, Mapping):
        for name in ("messages", "input_messages", "output_messages", "choices", "prompts"):
            if isinstance(value.get(name), Sequence) and not isinstance(value[name], str):
                system = value.get("system") or value.get("instructions")
                head = [Message("system", tuple(_parts(system)))] if system else []
                return head + _messages(value[name], role)
        return [one] if (one := _message(value, role)) else []
    if isinstance(value, Sequence) and not isinstance(value, str):
        out = []
        for item in value:
            if isinstance(item, str):
                out.append(Message(role, (_text(item),)))
            elif isinstance(item, Mapping) and (one := _message(item, role)):
                out.append(one)
            elif isinstance(item, Sequence):
                out += _messages(item, role)
        return out
    return []


def _message(item: Mapping[str, Any], role: str) -> Message | None:
    inner = item.get("message")
    if isinstance(inner, Mapping):
        return _message({**inner, "role": inner.get("role", item.get("role"))}, role)
    named = item.get("role") or item.get("type") if isinstance(item.get("role") or item.get("type"), str) else None
    who = str(item.get("role") or (named if named in (*ROLES, "user", "assistant", "system", "tool") else role)).lower()
    who = ROLES.get(who, who)
    content = item.get("parts", item.get("content", item.get("text")))
    parts = _parts(content, who)
    for call in item.get("tool_calls") or ():
        parts.append(_call(call))
    if not parts and item.get("type") in ("tool_use", "tool_call", "tool_result", "tool_call_response"):
        parts = [_part(item, who)]
    if not parts:
        plain = next((item[name] for name in _TEXTS if isinstance(item.get(name), str) and item[name]), None)
        if plain is None:
            return None
        parts = [_text(plain)]
    if who == "tool":
        parts = [Part("tool_result", part.text, part.name or str(item.get("name") or ""), part.cut) for part in parts]
    return Message(who, tuple(parts))


def _parts(content: Any, role: str = "") -> list[Part]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [_text(content)]
    if isinstance(content, Mapping):
        return [_part(content, role)]
    if isinstance(content, Sequence):
        return [_text(one) if isinstance(one, str) else _part(one, role) for one in content if one]
    return [_text(str(content))]


def _part(item: Any, role: str) -> Part:
    if not isinstance(item, Mapping):
        return _text(str(item))
    kind = str(item.get("type", ""))
    if kind in ("tool_use", "tool_call", "function_call") or ("arguments" in item and "name" in item):
        return _call(item)
    if kind in ("tool_result", "tool_call_response", "function_call_output"):
        result = next((item[name] for name in ("response", "result", "content", "output") if name in item), None)
        name = str(item.get("name") or item.get("tool_use_id") or item.get("id") or "")
        return _named("tool_result", result, name)
    plain = next(
        (item[name] for name in ("text", "content", "value", "thinking") if isinstance(item.get(name), str)), None
    )
    return _text(plain) if plain is not None else _json("other", item)


def _call(item: Any) -> Part:
    if not isinstance(item, Mapping):
        return _text(str(item))
    function = item.get("function")
    inner: Mapping[str, Any] = function if isinstance(function, Mapping) else item
    given = next((inner[name] for name in ("arguments", "input", "args") if inner.get(name) is not None), None)
    return _named("tool_call", given, str(inner.get("name") or item.get("name") or "tool"))


def _named(kind: str, value: Any, name: str) -> Part:
    if isinstance(value, str):
        inner = parsed(value)
        if not isinstance(inner, dict | list):
            cut = len(value) > MOST_CHARACTERS
            return Part(kind, value[:MOST_CHARACTERS], name, cut)
        value = inner
    return _json(kind, value, name)


def _text(text: str) -> Part:
    value = parsed(text) if text.lstrip()[:1] in ("{", "[") else None
    if isinstance(value, dict | list) and value:
        return _json("other", value)
    return Part("text", text[:MOST_CHARACTERS], cut=len(text) > MOST_CHARACTERS)


def _json(kind: str, value: Any, name: str = "") -> Part:
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode() if value is not None else ""
    return Part(kind, text[:MOST_CHARACTERS], name, len(text) > MOST_CHARACTERS)
