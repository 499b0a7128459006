"""The bundled table: genai-prices (MIT), read as data, pinned and offline; its updater is never started."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

from genai_prices import types as table
from genai_prices.data import providers

from afterlaunch.prices.rows import Amount, Row, Source, Times

SOURCE = Source("genai-prices", version("genai-prices"))
UNITS = {  # the table's names -> ours
    **{f"{name}_mtok": name for name in ("input", "output", "cache_read", "cache_write", "input_audio", "input_image")},
    **{f"{name}_mtok": name for name in ("input_video", "output_audio", "output_image", "output_video")},
    **{f"cache_write_{life}_mtok": f"cache_write_{life}" for life in ("5m", "1h")},
    **{f"cache_{kind}_read_mtok": f"cached_{kind}" for kind in ("audio", "image", "video")},
    "output_reasoning_mtok": "reasoning",
    "output_citation_mtok": "citation_tokens",
    "requests_kcount": "requests",
    "web_searches_kcount": "web_searches",
    "storage_searches_kcount": "storage_searches",
    "input_document_kpages": "pages",
    "input_text_messages_kcount": "text_messages",
    "input_mchars": "characters",
    "audio_hours": "audio_seconds",
}
PROVIDERS = {  # names that senders and libraries write -> the table's, where they differ
    **dict.fromkeys(("azure.ai.openai", "azure.ai.inference", "az.ai.openai", "az.ai.inference"), "azure"),
    **dict.fromkeys(("azure_openai", "azure-openai", "azure openai", "azureopenai", "azure_ai"), "azure"),
    **dict.fromkeys(("azure-ai", "azure_ai_foundry", "microsoft.foundry"), "azure"),
    **dict.fromkeys(("openai-chat", "openai-responses", "open_ai"), "openai"),
    **dict.fromkeys(
        ("gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai", "gemini", "google_gemini", "google_vertex"), "google"
    ),
    **dict.fromkeys(("vertex_ai", "vertexai", "vertex", "google-vertex", "google-gla", "google_genai"), "google"),
    **dict.fromkeys(("vertex-ai", "google-genai", "google-gemini", "google_vertexai", "google_vertex_ai"), "google"),
    **dict.fromkeys(("google_ai_studio", "google-vertex-anthropic", "anthropic_vertex", "gcp"), "google"),
    **dict.fromkeys(("aws.bedrock", "bedrock", "aws_bedrock", "amazon_bedrock", "bedrock_converse", "amazon"), "aws"),
    **dict.fromkeys(("amazon-bedrock", "amazon bedrock", "aws-bedrock", "bedrock-runtime", "anthropic_bedrock"), "aws"),
    **dict.fromkeys(("x_ai", "xai", "x.ai", "grok"), "x-ai"),
    **dict.fromkeys(("mistral_ai", "mistralai", "mistral-ai", "mistral ai"), "mistral"),
    **dict.fromkeys(("moonshot_ai", "moonshot", "moonshot-ai"), "moonshotai"),
    **dict.fromkeys(("together_ai", "togetherai", "together-ai", "together.ai", "together ai"), "together"),
    **dict.fromkeys(("fireworks_ai", "fireworks-ai", "fireworks.ai", "fireworks ai"), "fireworks"),
    **dict.fromkeys(("voyage", "voyage_ai"), "voyageai"),
    **dict.fromkeys(("z.ai", "z_ai", "z-ai"), "zai"),
    **dict.fromkeys(("cohere_chat", "cohere.ai"), "cohere"),
    "perplexity_ai": "perplexity",
    **dict.fromkeys(("open_router", "open-router"), "openrouter"),
    **dict.fromkeys(("deepseek_ai", "deepseek-ai"), "deepseek"),
}
FREE = {"input": Amount(Decimal(0)), "output": Amount(Decimal(0))}
"""Of a model whose name ends with `:free` and that the table lists without any price."""
LONGEST = 300  # no provider and model have names longer than that together


def provider_id(said: str) -> str:
    """The table's id of a provider, or the word itself."""
    word = said.strip().lower()
    return PROVIDERS.get(word, word)


@dataclass(frozen=True, eq=False)
class Sheet:
    """A model's rows. Of `standard` the last that holds is taken, the first where none does; `variants` replace single
    units, the first that fits. `life_apart`: its provider prices writes by their life."""

    id: str
    provider: str
    standard: tuple[Row, ...]
    variants: tuple[Row, ...]
    life_apart: bool


@cache
def _providers() -> dict[str, table.Provider]:
    return {one.id: one for one in providers}


