"""Token counts of the providers' usage objects, in the inclusive form of the GenAI semantic conventions.

Unknown stays None; a zero is a zero that the provider said.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from afterlaunch.gateway.protocols import Protocol


class Tokens(NamedTuple):
    """`input` includes cache reads and writes, `output` includes reasoning."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None


def tokens_of(protocol: Protocol, usage: dict[str, Any]) -> Tokens:
    return _anthropic(usage) if protocol.family == "anthropic" else _openai(usage)


def known(protocol: Protocol, tokens: Tokens) -> bool:
    """Whether both sides are told; embeddings have an input only."""
    return tokens.input is not None and (protocol.operation == "embeddings" or tokens.output is not None)


def lay_over(first: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Anthropic's totals are cumulative: the later value wins key by key, never a sum; a smaller one does not."""
    merged = dict(first)
    for key, value in later.items():
        before = merged.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            merged[key] = lay_over(before, value)
        elif value is None or (_count(value) is not None and (_count(before) or 0) > value):
            merged.setdefault(key, value)
        else:
            merged[key] = value
    return merged


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _part(usage: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        part = usage.get(name)
        if isinstance(part, dict):
            return part
    return {}


def _first(usage: dict[str, Any], *names: str) -> int | None:
    for name in names:
        count = usage.get(name)
        if type(count) is int and count >= 0:  # a bool is no count
            return count
    return None


def _openai(usage: dict[str, Any]) -> Tokens:
    asked = _part(usage, "prompt_tokens_details", "input_tokens_details")
    answered = _part(usage, "completion_tokens_details", "output_tokens_details")
    return Tokens(
        _first(usage, "prompt_tokens", "input_tokens"),
        _first(usage, "completion_tokens", "output_tokens"),
        _first(asked, "cached_tokens") if asked else None,
        _first(asked, "cache_write_tokens", "cache_creation_tokens") if asked else None,
        None,
        None,
        _first(answered, "reasoning_tokens") if answered else None,
        _first(asked, "audio_tokens") if "audio_tokens" in asked else None,
        _first(answered, "audio_tokens") if "audio_tokens" in answered else None,
    )


def _anthropic(usage: dict[str, Any]) -> Tokens:
    """`input_tokens` is what no cache took: reads and writes come on top."""
    split = _part(usage, "cache_creation")
    five, hour = _first(split, "ephemeral_5m_input_tokens"), _first(split, "ephemeral_1h_input_tokens")
    read, write = _first(usage, "cache_read_input_tokens"), _first(usage, "cache_creation_input_tokens")
    if write is None and (five is not None or hour is not None):
        write = (five or 0) + (hour or 0)
    plain = _first(usage, "input_tokens")
    return Tokens(
        input=None if plain is None else plain + (read or 0) + (write or 0),
        output=_first(usage, "output_tokens"),
        cache_read=read,
        cache_write=write,
        cache_write_5m=five,
        cache_write_1h=hour,
        reasoning=_first(_part(usage, "output_tokens_details"), "reasoning_tokens", "thinking_tokens"),
    )
