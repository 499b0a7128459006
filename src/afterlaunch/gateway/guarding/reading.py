"""What a request or an answer says, for checks: its texts, the text of each choice, models, tools. Pure.

1. JSON is parsed once, so that the walk meets only what a parser takes. 2. Its strings are told apart by where they
stand. 3. Of a stream, what belongs together is joined: the text of a choice, the arguments of a call. What cannot be
read raises Unreadable: nobody may take that for a pass.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from afterlaunch.gateway import sse
from afterlaunch.gateway.guarding.calls import ToolCall, Unreadable, calls_of, last_calls, object_of, objects
from afterlaunch.gateway.guarding.strings import Edit, String, Walked, is_result, is_text, part_of, spliced, walk
from afterlaunch.gateway.protocols import CHAT, MESSAGES, RESPONSES, Protocol

LARGEST = 4 << 20  # bytes of a request, or of one event
LARGEST_ANSWER = 16 << 20
Redact = Callable[[str], str]
Group = tuple[object, ...]


def parsed(body: bytes, most: int = LARGEST) -> Any:
    if len(body) > most:
        raise Unreadable("too-large")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Unreadable("no-json") from None


def walked(body: bytes, offset: int = 0) -> Walked:
    try:
        return walk(body, offset)
    except (ValueError, IndexError):  # JSON of another reading than ours
        raise Unreadable("no-json") from None


class Request:
    """Of any path: one without a body says nothing, one that is no JSON is unreadable."""

    def __init__(self, body: bytes) -> None:
        """Raises Unreadable."""
        self.body = body
        if body:
            parsed(body)
        self._walked = walked(body) if body else Walked([], {})
        self._texts = [one for one in self._walked.strings if is_text(one)]

    def strings(self, where: str) -> list[String]:
        if where != "tool-result":
            return self._texts
        return [one for one in self._texts if is_result(one, self._walked)]

    @property
    def models(self) -> list[str]:
        """As the caller named them: a member that stands there twice names two."""
        return [one.text for one in self._walked.strings if one.path == ("model",)]

    @property
    def tools(self) -> list[str]:
        """What is offered to the model: by name, or by type where it is the provider's own."""
        found: dict[tuple[object, ...], dict[str, str]] = {}
        for one in self._walked.strings:
            path = one.path
            if not path or path[0] not in ("tools", "functions") or path[-1] not in ("name", "type"):
                continue
            if len(path) == 3 or (len(path) == 4 and path[2] in ("function", "custom")):
                found.setdefault(path[:2], {})[str(path[-1])] = one.text
        return [said.get("name") or said.get("type", "") for said in found.values()]

    @property
    def calls(self) -> list[ToolCall]:
        """The model's last ones that it tells. Raises Unreadable."""
        return last_calls(self.body)

    def redacted(self, where: str, redact: Redact) -> bytes:
        return spliced(self.body, _edits(self.strings(where), redact))


def _edits(strings: list[String], redact: Redact) -> list[Edit]:
    changed = ((one, redact(one.text)) for one in strings)
    return [Edit(one.start, one.end, orjson.dumps(new)) for one, new in changed if new != one.text]


class Fragment(NamedTuple):
    """A string of an answer. Those of one `group` are one text, in their order; None: it stands alone, and where it
    repeats what was told before, `again`."""

    string: String
    part: str
    group: Group | None = None
    again: bool = False


@dataclass
class Answer:
    """A whole answer. `fragments` with their places in `body`."""

    body: bytes
    fragments: list[Fragment] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    edits_allowed: bool = True

    def texts(self, where: str) -> list[str]:
        """Of the answer itself, or of the calls that the model makes; what belongs together is one text."""
        wanted = [one for one in self.fragments if (one.part == "tool") == (where == "tool-call")]
        joined: dict[object, list[str]] = {}
        for number, one in enumerate(wanted):
            joined.setdefault(one.group or number, []).append(one.string.text)
        return ["".join(parts) for parts in joined.values()]

    def redacted(self, where: str, redact: Redact) -> bytes:
        """Raises Unreadable where nothing can be replaced."""
        groups: dict[object, list[String]] = {}
        for number, one in enumerate(self.fragments):
            if (one.part == "tool") == (where == "tool-call"):
                groups.setdefault(one.group or number, []).append(one.string)
        edits: list[Edit] = []
        for strings in groups.values():
            whole = "".join(one.text for one in strings)
            new = redact(whole)
            if new != whole:
                first, *others = strings
                edits.append(Edit(first.start, first.end, orjson.dumps(new)))
                edits += [Edit(one.start, one.end, b'""') for one in others]
        if edits and not self.edits_allowed:
            raise Unreadable("cannot-edit")
        return spliced(self.body, edits)


