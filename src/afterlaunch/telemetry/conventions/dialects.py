"""Which conventions a span is written in; it may be several (telemetry conventions §2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.telemetry.anyvalues import Bools
from afterlaunch.telemetry.conventions.attributes import Layer, Words, plainly
from afterlaunch.telemetry.conventions.identity import scope_of
from afterlaunch.telemetry.conventions.plan import BIT, DIALECTS
from afterlaunch.telemetry.otlp import Decoded, Pairs

_BY_SCOPE = (("logfire.", "logfire"), ("com.anthropic.sdk.", "anthropic_sdk"), ("litellm", "litellm"))
_OPENLLMETRY = "opentelemetry.instrumentation."
_ITS_OWN = "gen_ai.is_streaming"
_CLAUDE_TYPES = ("interaction", "llm_request", "tool")


def written_in(layer: Layer, decoded: Decoded, words: Words, claude: Bools) -> Any:
    """A column of the dialects' names, sorted, with commas; NULL where none is known."""
    bits = layer.dialects()
    scopes = [scope_of(blob)[0] for blob in decoded.scopes]
    by_scope = [sum(BIT[name] for start, name in _BY_SCOPE if scope.startswith(start)) for scope in scopes]
    bits |= np.array(by_scope, np.int64)[decoded.scope]
    if _ITS_OWN in layer.pairs.keys:
        own = np.zeros(layer.count, bool)
        own[layer.of_key(layer.pairs.keys.index(_ITS_OWN))[0]] = True
        theirs = np.array([scope.startswith(_OPENLLMETRY) for scope in scopes])[decoded.scope]
        bits[own & theirs] |= BIT["traceloop"]
    if "vercel_operation" in words.codes:
        vercel = words.table(lambda word: word.startswith("ai."), False)[words.codes["vercel_operation"]]
        bits[vercel] |= BIT["vercel"]
    bits[claude] |= BIT["claude_code"]
    sets, of_row = np.unique(bits, return_inverse=True)
    names = [",".join(sorted(name for name in DIALECTS if one & BIT[name])) or None for one in sets.tolist()]
    return pa.array(names, pa.string()).take(pa.array(of_row))


def claude_code(pairs: Pairs, count: int) -> Bools:
    """Spans of Claude Code, whose attributes have bare names."""
    rows = np.zeros(count, bool)
    if "span.type" in pairs.keys:
        places = np.flatnonzero(pairs.codes == pairs.keys.index("span.type"))
        codes, words = pairs.values.words(places)
        ours = np.array([plainly(word).removeprefix("claude_code.") in _CLAUDE_TYPES for word in words] + [False])
        rows[pairs.owner[places[ours[codes]]]] = True
    return rows
