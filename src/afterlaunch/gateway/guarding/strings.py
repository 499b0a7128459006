"""The strings of a JSON document, by their place in its bytes, and what each of them is. Pure.

The bytes themselves are walked, so that a member that stands there twice is read twice: which of the two a provider
reads is not known. The walk expects JSON that a parser has taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

Path = tuple[str | int, ...]
_NEXT = re.compile(rb'["{}\[\],]')
_COLON = re.compile(rb"[ \t\r\n]*:")
_QUOTE, _BACKSLASH = 0x22, 0x5C
# Members that say what a thing is, or hold bytes of files and signatures: no text that somebody wrote.
STRUCTURE = frozenset(
    (
        "role", "type", "id", "model", "object", "tool_call_id", "tool_use_id", "call_id", "item_id",
        "response_id", "data", "file_data", "file_id", "media_type", "encrypted_content", "signature", "status",
        "detail", "format", "finish_reason", "stop_reason", "stop_sequence", "previous_response_id",
        "service_tier", "system_fingerprint", "index", "reasoning_effort", "verbosity", "truncation",
        "encoding_format",
    )
)  # fmt: skip
_RESULTS = frozenset(("tool", "function"))  # roles
_CALLS = frozenset(("tool_calls", "function_call", "custom_tool_call"))
_THOUGHTS = frozenset(("reasoning", "reasoning_content", "thinking", "summary", "reasoning_details"))


class String(NamedTuple):
    """A string value; `body[start:end]` is its token, quotes included."""

    path: Path
    start: int
    end: int
    text: str


@dataclass
class Walked:
    """`types`: what the objects say that they are, by their path: their roles and types."""

    strings: list[String]
    types: dict[Path, set[str]]


def walk(body: bytes, offset: int = 0) -> Walked:
    """All string values in order. `offset` is added to their places. Raises ValueError, IndexError for what is no
    JSON."""
    strings: list[String] = []
    types: dict[Path, set[str]] = {}
    path: list[str | int] = []
    lists: list[bool] = []  # of each open container
    at, search = 0, _NEXT.search
    while (found := search(body, at)) is not None:
        start = found.start()
        first, at = body[start], start + 1
        if first == _QUOTE:
            end = _closing(body, at)
            inner, at = body[at:end], end + 1
            if _COLON.match(body, at):
                path[-1] = _text(inner)
                continue
            here, text = tuple(path), _text(inner)
            if here and here[-1] in ("role", "type"):
                types.setdefault(here[:-1], set()).add(text)
            strings.append(String(here, offset + start, offset + at, text))
        elif first == 0x2C:  # ,
            if lists and lists[-1]:
                path[-1] += 1  # type: ignore[operator]
        elif first in (0x7B, 0x5B):  # { [
            lists.append(first == 0x5B)
            path.append(0 if first == 0x5B else "")
        else:
            lists.pop()
            path.pop()
    return Walked(strings, types)


def _closing(body: bytes, start: int) -> int:
    """The quote that ends the string which begins at `start`: the first one behind an even number of backslashes."""
    end = body.index(b'"', start)
    while body[end - 1] == _BACKSLASH:
        before = end - 1
        while body[before] == _BACKSLASH:
            before -= 1
        if (end - before) % 2:
            break
        end = body.index(b'"', end + 1)
    return end


def _text(inner: bytes) -> str:
    if b"\\" not in inner:
        return inner.decode()
    return str(orjson.loads(b'"' + inner + b'"'))


def is_text(one: String) -> bool:
    """Whether somebody wrote it, as opposed to what says how the request is built."""
    last = next((part for part in reversed(one.path) if isinstance(part, str)), "")
    return last not in STRUCTURE and not (last in ("url", "image_url", "file_url") and one.text.startswith("data:"))


def is_thought(one: String) -> bool:
    return any(part in _THOUGHTS for part in one.path)


def _within(path: Path, types: dict[Path, set[str]]) -> Iterator[str]:
    for size in range(len(path)):
        yield from types.get(path[:size], ())


def is_result(one: String, walked: Walked) -> bool:
    """Whether a tool gave it."""
    for said in _within(one.path, walked.types):
        if said in _RESULTS or said.endswith(("tool_result", "call_output")):
            # of a definition of a tool, {"type":"function"} says something else
            return one.path[0] != "tools" and "tool_calls" not in one.path
    return False


def part_of(one: String, walked: Walked) -> str:
    """Of an answer: "tool" (a call that the model makes), "thought", "text" or "other"."""
    if any(part in _CALLS for part in one.path):
        return "tool"
    said = set(_within(one.path, walked.types))
    if any(word.endswith(("tool_use", "_call")) for word in said):
        return "tool"
    if is_thought(one) or said & {"thinking", "reasoning"}:
        return "thought"
    last = next((part for part in reversed(one.path) if isinstance(part, str)), "")
    return "text" if last in ("content", "text") else "other"


class Edit(NamedTuple):
    start: int
    end: int
    value: bytes


def spliced(body: bytes, edits: Sequence[Edit]) -> bytes:
    """Everything else stays as it is, to the byte."""
    parts, at = [], 0
    for edit in sorted(edits):
        parts += [body[at : edit.start], edit.value]
        at = edit.end
    return b"".join([*parts, body[at:]])
