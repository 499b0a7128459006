"""What one answer cost: from a provider's usage to nano-USD, rounded up once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from afterlaunch.prices.table import rates

MOST = 10**9  # tokens; more is another unit
PICO_PER_NANO = 1_000


@dataclass(frozen=True)
class Tokens:
    """Disjoint counts by the kinds of a price."""

    input: int
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_write_other: int = 0
    output: int = 0
    reasoning: int = 0


def tokens_of(usage: Any, anthropic: bool) -> Tokens | None:
    """None where the provider did not tell both sides; OpenAI's input holds what was cached, Anthropic's does not."""
    if not isinstance(usage, Mapping):
        return None
    told_in, told_out = (
        _first(usage, "prompt_tokens", "input_tokens"),
        _first(usage, "completion_tokens", "output_tokens"),
    )
    if told_in is None or told_out is None:
        return None
    if anthropic:
        written = _count(usage, "cache_creation_input_tokens") or 0
        lives = _mapping(usage, "cache_creation")
        short, long = (_count(lives, f"ephemeral_{life}_input_tokens") or 0 for life in ("5m", "1h"))
        other = max(0, written - short - long)
        return Tokens(told_in, _count(usage, "cache_read_input_tokens") or 0, short, long, other, told_out)
    details = _mapping(usage, "prompt_tokens_details") or _mapping(usage, "input_tokens_details")
    more = _mapping(usage, "completion_tokens_details") or _mapping(usage, "output_tokens_details")
    cached = min(told_in, _count(details, "cached_tokens") or 0)
    thought = min(told_out, _count(more, "reasoning_tokens") or 0)
    return Tokens(told_in - cached, cached, output=told_out - thought, reasoning=thought)


def cost_nano(provider: str, model: str | None, tokens: Tokens | None, at: datetime) -> int | None:
    """None: the tokens or the price are not known."""
    found = rates(provider, model, at)
    if found is None or tokens is None:
        return None
    sent = tokens.input + tokens.cache_read + tokens.cache_write_5m + tokens.cache_write_1h + tokens.cache_write_other
    tier = max((one for one in found.tiers if sent > one.above), key=lambda one: one.above, default=found.tiers[0])
    pico = 0
    for kind, count in vars(tokens).items():
        rate = tier.pico[kind]
        if count and rate is None:
            return None
        pico += count * (rate or 0)
    return -(-pico // PICO_PER_NANO)


def _mapping(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name)
    return found if isinstance(found, Mapping) else {}


def _count(told: Mapping[str, Any], name: str) -> int | None:
    found = told.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= MOST else None


def _first(told: Mapping[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := _count(told, name)) is not None), None)
