"""What a span is: inference, embedding, rerank, retrieval, tool, agent, workflow, … (telemetry conventions §2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.telemetry.anyvalues import Bools
from afterlaunch.telemetry.conventions import words as w
from afterlaunch.telemetry.conventions.attributes import Reading, Words, plainly

CALLS = ("inference", "embedding", "rerank")
# In order of trust.
SOURCES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("langfuse_type", w.LANGFUSE_KINDS),
    ("operation", w.OPERATIONS),
    ("openinference_kind", w.OPENINFERENCE_KINDS),
    ("vercel_operation", w.VERCEL_OPERATIONS),
    ("traceloop_kind", w.TRACELOOP_KINDS),
    ("request_type", w.REQUEST_TYPES),
    ("claude_type", w.CLAUDE_CODE),
)
KINDS = (*dict.fromkeys(kind for _, table in SOURCES for kind in table.values()), "other")
_NUMBER = {kind: number for number, kind in enumerate(KINDS)}
_WORDS = pa.array(KINDS, pa.string())


class Kinds:
    """`number[row]` is the place in KINDS of what the span is."""

    def __init__(self, reading: Reading, words: Words, used: Bools) -> None:
        """`used`: the span tells tokens."""
        out = np.full(words.count, -1)
        for field, table in SOURCES:
            if field in words.codes:
                known = [_NUMBER.get(table.get(_first(word), ""), -1) for word in words.distinct]
                out = np.where(out < 0, np.array([*known, -1])[words.codes[field]], out)
        if (out < 0).any():
            out = np.where(out < 0, self._guessed(reading, words, used), out)
        self.number = out

    @staticmethod
    def _guessed(reading: Reading, words: Words, used: Bools) -> Any:
        """By what the span tells: documents, a tool, or a model and tokens."""
        out = np.full(words.count, _NUMBER["other"])
        model = words.known("model_answered") | words.known("model_requested")
        out[used & model] = _NUMBER["inference"]
        out[words.known("tool")] = _NUMBER["tool"]
        for field in ("top_k", "document_count", "documents"):
            for _, rows in reading.told_by(field):
                out[rows] = _NUMBER["retrieval"]
        return out

    def among(self, *kinds: str) -> Bools:
        wanted = np.zeros(len(KINDS), bool)
        wanted[[_NUMBER[kind] for kind in kinds]] = True
        found: Bools = wanted[self.number]
        return found

    def column(self) -> Any:
        return _WORDS.take(pa.array(self.number))


def _first(word: str) -> str:
    """The first word, as the AI SDK writes the function's name behind it, and Claude Code its own before."""
    return plainly(word).partition(" ")[0].removeprefix("claude_code.")
