"""What a span is: inference, embedding, rerank, retrieval, tool, agent, workflow, … (telemetry conventions §2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.telemetry.anyvalues import Bools
from afterlaunch.telemetry.conventions import fields as f
from afterlaunch.telemetry.conventions.attributes import Words

CALLS = ("inference", "embedding", "rerank")
# In order of trust.
SOURCES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("lf_kind", f.LANGFUSE_KINDS),
    ("operation", f.OPERATIONS),
    ("oi_kind", f.OPENINFERENCE_KINDS),
    ("tl_kind", f.TRACELOOP_KINDS),
    ("request_type", f.REQUEST_TYPES),
)
KINDS = (*dict.fromkeys(kind for _, table in SOURCES for kind in table.values()), "other")
_NUMBER = {kind: number for number, kind in enumerate(KINDS)}
_WORDS = pa.array(KINDS, pa.string())


class Kinds:
    """`number[row]` is the place in KINDS of what the span is."""

    def __init__(self, words: Words, has_tool: Bools, has_usage: Bools) -> None:
        out = np.full(len(has_tool), -1)
        for field, table in SOURCES:
            if field in words.codes:
                of_word = np.array([_NUMBER.get(table.get(_plain(word), ""), -1) for word in words.distinct])
                out = np.where(out < 0, of_word[words.codes[field]], out)
        if (out < 0).any():
            guess = np.where(has_tool, _NUMBER["tool"], np.where(has_usage, _NUMBER["inference"], _NUMBER["other"]))
            out = np.where(out < 0, guess, out)
        self.number = out

    def among(self, *kinds: str) -> Bools:
        wanted = np.zeros(len(KINDS), bool)
        wanted[[_NUMBER[kind] for kind in kinds]] = True
        found: Bools = wanted[self.number]
        return found

    def column(self) -> Any:
        return _WORDS.take(pa.array(self.number))


def _plain(word: str | None) -> str:
    return (word or "").strip().lower()