def read_json(body: bytes, wire: Protocol) -> Answer:
    """Raises Unreadable."""
    document = parsed(body, LARGEST_ANSWER)
    if not isinstance(document, dict):
        raise Unreadable("no-answer")
    found = walked(body)
    answer = Answer(body)
    answer.fragments = [Fragment(one, part_of(one, found)) for one in found.strings if is_text(one)]
    if wire.operation == "chat":
        answer.calls, answer.choices = calls_of(document, wire), choices_of(document, wire)
    return answer


def choices_of(document: dict[str, Any], wire: Protocol) -> list[str]:
    """The text of each choice, without thoughts and calls."""
    if wire is CHAT:
        return [_said(object_of(one, "message").get("content")) for one in objects(document.get("choices"))]
    if wire is RESPONSES:
        messages = [one for one in objects(document.get("output")) if one.get("type") == "message"]
        return ["".join(_said(one.get("content")) for one in messages)]
    return [_said(document.get("content"))]


def _said(content: Any) -> str:
    if isinstance(content, str):
        return content
    kinds = ("text", "output_text")
    parts = [one.get("text") for one in objects(content) if one.get("type") in kinds]
    return "".join(one for one in parts if isinstance(one, str))


# ---- streams


def events_of(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Where each event begins, and the event."""
    at = 0
    for event in sse.split(body):
        yield at, event
        at += len(event)


def fragments_of(event: bytes, wire: Protocol, offset: int = 0) -> tuple[Any, list[Fragment], bool]:
    """The event's document, its strings, and whether their places in the bytes are known (its data is one line).
    Raises Unreadable."""
    data = sse.data_of(event)
    if not data or data.strip() == b"[DONE]":
        return None, [], True
    document = parsed(data, LARGEST)
    at = event.find(data)
    found = walked(data, offset + max(at, 0))
    told = document if isinstance(document, dict) else {}
    try:
        fragments = [_fragment(one, found, told, wire) for one in found.strings if is_text(one)]
    except (IndexError, TypeError, ValueError):  # lists that hold what no list of the protocol holds
        raise Unreadable("no-answer") from None
    return told, fragments, at >= 0


def _fragment(one: String, found: Walked, event: dict[str, Any], wire: Protocol) -> Fragment:
    if wire is CHAT:
        return _of_chat(one, event)
    if wire is RESPONSES:
        return _of_responses(one, found, event)
    if wire is MESSAGES:
        return _of_messages(one, found, event)
    return Fragment(one, part_of(one, found), one.path)


def _of_chat(one: String, chunk: dict[str, Any]) -> Fragment:
    path = one.path
    if len(path) < 4 or path[0] != "choices" or path[2] != "delta":
        return Fragment(one, "other")
    choice = objects(chunk.get("choices"))[int(path[1])]
    index = choice.get("index", path[1])
    if path[3] == "tool_calls" and len(path) > 4:
        call = objects(object_of(choice, "delta").get("tool_calls"))[int(path[4])]
        return Fragment(one, "tool", ("tool", index, call.get("index", path[4]), path[-1]))
    part = "text" if path[3] == "content" else "tool" if path[3] == "function_call" else "thought"
    return Fragment(one, part, (part, index, *path[3:]))


def _of_responses(one: String, found: Walked, event: dict[str, Any]) -> Fragment:
    kind = str(event.get("type", ""))
    if not kind.endswith(".delta") or one.path != ("delta",):
        return Fragment(one, part_of(one, found), again=True)
    part = "tool" if "arguments" in kind or "_call" in kind else "thought" if "reasoning" in kind else "text"
    where = (event.get("output_index"), event.get("content_index"), event.get("summary_index"))
    return Fragment(one, part, (kind, *where))


def _of_messages(one: String, found: Walked, event: dict[str, Any]) -> Fragment:
    if event.get("type") != "content_block_delta" or one.path[0] != "delta":
        return Fragment(one, part_of(one, found))
    part = {"text": "text", "partial_json": "tool", "thinking": "thought"}.get(str(one.path[-1]), "other")
    return Fragment(one, part, (part, event.get("index"), one.path[-1]))


def read_stream(body: bytes, wire: Protocol) -> Answer:
    """A whole stream. Raises Unreadable."""
    if len(body) > LARGEST_ANSWER:
        raise Unreadable("too-large")
    try:
        return _read_stream(body, wire)
    except TypeError:  # numbers of items that are lists
        raise Unreadable("no-answer") from None


def _read_stream(body: bytes, wire: Protocol) -> Answer:
    answer, known = Answer(body), _Streamed()
    for at, event in events_of(body):
        document, fragments, plain = fragments_of(event, wire, at)
        answer.fragments += fragments
        answer.edits_allowed &= plain
        if isinstance(document, dict):
            known.take(document, wire)
    if wire.operation == "chat":
        texts = _texts_of(answer.fragments)
        answer.calls = known.calls(texts, wire)
        whole = known.whole if known.whole.get("output") else {"output": list(known.items.values())}
        answer.choices = choices_of(whole, wire) if wire is RESPONSES else _choices(texts)
    return answer


@dataclass
class _Streamed:
    """What events tell beside texts. `whole`, `items`: of a response, the last state that was told of it and of its
    items; `blocks`: tool uses of a message."""

    whole: dict[str, Any] = field(default_factory=dict)
    items: dict[object, dict[str, Any]] = field(default_factory=dict)
    blocks: dict[object, dict[str, Any]] = field(default_factory=dict)

    def take(self, event: dict[str, Any], wire: Protocol) -> None:
        if wire is RESPONSES:
            self.whole = object_of(event, "response") or self.whole
            if str(event.get("type", "")).startswith("response.output_item."):
                self.items[event.get("output_index")] = object_of(event, "item")
        elif wire is MESSAGES and event.get("type") == "content_block_start":
            block = object_of(event, "content_block")
            if str(block.get("type", "")).endswith("tool_use"):
                self.blocks[event.get("index")] = block

    def calls(self, texts: dict[Group, str], wire: Protocol) -> list[ToolCall]:
        if wire is RESPONSES:
            if self.whole.get("output"):
                return calls_of(self.whole, wire)
            for group, text in texts.items():  # of a call that was begun and not ended
                if str(group[0]).endswith("arguments.delta") and group[1] in self.items:
                    item = self.items[group[1]]
                    item["arguments"] = item.get("arguments") or text
            return calls_of({"output": list(self.items.values())}, wire)
        found = []
        for index, block in self.blocks.items():
            (call,) = calls_of({"content": [block]}, wire)
            found.append(ToolCall(call.name, texts.get(("tool", index, "partial_json")) or call.arguments))
        for group, text in texts.items():
            if group[0] == "tool" and len(group) == 4 and group[3] in ("arguments", "input"):
                found.append(ToolCall(texts.get((*group[:3], "name"), ""), text))
        return found


def _texts_of(fragments: list[Fragment]) -> dict[Group, str]:
    parts: dict[Group, list[str]] = {}
    for one in fragments:
        if one.group is not None:
            parts.setdefault(one.group, []).append(one.string.text)
    return {group: "".join(found) for group, found in parts.items()}


def _choices(told: dict[Group, str]) -> list[str]:
    """Of a stream of chat completions or messages."""
    texts: dict[object, str] = {}
    for group, text in told.items():
        if group[0] == "text":
            index = group[1] if group[2] == "content" else 0  # blocks of a message are one text
            texts[index] = texts.get(index, "") + text
    return list(texts.values()) or [""]


def inflated(body: bytes, encoding: str, most: int = LARGEST_ANSWER) -> bytes:
    """Raises Unreadable for what is compressed in another way, or too large."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Unreadable("encoding")
    inflate = zlib.decompressobj(wbits=47)
    try:
        plain = inflate.decompress(body, most + 1)
    except zlib.error:
        raise Unreadable("encoding") from None
    if len(plain) > most or not inflate.eof:
        raise Unreadable("too-large" if len(plain) > most else "encoding")
    return plain