@lru_cache(maxsize=8192)
def sheet(provider: str, model: str) -> Sheet | None:
    """None when the table has no such model of that provider."""
    if len(provider) + len(model) > LONGEST:
        return None
    owner = _providers().get(provider)
    if owner is None:
        return None
    wanted = model.strip().lower()
    for one in (wanted, *_plainer(provider, wanted)):
        found = owner.find_model(one, all_providers=providers)
        if found is not None and not _other_generation(found.match, one):
            return _sheet(owner, found)
    exact = _by_id(owner).get(_without_job(wanted))
    return None if exact is None else _sheet(owner, exact)


@cache
def _ids(provider: str) -> dict[str, table.ModelInfo]:
    return {one.id.lower(): one for one in _providers()[provider].models}


def _by_id(owner: table.Provider) -> dict[str, table.ModelInfo]:
    """The table's own ids: not all of them match their own row's pattern (Fireworks' have a path in front)."""
    return _ids(owner.id)


def _without_job(model: str) -> str:
    """`ft:gpt-4o-mini:org::id` is a job of the row `ft:gpt-4o-mini`."""
    return ":".join(model.split(":")[:2]) if model.startswith("ft:") else model


def _plainer(provider: str, model: str) -> list[str]:
    """What is written around a model's name: `models/` of Google, LiteLLM's provider in front, an ARN's end."""
    prefix, _, plain = model.partition("/")
    out = [plain] if plain and (provider_id(prefix) == provider or prefix == "models") else []
    if model.startswith("arn:aws:bedrock:"):
        out.append(model.rpartition("/")[2])
    if provider == "google" and "/models/" in model:
        out.append(model.rpartition("/models/")[2])
    return out


def _other_generation(match: Any, model: str) -> bool:
    """Whether only a prefix matched and what follows counts on: `claude-sonnet-4` is no `claude-sonnet-4-5`."""
    if isinstance(match, table.ClauseOr):
        fitting = [one for one in match.or_ if one.is_match(model)]
        return bool(fitting) and all(_other_generation(one, model) for one in fitting)
    if not isinstance(match, table.ClauseStartsWith):
        return False
    begin = match.starts_with.lower()
    return begin[-1:].isdigit() and bool(_COUNTS_ON.match(model[len(begin) :]))


_COUNTS_ON = re.compile(r"[.-]\d{1,2}(?!\d)(?!-\d{2}(\D|$))")
"""A dot or a dash and a number of one or two digits, unless it begins a date like -05-20."""


def _sheet(owner: table.Provider, found: table.ModelInfo) -> Sheet:
    dated = found.prices if isinstance(found.prices, list) else [table.ConditionalPrice(prices=found.prices)]
    name = f"{owner.id}/{found.id}"
    own = any(one is found for one in owner.models)
    standard = tuple(_row(name, one.prices, one.constraint, {}) for one in dated)
    if found.id.endswith(":free"):
        standard = tuple(one if one.prices else replace(one, prices=FREE) for one in standard)
    # What another provider's table says of tiers and batches is not what this one grants.
    variants = tuple(_row(name, one.prices, one.constraint, one.when) for one in found.price_variants or () if own)
    return Sheet(name, owner.id, standard, variants, _life_apart(owner.id))


@cache
def _life_apart(provider: str) -> bool:
    return any(
        vars(prices).get("cache_write_1h_mtok") is not None
        for model in _providers()[provider].models
        for prices in _all_prices(model)
    )


def _all_prices(model: table.ModelInfo) -> list[table.ModelPrice]:
    return [one.prices for one in model.prices] if isinstance(model.prices, list) else [model.prices]


def _row(name: str, prices: table.ModelPrice, constraint: Any, when: dict[str, str]) -> Row:
    units = {UNITS[key]: _amount(value) for key, value in vars(prices).items() if value is not None and key in UNITS}
    times, said = _times(constraint)
    parts = [name, *said, *(f"{key}={value}" for key, value in sorted(when.items()))]
    return Row(" ".join(parts), units, SOURCE, times, when)


def _amount(value: Decimal | table.TieredPrices) -> Amount:
    if isinstance(value, table.TieredPrices):
        return Amount(value.base, tuple((tier.start, tier.price) for tier in value.tiers))
    return Amount(value)


def _times(constraint: Any) -> tuple[Times, list[str]]:
    if isinstance(constraint, table.StartDateConstraint):
        day = constraint.start_date
        return Times(datetime.combine(day, time(0), UTC)), [f"from {day.isoformat()}"]
    if isinstance(constraint, table.TimeOfDateConstraint):
        begin, end = _utc(constraint.start_time), _utc(constraint.end_time)
        return Times(daily=(begin, end)), [f"daily {begin:%H:%M}-{end:%H:%M} UTC"]
    return Times(), []


def _utc(at: time) -> time:
    if at.tzinfo is None or at.utcoffset() is None:
        return at.replace(tzinfo=None)
    return datetime.combine(date(2000, 1, 1), at).astimezone(UTC).time()
