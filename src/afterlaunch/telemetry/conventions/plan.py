"""What the keys of a batch mean: decided once per set of keys, as a sender's batches mostly have the same."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from afterlaunch.telemetry.anyvalues import Bools, Ints
from afterlaunch.telemetry.conventions.caching import kept
from afterlaunch.telemetry.conventions.families import Member, family
from afterlaunch.telemetry.conventions.fields import FIELDS
from afterlaunch.telemetry.conventions.table import Source

DIALECTS = (
    *("genai", "genai_old", "openinference", "traceloop", "langfuse", "vercel", "logfire", "claude_code"),
    *("anthropic_sdk", "litellm", "lmnr", "mlflow", "aisdk", "livekit", "adk", "genkit", "pydantic_ai", "opencode"),
)
"""What a span may be written in; one may carry several."""
KEPT_KEYS = 1_000  # a batch of more different keys is planned anew each time
BIT = {name: 1 << number for number, name in enumerate(DIALECTS)}
_EXACTLY = {
    **dict.fromkeys(("gen_ai.provider.name", "gen_ai.operation.name", "gen_ai.usage.input_tokens"), "genai"),
    **dict.fromkeys(("gen_ai.system", "gen_ai.usage.prompt_tokens", "llm.request.type"), "genai_old"),
    **dict.fromkeys(("gen_ai.prompt", "gen_ai.completion"), "genai_old"),
    **dict.fromkeys(("openinference.span.kind", "llm.model_name"), "openinference"),
    **dict.fromkeys(("ai.operationId",), "vercel"),
    "metadata.user_api_key_hash": "litellm",
}
_STARTING = (
    *(("gen_ai.prompt.", "genai_old"), ("gen_ai.completion.", "genai_old"), ("llm.usage.", "genai_old")),
    *(("llm.token_count.", "openinference"), ("traceloop.", "traceloop"), ("langfuse.", "langfuse")),
    *(("logfire.", "logfire"), ("anthropic.usage.", "anthropic_sdk"), ("litellm.", "litellm"), ("lmnr.", "lmnr")),
    *(("mlflow.", "mlflow"), ("aisdk.", "aisdk"), ("lk.", "livekit"), ("gcp.vertex.agent.", "adk")),
    *(("genkit:", "genkit"), ("pydantic_ai.", "pydantic_ai"), ("opencode.", "opencode")),
)
_USAGE = ("gen_ai.usage.", "llm.token_count.", "llm.usage.", "ai.usage.")
_PRICED_APART = ("cost",)  # told in money, not in tokens
_TOLD_ALREADY = frozenset(
    (
        *("gen_ai.usage.text.input_tokens", "gen_ai.usage.text.output_tokens"),
        *(f"gen_ai.usage.{kind}.cache_read.input_tokens" for kind in ("text", "image", "audio")),
    )
)
"""Parts of what is counted that have no price of their own: kept with the attributes, and nobody's surprise."""


@dataclass(frozen=True)
class Way:
    """One key of the batch that tells a field."""

    field: str
    code: int
    source: Source


@dataclass(frozen=True)
class Plan:
    """`ways`: field by field, of each the one that wins last; `inside`: key code and name of what holds JSON that is
    read; `dialects`: bits per key; `known`: keys that some rule reads."""

    ways: tuple[Way, ...]
    inside: tuple[tuple[int, str], ...]
    families: dict[str, tuple[tuple[int, Member], ...]]
    dialects: Ints
    known: Bools
    unknown_usage: tuple[int, ...]
    conditional: bool


def _sources() -> dict[str, list[tuple[str, int, Source]]]:
    found: dict[str, list[tuple[str, int, Source]]] = defaultdict(list)
    for field in FIELDS:
        for place, source in enumerate(field.sources):
            found[source.name].append((field.name, place, source))
    return dict(found)


SOURCES = _sources()
CONTAINERS: dict[str, tuple[str, ...]] = {}
"""Keys whose JSON is read -> the paths that are."""
for _field in FIELDS:
    for _source in _field.sources:
        if _source.path:
            CONTAINERS[_source.key] = (*dict.fromkeys((*CONTAINERS.get(_source.key, ()), _source.path)),)


def is_known(key: str) -> bool:
    """Whether some rule reads it."""
    return key in SOURCES or family(key) is not None or key in CONTAINERS or key in _TOLD_ALREADY


def plan(keys: tuple[str, ...]) -> Plan:
    """For the distinct keys of a batch, by their codes."""
    return _kept_plan(keys) if len(keys) <= KEPT_KEYS and sum(map(len, keys)) <= 64 * KEPT_KEYS else _plan(keys)


def _plan(keys: tuple[str, ...]) -> Plan:
    ways: list[tuple[str, int, Way]] = []
    families: dict[str, list[tuple[int, Member]]] = defaultdict(list)
    known = np.zeros(len(keys), bool)
    for code, key in enumerate(keys):
        for field, place, source in SOURCES.get(key, ()):
            ways.append((field, -place, Way(field, code, source)))
            known[code] = True
        if member := family(key):
            families[member.family].append((code, member))
            known[code] = True
    return Plan(
        tuple(way for _, _, way in sorted(ways, key=lambda one: one[:2])),
        tuple((code, key) for code, key in enumerate(keys) if key in CONTAINERS),
        {name: tuple(found) for name, found in families.items()},
        np.array([BIT.get(dialect_of(key), 0) for key in keys], np.int64),
        known,
        tuple(code for code, key in enumerate(keys) if not known[code] and _is_usage(key)),
        any(way.source.where for _, _, way in ways),
    )


_kept_plan = lru_cache(maxsize=256)(_plan)


@kept(16_384, 256)
def dialect_of(key: str) -> str:
    """The dialect that the key alone proves, "" for none."""
    return _EXACTLY.get(key) or next((name for start, name in _STARTING if key.startswith(start)), "")


def _is_usage(key: str) -> bool:
    return key.startswith(_USAGE) and key not in _TOLD_ALREADY and not any(word in key for word in _PRICED_APART)
