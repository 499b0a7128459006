"""What the provider decided to say, before it is put in one dialect or the other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

_PIECES = re.compile(r"\s*\S+")


@dataclass(frozen=True)
class ToolCall:
    """`arguments`: JSON text, as models write it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """`inputs` includes `cached`; `created` in Unix seconds; `number` makes the ids."""

    number: int
    model: str
    text: str
    inputs: int
    cached: int
    output: int
    refused: bool
    created: int
    tool: ToolCall | None = None

    @property
    def pieces(self) -> list[str]:
        """The text as it streams: a few words at a time."""
        words = _PIECES.findall(self.text)
        return ["".join(words[at : at + 3]) for at in range(0, len(words), 3)]


@dataclass(frozen=True)
class Trouble:
    """An answer that is none."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def event(document: dict[str, Any], name: str = "") -> bytes:
    """One server-sent event; Anthropic names them, OpenAI does not."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + orjson.dumps(document) + b"\n\n"
