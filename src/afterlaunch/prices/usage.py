"""Providers' own usage objects (telemetry conventions §5.3): each API has names and a meaning of its own.

The shape tells the API: the names of one are not those of another. What the totals include was measured on recorded
answers; see the page on conventions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST = 2**53
Way = tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """`marks`: one of these keys proves it. `ways`: count -> where it may stand. `cache_inside`: the tokens in include
    what the cache read and wrote; `reasoning_inside`: the tokens out include the reasoning."""

    name: str
    marks: tuple[str, ...]
    cache_inside: bool
    reasoning_inside: bool
    ways: Mapping[str, tuple[Way, ...]]


_SPLIT: dict[str, tuple[Way, ...]] = {
    "cache_write_5m": (("cache_creation", "ephemeral_5m_input_tokens"),),
    "cache_write_1h": (("cache_creation", "ephemeral_1h_input_tokens"),),
}


def _in_details(name: str) -> tuple[Way, ...]:
    parts = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details", "input_token_details")
    return tuple((part, name) for part in parts)


def _out_details(name: str) -> tuple[Way, ...]:
    parts = ("completion_tokens_details", "output_tokens_details", "output_token_details")
    return tuple((part, name) for part in parts)


SHAPES = (
    Shape(
        "bedrock llama",
        ("generation_token_count",),
        True,
        True,
        {"in_total": (("prompt_token_count",),), "out_total": (("generation_token_count",),)},
    ),
    Shape(
        "gemini",
        (
            *("promptTokenCount", "prompt_token_count", "candidatesTokenCount", "candidates_token_count"),
            "total_input_tokens",
        ),
        True,
        False,
        {
            "in_total": (("promptTokenCount",), ("prompt_token_count",), ("total_input_tokens",)),
            "out_total": (("candidatesTokenCount",), ("candidates_token_count",), ("total_output_tokens",)),
            "total": (("totalTokenCount",), ("total_token_count",), ("total_tokens",)),
            "cache_read": (("cachedContentTokenCount",), ("cached_content_token_count",), ("total_cached_tokens",)),
            "reasoning": (("thoughtsTokenCount",), ("thoughts_token_count",), ("total_thought_tokens",)),
            "tool_use": (("toolUsePromptTokenCount",), ("tool_use_prompt_token_count",), ("total_tool_use_tokens",)),
        },
    ),
    Shape(
        "bedrock",
        ("inputTokens", "outputTokens", "inputTokenCount"),
        False,
        True,
        {
            "in_total": (("inputTokens",), ("inputTokenCount",)),
            "out_total": (("outputTokens",), ("outputTokenCount",)),
            "total": (("totalTokens",),),
            "cache_read": (("cacheReadInputTokens",), ("cacheReadInputTokenCount",)),
            "cache_write": (("cacheWriteInputTokens",), ("cacheWriteInputTokenCount",)),
            "cache_write_5m": (("cacheDetails", "ttl=5m", "inputTokens"),),
            "cache_write_1h": (("cacheDetails", "ttl=1h", "inputTokens"),),
        },
    ),
    Shape(
        "anthropic",
        ("cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "server_tool_use"),
        False,
        True,
        {
            "in_total": (("input_tokens",),),
            "out_total": (("output_tokens",),),
            "cache_read": (("cache_read_input_tokens",),),
            "cache_write": (("cache_creation_input_tokens",),),
            "reasoning": (("output_tokens_details", "reasoning_tokens"), ("output_tokens_details", "thinking_tokens")),
            **_SPLIT,
        },
    ),
    Shape(
        "openai",
        ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"),
        True,
        True,
        {
            "in_total": (("prompt_tokens",), ("input_tokens",)),
            "out_total": (("completion_tokens",), ("output_tokens",)),
            "total": (("total_tokens",),),
            "cache_read": (
                ("prompt_tokens_details", "cached_tokens"),
                ("input_tokens_details", "cached_tokens"),
                ("prompt_token_details", "cached_tokens"),
                ("input_token_details", "cached_tokens"),
                ("prompt_cache_hit_tokens",),
                ("input_tokens_details", "cache_read_input_tokens"),
                ("input_token_details", "cache_read"),
                ("cached_prompt_text_tokens",),
                ("cache_read_input_tokens",),
                ("cached_tokens",),
            ),
            "cache_write": (
                ("prompt_tokens_details", "cache_write_tokens"),
                ("prompt_tokens_details", "cache_creation_tokens"),
                ("input_tokens_details", "cache_write_tokens"),
                ("input_token_details", "cache_creation"),
                ("cache_creation_input_tokens",),
            ),
            "reasoning": (
                ("completion_tokens_details", "reasoning_tokens"),
                ("output_tokens_details", "reasoning_tokens"),
                ("output_tokens_details", "thinking_tokens"),
                ("output_token_details", "reasoning"),
                ("reasoning_tokens",),
            ),
            "in_audio": (*_in_details("audio_tokens"), ("input_token_details", "audio")),
            "in_image": _in_details("image_tokens"),
            "in_video": _in_details("video_tokens"),
            "cached_audio": (("input_token_details", "cached_tokens_details", "audio_tokens"),),
            "cached_image": (("input_token_details", "cached_tokens_details", "image_tokens"),),
            "out_audio": (*_out_details("audio_tokens"), ("output_token_details", "audio")),
            "out_image": _out_details("image_tokens"),
            "out_video": _out_details("video_tokens"),
            **_SPLIT,
        },
    ),
    Shape(
        "cohere",
        ("billed_units", "tokens"),
        True,
        True,
        {
            # `tokens` also counts what the provider wraps around the prompt, which nobody pays.
            "in_total": (("billed_units", "input_tokens"), ("tokens", "input_tokens")),
            "out_total": (("billed_units", "output_tokens"), ("tokens", "output_tokens")),
        },
    ),
    Shape(
        "ollama",
        ("prompt_eval_count", "eval_count"),
        True,
        True,
        {"in_total": (("prompt_eval_count",),), "out_total": (("eval_count",),)},
    ),
    Shape("voyage", ("total_tokens",), True, True, {"in_total": (("total_tokens",),), "total": (("total_tokens",),)}),
)


@dataclass(frozen=True)
class Usage:
    """`invalid`: counts that are told and are none (below 0, a fraction, no number). `conflict`: one count told twice,
    differently. `unknown`: counts of tokens that no rule reads."""

    shape: Shape
    counts: Mapping[str, int]
    invalid: frozenset[str] = frozenset()
    conflict: bool = False
    unknown: tuple[str, ...] = ()


def usage(told: Any) -> Usage | None:
    """The counts of a usage object, None when it is none that we know."""
    if not isinstance(told, dict):
        return None
    shape = shape_of(told)
    if shape is None:
        return None
    read = {name: _counts(told, ways) for name, ways in shape.ways.items()}
    found = {name: counts[0] for name, (counts, _) in read.items() if counts}
    invalid = {name for name, (_, wrong) in read.items() if wrong}
    apart = shape.name != "cohere"  # tells what was billed beside what was read
    conflict = apart and any(len(set(counts)) > 1 for counts, _ in read.values())
    by_modality, wrong = _modalities(told)
    found |= by_modality
    if "out_total" not in found and "total" in found and shape.name != "voyage" and _rest(found) == 0:
        found["out_total"] = 0  # some leave out what is zero; the sum proves it
    unknown = tuple(sorted(_unknown(told, shape)))
    invalid |= {"modality"} if wrong else set()
    return Usage(shape, found, frozenset(invalid), conflict, unknown) if found or invalid else None


def shape_of(told: Mapping[str, Any]) -> Shape | None:
    """Routers put names of Anthropic's beside OpenAI's totals: the totals tell what the parts are parts of."""
    if "prompt_tokens" in told:
        return _OPENAI
    return next((one for one in SHAPES if any(mark in told for mark in one.marks)), None)


_OPENAI = next(one for one in SHAPES if one.name == "openai")
_DETAILS = {
    "promptTokensDetails": "in",
    "promptTokenDetails": "in",
    "prompt_tokens_details": "in",
    "input_tokens_by_modality": "in",
    "candidatesTokensDetails": "out",
    "candidates_tokens_details": "out",
    "output_tokens_by_modality": "out",
    "cacheTokensDetails": "cached",
    "cache_tokens_details": "cached",
    "cached_tokens_by_modality": "cached",
    "toolUsePromptTokensDetails": "tool",
    "tool_use_prompt_tokens_details": "tool",
}
OVERLAYS = (
    *("in_audio", "in_image", "in_video", "out_audio", "out_image", "out_video"),
    *("cached_audio", "cached_image", "cached_video", "tool_audio", "tool_image", "tool_video"),
)
"""Subsets of the totals by modality; `cached_` of what the cache was read for, and of `in_` too."""
_MODALITY = {"document": "image", "2": "image", "3": "video", "4": "audio", "5": "image"}
"""Pages are read as images; Vertex also writes the numbers of its enumeration."""


def _modalities(told: dict[str, Any]) -> tuple[dict[str, int], bool]:
    """(the tokens that Gemini lists by modality, whether something stands there that is no count)."""
    out: dict[str, int] = {}
    wrong = False
    for key, side in _DETAILS.items():
        listed = told.get(key)
        for one in listed if isinstance(listed, list) else ():
            said = str(one.get("modality", "")).lower() if isinstance(one, dict) else ""
            name = f"{side}_{_MODALITY.get(said, said)}"
            if name not in OVERLAYS:
                continue
            at = _first(one, "tokenCount", "token_count", "tokens")
            count = count_of(at)
            if count is not None:
                out[name] = out.get(name, 0) + count
            wrong = wrong or (count is None and at is not None)
    return out, wrong


def _first(told: Mapping[str, Any], *names: str) -> Any:
    return next((told[name] for name in names if name in told), None)


def _rest(found: Mapping[str, int]) -> int:
    """What of the sum is neither input nor reasoning."""
    return found["total"] - sum(found.get(name, 0) for name in ("in_total", "reasoning", "tool_use"))


def _counts(told: dict[str, Any], ways: tuple[Way, ...]) -> tuple[list[int], bool]:
    """(the counts that stand at these places, whether something stands there that is no count)."""
    found, wrong = [], False
    for way in ways:
        at: Any = told
        for key in way:
            at = step(at, key)
        n = count_of(at)
        if n is not None:
            found.append(n)
        wrong = wrong or (n is None and at not in (None, ""))
    return found, wrong


def count_of(told: Any) -> int | None:
    """A count as an integer, a whole float or a decimal text; None for anything else."""
    if isinstance(told, str) and len(told) <= len(str(MOST)) and told.isascii() and told.strip().isdigit():
        told = int(told)
    if isinstance(told, float) and told.is_integer():
        told = int(told)
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < MOST else None


_HARMLESS = frozenset(
    (
        *("text_tokens", "text", "prompt_cache_miss_tokens", "accepted_prediction_tokens"),
        *("rejected_prediction_tokens", "max_tokens", "total_tokens", "totalTokens"),
    )
)
"""Parts that cost what their whole costs, and sums."""


def _unknown(told: Mapping[str, Any], shape: Shape) -> Iterator[str]:
    """Places, at most two keys deep, that tell tokens and that no rule reads."""
    ways = {way for ways in shape.ways.values() for way in ways}
    heads = {way[0] for way in ways}
    for key, value in told.items():
        inner = value if isinstance(value, dict) else {}
        if not inner and (key,) not in ways and _tells_tokens(key, value):
            yield key
        for name, count in inner.items() if key in heads else ():
            if (key, name) not in ways and _tells_tokens(name, count):
                yield f"{key}.{name}"


def _tells_tokens(key: Any, value: Any) -> bool:
    word = str(key).lower()
    return "token" in word and "cost" not in word and key not in _HARMLESS and (count_of(value) or 0) > 0


def step(at: Any, key: str) -> Any:
    """One step inside: a key of an object, or `name=value`: the item of a list that says so."""
    if isinstance(at, dict):
        return at.get(key)
    if isinstance(at, list) and "=" in key:
        name, _, value = key.partition("=")
        return next((one for one in at if isinstance(one, dict) and one.get(name) == value), None)
    return None
