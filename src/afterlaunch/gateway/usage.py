"""Token counts of the providers' usage objects, in the inclusive form of the GenAI semantic conventions.

Unknown stays None; a zero is a zero that the provider said.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

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


MOST_USD = 100_000.0
MOST = 2**40
"""Of one call: what is larger is a clock or an id, and its price would exceed every counter."""


def tokens_of(protocol: Protocol, usage: dict[str, Any]) -> Tokens:
    if protocol.family == "anthropic":
        return _anthropic(usage)
    tokens = _openai(usage)
    if protocol.operation == "embeddings":  # Voyage tells the sum alone
        return tokens if tokens.input is not None else tokens._replace(input=_count(usage.get("total_tokens")))
    if tokens.output is None and tokens.input is not None and usage.get("total_tokens") == tokens.input:
        return tokens._replace(output=0)
    return tokens


def known(protocol: Protocol, tokens: Tokens) -> bool:
    """Whether both sides are told; embeddings have an input only."""
    return tokens.input is not None and (protocol.operation == "embeddings" or tokens.output is not None)


_HELD = frozenset(
    (
        *("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "service_tier"),
        *("cache_read_input_tokens", "cache_creation_input_tokens", "cached_tokens", "prompt_cache_hit_tokens"),
        *("prompt_cache_miss_tokens", "queue_time", "prompt_time", "completion_time", "total_time"),
    )
)
_INSIDE = frozenset(
    (
        *("cached_tokens", "audio_tokens", "text_tokens", "reasoning_tokens", "thinking_tokens", "cache_write_tokens"),
        *("cache_creation_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"),
        *("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
    )
)
_USUAL = frozenset(("standard", "default", "global", "not_available"))
RAW_MOST = 16 << 10


def beyond(usage: dict[str, Any]) -> str | None:
    """The usage object as it was told, where it tells what `Tokens` does not hold (searches, a speed, a region, its own
    cost, other modalities); None where it does not, or is very long."""
    for name, value in usage.items():
        if value and name not in _HELD and _more(value):
            raw = orjson.dumps(usage)
            return raw.decode() if len(raw) <= RAW_MOST else None
    return None


def _more(value: Any) -> bool:
    if type(value) is dict:
        return not value.keys() <= _INSIDE and any(part and name not in _INSIDE for name, part in value.items())
    return not (type(value) is str and value in _USUAL)


def cost_of(usage: dict[str, Any]) -> float | None:
    """What a router says the call cost, in USD. On the caller's own account (`is_byok`) it is a fee only."""
    cost = usage.get("cost")
    if isinstance(cost, bool) or not isinstance(cost, int | float) or usage.get("is_byok") is True:
        return None
    return float(cost) if 0 <= cost < MOST_USD else None


def lay_over(first: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Anthropic's totals are cumulative: the later value wins key by key, never a sum; a smaller one does not."""
    merged = dict(first)
    for key, value in later.items():
        before = merged.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            merged[key] = lay_over(before, value)
        elif value is None or ((count := _count(value)) is not None and (_count(before) or 0) > count):
            merged.setdefault(key, value)
        else:
            merged[key] = value
    return merged


_COUNTS = frozenset((int, type(None)))  # types; a bool is no count


def _count(value: Any) -> int | None:
    """Also of a whole float and of a decimal text."""
    text = isinstance(value, str) and len(value) < 16 and value.isascii() and value.isdigit()
    if text or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST else None


def _part(usage: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        part = usage.get(name)
        if isinstance(part, dict):
            return part
    return {}


def _first(usage: dict[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := _count(usage.get(name))) is not None), None)


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
    read, write = told("cached_tokens"), told("cache_write_tokens", told("cache_creation_tokens"))
    if read is None:  # DeepSeek, Moonshot, and routers with Anthropic's names beside OpenAI's totals
        read = _first(usage, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
    counts: tuple[Any, ...] = (
        get("input_tokens") if given is None else given,
        get("output_tokens") if made is None else made,
        read,
        get("cache_creation_input_tokens") if write is None else write,
        None,
        None,
        of("reasoning_tokens"),
        told("audio_tokens"),
        of("audio_tokens"),
    )
    present = _COUNTS.issuperset(map(type, counts)) and [n for n in counts if n]
    if present is False or (present and not 0 < min(present) <= max(present) < MOST):
        counts = tuple(map(_count, counts))
    total, tokens = get("total_tokens"), Tokens(*counts)
    if total is None or tokens.input is None or tokens.output is None or total == tokens.input + tokens.output:
        return tokens
    return _witnessed(tokens, tokens.input, tokens.output, total)


def _witnessed(tokens: Tokens, given: int, made: int, total: Any) -> Tokens:
    """The sum tells what the totals do not include: xAI's reasoning, a router's cache."""
    cached, thought = (tokens.cache_read or 0) + (tokens.cache_write or 0), tokens.reasoning or 0
    for more_in, more_out in ((0, thought), (cached, 0), (cached, thought)):
        if given + made + more_in + more_out == total:
            return tokens._replace(input=given + more_in, output=made + more_out)
    return tokens


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
