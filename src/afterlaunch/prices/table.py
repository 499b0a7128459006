"""Rates of a model at a time, from the bundled genai-prices table, read offline and never updated by itself.

Amounts are exact: rates are whole pico-USD (10⁻¹²) per token, a call's cost is rounded up once to nano-USD.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from genai_prices import data_snapshot
from genai_prices.types import ModelPrice, TieredPrices

SOURCE = f"genai-prices {version('genai-prices')}"
PROVIDERS = {  # ours -> the table's, where they differ
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "aws.bedrock": "aws",
    "x_ai": "x-ai",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
}
PREFIXES = {  # what LiteLLM writes in front of a model's name -> the table's, where they differ
    "azure_ai": "azure",
    "bedrock": "aws",
    "gemini": "google",
    "moonshot": "moonshotai",
    "vertex_ai": "google",
    "xai": "x-ai",
}
LONGEST = 300  # no provider and model have names longer than that together
KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_other", "output", "reasoning")
OVERLAYS = {  # parts of the input or the output that may have a rate of their own: what they replace
    "in_audio": ("input_audio_mtok", "input"),
    "in_image": ("input_image_mtok", "input"),
    "in_video": ("input_video_mtok", "input"),
    "out_audio": ("output_audio_mtok", "output"),
    "out_image": ("output_image_mtok", "output"),
}


@dataclass(frozen=True)
class Tier:
    """From more than `above` input tokens on, every token of the call costs these pico-USD (None: not known); a token
    of `more` so many pico-USD more (or less) than the one it stands for."""

    above: int
    pico: dict[str, int | None]
    more: dict[str, int]


@dataclass(frozen=True)
class Rates:
    """`assumed` names kinds whose rate was taken from another (cache without a price of its own)."""

    name: str
    tiers: tuple[Tier, ...]  # ascending; the first is above -1
    assumed: frozenset[str]


def rates(provider: str | None, model: str | None, at: datetime) -> Rates | None:
    """None when the table has no such model: an unknown price is not zero. One look-up per provider, model and hour."""
    if not provider or not model or len(provider) + len(model) > LONGEST:
        return None
    return _rates(PROVIDERS.get(provider, provider), model, at.replace(minute=0, second=0, microsecond=0))


_one_of_each: dict[str, Rates] = {}  # hours with the same price share one object, so that batches group well


@lru_cache(maxsize=4096)
def _rates(provider: str, model: str, hour: datetime) -> Rates | None:
    prefix, _, plain = model.partition("/")
    try:
        owner, found = data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return _rates(provider, plain, hour) if PREFIXES.get(prefix, prefix) == provider and plain else None
    price = found.get_prices(hour)
    if price.input_mtok is None:
        return None
    starts = sorted({-1, *(tier.start for value in vars(price).values() for tier in _tiers(value))})
    assumed: set[str] = set()
    tiers = tuple(_tier(price, above, assumed) for above in starts)
    made = Rates(f"{SOURCE} {owner.id}/{found.id}", tiers, frozenset(assumed))
    return _one_of_each.setdefault(repr((made.name, tiers, sorted(assumed))), made)


def _tiers(value: Any) -> list[Any]:
    return list(value.tiers) if isinstance(value, TieredPrices) else []


def _tier(price: ModelPrice, above: int, assumed: set[str]) -> Tier:
    pico = _at(price, above, assumed)
    more = {}
    for name, (own, instead) in OVERLAYS.items():
        rate, base = _pick(getattr(price, own, None), above), pico[instead]
        more[name] = 0 if rate is None or base is None else rate - base
    return Tier(above, pico, more)


def _pick(value: Decimal | TieredPrices | None, above: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, TieredPrices):
        value = next((tier.price for tier in reversed(value.tiers) if above >= tier.start), value.base)
    return int(value * 1_000_000)


def _at(price: ModelPrice, above: int, assumed: set[str]) -> dict[str, int | None]:
    """Each kind's rate in the tier; what has no rate of its own takes one as the spend rules say."""
    base, output = _pick(price.input_mtok, above), _pick(price.output_mtok, above)
    read, write = _pick(price.cache_read_mtok, above), _pick(price.cache_write_mtok, above)
    write_1h = _pick(getattr(price, "cache_write_1h_mtok", None), above)
    reasoning = _pick(getattr(price, "output_reasoning_mtok", None), above)
    for kind, own in (("cache_read", read), ("cache_write_5m", write), ("cache_write_other", write)):
        if own is None:
            assumed.add(kind)
    write_or_base = base if write is None else write
    if write_1h is None and write is None:
        assumed.add("cache_write_1h")
    return {
        "input": base,
        "cache_read": base if read is None else read,
        "cache_write_5m": write_or_base,
        "cache_write_1h": write_1h if write_1h is not None else (None if write is not None else base),
        "cache_write_other": write_or_base,
        "output": output,
        "reasoning": output if reasoning is None else reasoning,
    }
