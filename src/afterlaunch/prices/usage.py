"""Providers' own usage objects (telemetry conventions §5.3): each API has names and a meaning of its own.

The shape tells the API: the names of one are not those of another. What the totals include was measured on recorded
answers; see the page on conventions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
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
                ("cached_prompt_text_tokens",),
                ("cache_read_input_tokens",),
                ("cached_tokens",),
            ),
            "cache_write": (
                ("prompt_tokens_details", "cache_write_tokens"),
                ("prompt_tokens_details", "cache_creation_tokens"),
                ("input_tokens_details", "cache_write_tokens"),
                ("cache_creation_input_tokens",),
            ),
            "reasoning": (
                ("completion_tokens_details", "reasoning_tokens"),
                ("output_tokens_details", "reasoning_tokens"),
                ("reasoning_tokens",),
            ),
            "in_audio": _in_details("audio_tokens"),
            "in_image": _in_details("image_tokens"),
            "in_video": _in_details("video_tokens"),
            "cached_audio": (("input_token_details", "cached_tokens_details", "audio_tokens"),),
            "cached_image": (("input_token_details", "cached_tokens_details", "image_tokens"),),
            "out_audio": _out_details("audio_tokens"),
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
    shape: Shape
    counts: Mapping[str, int]


def usage(told: Any) -> Usage | None:
    """The counts of a usage object, None when it is none that we know."""
    if not isinstance(told, dict):
        return None
    shape = shape_of(told)
    if shape is None:
        return None
    found = {name: count for name, ways in shape.ways.items() if (count := _found(told, ways)) is not None}
    found |= _modalities(told)
    if "out_total" not in found and "total" in found and _rest(found) == 0:
        found["out_total"] = 0  # some leave out what is zero; the sum proves it
    return Usage(shape, found) if found else None


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
_MODALITY = {"document": "image"}  # pages are read as images


def _modalities(told: dict[str, Any]) -> dict[str, int]:
    """Gemini lists its tokens by modality."""
    out: dict[str, int] = {}
    for key, side in _DETAILS.items():
        listed = told.get(key)
        for one in listed if isinstance(listed, list) else ():
            said = str(one.get("modality", "")).lower() if isinstance(one, dict) else ""
            name = f"{side}_{_MODALITY.get(said, said)}"
            count = _first(one, "tokenCount", "token_count", "tokens") if name in OVERLAYS else None
            if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < MOST:
                out[name] = out.get(name, 0) + count
    return out


def _first(told: Mapping[str, Any], *names: str) -> Any:
    return next((told[name] for name in names if name in told), None)


def _rest(found: Mapping[str, int]) -> int:
    """What of the sum is neither input nor reasoning."""
    return found["total"] - sum(found.get(name, 0) for name in ("in_total", "reasoning", "tool_use"))


def _found(told: dict[str, Any], ways: tuple[Way, ...]) -> int | None:
    for way in ways:
        at: Any = told
        for key in way:
            at = _step(at, key)
        if isinstance(at, float) and at % 1 == 0:
            at = int(at)
        if isinstance(at, int) and not isinstance(at, bool) and 0 <= at < MOST:
            return at
    return None


def _step(at: Any, key: str) -> Any:
    """One step inside: a key of an object, or `name=value`: the item of a list that says so."""
    if isinstance(at, dict):
        return at.get(key)
    if isinstance(at, list) and "=" in key:
        name, _, value = key.partition("=")
        return next((one for one in at if isinstance(one, dict) and one.get(name) == value), None)
    return None


UNITS: dict[str, tuple[Way, ...]] = {
    "web_searches": (
        ("server_tool_use", "web_search_requests"),
        ("server_tool_use_details", "web_search_requests"),
        ("server_side_tool_usage_details", "web_search_calls"),
        ("tool_calls_details", "search_web", "invocation"),
        ("num_search_queries",),
    ),
    "storage_searches": (("server_side_tool_usage_details", "file_search_calls"),),
    "audio_seconds": (("seconds",), ("billable_audio_seconds",), ("prompt_audio_seconds",)),
    "pages": (("pages_processed",),),
    "text_messages": (("input_text_messages",),),
    "citation_tokens": (("citation_tokens",),),
    "search_units": (("billed_units", "search_units"),),
}
"""What is charged beside tokens."""
FACTS: dict[str, tuple[Way, ...]] = {
    "service_tier": (("service_tier",), ("serviceTier",), ("service_tier_capacity",)),
    "region": (("inference_geo",),),
    "speed": (("speed",),),
    "traffic": (("trafficType",), ("traffic_type",)),
}
"""What a usage object itself says of how the call was served."""


def units(told: Mapping[str, Any]) -> dict[str, int | Decimal]:
    """Counts above 0 of `UNITS`. Seconds may have fractions."""
    found: dict[str, int | Decimal] = {}
    for name, ways in UNITS.items():
        for way in ways:
            at: Any = told
            for key in way:
                at = _step(at, key)
            if isinstance(at, int | float) and not isinstance(at, bool) and 0 < at < MOST:
                found[name] = at if isinstance(at, int) else Decimal(repr(at))
                break
    return found


def facts(told: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, ways in FACTS.items():
        said = next((told[way[0]] for way in ways if isinstance(told.get(way[0]), str) and told[way[0]]), None)
        if said:
            found[name] = said
    return found
