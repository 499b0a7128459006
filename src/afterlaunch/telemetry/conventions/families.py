"""Attributes whose names hold a number or an open end: messages, documents, request parameters, limit headers.

`family` tells of one key which family it belongs to and what it is in it. Decided per distinct key, and remembered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from afterlaunch.telemetry.conventions.caching import kept

PARAMETERS = (
    *("max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "seed", "stop_sequences"),
    *("presence_penalty", "frequency_penalty", "choice.count", "reasoning.level", "reasoning_effort"),
    *("reasoning_summary", "encoding_formats"),
)
INPUT, OUTPUT = "input", "output"
"""Families of messages; the others: document, parameter, header, vector."""


@dataclass(frozen=True)
class Member:
    """`index`: the first number of the name; `path`: what follows it, or the open end."""

    family: str
    path: str
    index: int = 0
    key: str = ""


_MESSAGES = (
    (re.compile(r"gen_ai\.prompt\.(\d{1,4})\.(.+)"), INPUT),
    (re.compile(r"gen_ai\.completion\.(\d{1,4})\.(.+)"), OUTPUT),
    (re.compile(r"llm\.input_messages\.(\d{1,4})\.message\.(.+)"), INPUT),
    (re.compile(r"llm\.output_messages\.(\d{1,4})\.message\.(.+)"), OUTPUT),
    (re.compile(r"llm\.prompts\.(\d{1,4})\.prompt\.(.+)"), INPUT),
    (re.compile(r"llm\.choices\.(\d{1,4})\.completion\.(.+)"), OUTPUT),
)
_DOCUMENT = re.compile(r"(?:retrieval\.documents|reranker\.output_documents)\.(\d{1,4})\.document\.(\w+)")
_HEADER = re.compile(r"http\.response\.header\.((?:x-|anthropic-)?ratelimit-[\w-]+|retry-after(?:-ms)?)", re.IGNORECASE)
_VECTOR = re.compile(r"embedding\.embeddings\.\d+\.embedding\.vector|gen_ai\.embedding\.vector|ai\.embeddings?")


@kept(16_384, 256)
def family(key: str) -> Member | None:
    """What the key is a part of, None for most keys."""
    if key.startswith("gen_ai.request."):
        name = key.removeprefix("gen_ai.request.")
        return Member("parameter", name, key=key) if name in PARAMETERS else None
    if key.startswith(("ai.settings.", "anthropic.thinking.")):
        return Member("parameter", key.partition(".")[2].removeprefix("settings."), key=key)
    if key == "gen_ai.embeddings.dimension.count":
        return Member("parameter", "dimensions", key=key)
    if key.startswith("http."):
        found = _HEADER.fullmatch(key)
        return Member("header", found[1].lower(), key=key) if found else None
    if found := _DOCUMENT.fullmatch(key):
        return Member("document", found[2], int(found[1]), key)
    if _VECTOR.fullmatch(key):
        return Member("vector", "", key=key)
    for form, direction in _MESSAGES:
        if found := form.fullmatch(key):
            return Member(direction, found[2], int(found[1]), key)
    return None
