"""Edits on the bytes of a JSON object: the smallest span is replaced, the document is never written anew."""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]', re.DOTALL)
_SPACE = b" \t\r\n"
INCLUDE = b'"include_usage":true'


@dataclass(frozen=True)
class Member:
    """A member of the outermost object; its value is `body[start:end]`."""

    key: str
    start: int
    end: int


def members(body: bytes) -> list[Member]:
    """Of the outermost object, in order, duplicates included. Expects valid JSON.

    1. Walk the structural tokens and whole strings, keeping the depth. 2. At depth 1 the string before a colon is
    a key, what follows up to the next comma or closing brace is its value. 3. Trim white space around it.
    """
    found: list[Member] = []
    depth, key, last, start = 0, None, b"", 0
    for token in _TOKEN.finditer(body):
        text = token.group()
        if depth == 1 and text == b":" and key is None:
            key, start = orjson.loads(last), token.end()
        elif depth == 1 and text in (b",", b"}"):
            if key is not None:
                found.append(_trimmed(body, str(key), start, token.start()))
            key = None
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
        last = text
    return found


def _trimmed(body: bytes, key: str, start: int, end: int) -> Member:
    while body[start] in _SPACE:
        start += 1
    while body[end - 1] in _SPACE:
        end -= 1
    return Member(key, start, end)


def replace(body: bytes, spans: list[tuple[int, int]], value: bytes) -> bytes:
    for start, end in reversed(spans):
        body = body[:start] + value + body[end:]
    return body


def set_model(body: bytes, model: str) -> bytes:
    """Every top-level `model` gets the value (parsers differ in which of two they read); absent, it is put first."""
    value = orjson.dumps(model)
    spans = [(m.start, m.end) for m in members(body) if m.key == "model"]
    return replace(body, spans, value) if spans else put_first(body, b'"model":' + value)


def put_first(body: bytes, member: bytes) -> bytes:
    at = body.index(b"{") + 1
    empty = body[at:].lstrip(_SPACE).startswith(b"}")
    return body[:at] + member + (b"" if empty else b",") + body[at:]


def ask_for_usage(body: bytes) -> bytes:
    """`stream_options.include_usage` true, by the smallest edit. Expects that it is not true yet."""
    options = [m for m in members(body) if m.key == "stream_options"]
    if not options:
        return put_first(body, b'"stream_options":{' + INCLUDE + b"}")
    last = options[-1]
    value = body[last.start : last.end]
    if not value.startswith(b"{"):
        changed = b"{" + INCLUDE + b"}"
    elif spans := [(m.start, m.end) for m in members(value) if m.key == "include_usage"]:
        changed = replace(value, spans, b"true")
    else:
        changed = put_first(value, INCLUDE)
    return replace(body, [(last.start, last.end)], changed)
