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


_COUNTS = frozenset((int, type(None)))  # types; a bool is no count


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
    """By the names of chat completions and embeddings, else by those of responses."""
    get = usage.get
    given, made = get("prompt_tokens"), get("completion_tokens")
    asked, answered = get("prompt_tokens_details"), get("completion_tokens_details")
    if type(asked) is not dict:
        asked = _part(usage, "input_tokens_details")
    if type(answered) is not dict:
        answered = _part(usage, "output_tokens_details")
    told, of = asked.get, answered.get
    counts = (
        get("input_tokens") if given is None else given,
        get("output_tokens") if made is None else made,
        told("cached_tokens"),
        told("cache_write_tokens", told("cache_creation_tokens")),
        None,
        None,
        of("reasoning_tokens"),
        told("audio_tokens"),
        of("audio_tokens"),
    )
    if not _COUNTS.issuperset(map(type, counts)) or min(filter(None, counts), default=0) < 0:
        return Tokens(*map(_count, counts))
    return Tokens(*counts)


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
