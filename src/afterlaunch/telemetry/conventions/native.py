"""Providers' own usage objects (telemetry conventions §5.3): each API has names and a meaning of its own.

The shape tells the API: the names of one are not those of another. What the totals include was measured on recorded
answers; see the page on conventions.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        ("inputTokens", "outputTokens"),
        False,
        True,
        {
            "in_total": (("inputTokens",),),
            "out_total": (("outputTokens",),),
            "total": (("totalTokens",),),
            "cache_read": (("cacheReadInputTokens",), ("cacheReadInputTokenCount",)),
            "cache_write": (("cacheWriteInputTokens",), ("cacheWriteInputTokenCount",)),
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
                ("prompt_cache_hit_tokens",),
                ("cached_tokens",),
            ),
            "cache_write": (
                ("prompt_tokens_details", "cache_write_tokens"),
                ("prompt_tokens_details", "cache_creation_tokens"),
                ("input_tokens_details", "cache_write_tokens"),
            ),
            "reasoning": (
                ("completion_tokens_details", "reasoning_tokens"),
                ("output_tokens_details", "reasoning_tokens"),
                ("reasoning_tokens",),
            ),
            "in_audio": (("prompt_tokens_details", "audio_tokens"), ("input_tokens_details", "audio_tokens")),
            "out_audio": (("completion_tokens_details", "audio_tokens"),),
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
    shape = next((one for one in SHAPES if any(mark in told for mark in one.marks)), None)
    if shape is None:
        return None
    found = {name: count for name, ways in shape.ways.items() if (count := _found(told, ways)) is not None}
    found |= _modalities(told)
    if "out_total" not in found and "total" in found and _rest(found) == 0:
        found["out_total"] = 0  # some leave out what is zero; the sum proves it
    return Usage(shape, found) if found else None


_DETAILS = {
    "promptTokensDetails": "in",
    "prompt_tokens_details": "in",
    "candidatesTokensDetails": "out",
    "candidates_tokens_details": "out",
}
_OVERLAYS = ("in_audio", "in_image", "in_video", "out_audio", "out_image")


def _modalities(told: dict[str, Any]) -> dict[str, int]:
    """Gemini lists its tokens by modality."""
    out: dict[str, int] = {}
    for key, side in _DETAILS.items():
        listed = told.get(key)
        for one in listed if isinstance(listed, list) else ():
            name = f"{side}_{str(one.get('modality', '')).lower()}" if isinstance(one, dict) else ""
            count = one.get("tokenCount", one.get("token_count")) if name in _OVERLAYS else None
            if isinstance(count, int) and 0 <= count < MOST:
                out[name] = count
    return out


def _rest(found: Mapping[str, int]) -> int:
    """What of the sum is neither input nor reasoning."""
    return found["total"] - sum(found.get(name, 0) for name in ("in_total", "reasoning", "tool_use"))


def _found(told: dict[str, Any], ways: tuple[Way, ...]) -> int | None:
    for way in ways:
        at: Any = told
        for key in way:
            at = at.get(key) if isinstance(at, dict) else None
        if isinstance(at, float) and at % 1 == 0:
            at = int(at)
        if isinstance(at, int) and not isinstance(at, bool) and 0 <= at < MOST:
            return at
    return None
