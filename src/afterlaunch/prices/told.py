"""What a usage object says, or what lies around one: an answer, an event, the events of a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from afterlaunch.prices import beside
from afterlaunch.prices import usage as native
from afterlaunch.prices.buckets import BUCKETS, of_one
from afterlaunch.prices.bundled import provider_id

EXCLUSIVE_REASONING = ("x-ai", "perplexity")  # of chat completions
AROUND = ("response", "message", "result", "meta", "value", "x_groq")
DEEPEST = 8  # of what lies around a usage object


@dataclass
class Counted:
    """What a usage object says. `buckets` None: not told."""

    buckets: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(BUCKETS))
    parts: dict[str, int] = field(default_factory=dict)
    units: dict[str, int | Decimal] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    model: str | None = None
    reported: Decimal | None = None
    empty: bool = True
    unread: bool = False  # a count is told that is none, and nothing else tells it


def count(told: Any, provider: str | None) -> Counted:
    """Buckets, modalities, units beside tokens and facts of a usage object, or of what lies around one."""
    out = Counted()
    parts = [part for part in told if isinstance(part, Mapping)] if isinstance(told, list) else [told]
    if not parts or not isinstance(parts[0], Mapping):
        return out
    out.model = next((found for part in reversed(parts) if (found := _model(part))), None)
    told = _inside(_merged(parts))
    out.units, wrong = beside.units(told)
    out.facts, out.reported = beside.facts(told), beside.reported(told)
    traffic = out.facts.pop("traffic", "").lower()
    if traffic.startswith("provisioned"):
        out.flags.add("provisioned_throughput_assumed")
    if told.get("search_context_size") in ("low", "medium"):  # the table has the price of a high one
        out.flags.add("search_context_not_priced")
    read = native.usage(told)
    if wrong or (read is not None and read.invalid):
        out.flags.add("invalid_value")
    if read is None:
        out.empty = not out.units
        return out
    counts, reasoning_inside = dict(read.counts), read.shape.reasoning_inside
    if "total" not in counts and "prompt_tokens" in told and provider_id(provider or "") in EXCLUSIVE_REASONING:
        reasoning_inside = False
    out.buckets, flags = of_one(counts, read.shape.cache_inside, reasoning_inside)
    out.parts = {name: n for name, n in counts.items() if name in native.OVERLAYS and n}
    out.flags |= flags
    out.empty = False
    out.unread = wrong or bool(read.invalid - counts.keys() - {"total", "modality", *native.OVERLAYS})
    for name, said in (("tokens_conflict", read.conflict), ("usage_key_unknown", read.unknown)):
        if said:
            out.flags.add(name)
    if _more_iterations(told):
        out.flags.add("iterations_not_priced")
    return out


def _more_iterations(told: Mapping[str, Any]) -> bool:
    """Anthropic lists what other models did inside a call; the totals do not hold it."""
    listed = told.get("iterations")
    return isinstance(listed, list) and any(isinstance(part, Mapping) and part.get("model") for part in listed)


def _model(told: Mapping[str, Any], depth: int = 0) -> str | None:
    """The model that an answer or an event names."""
    for name in ("model", "modelVersion", "model_version"):
        if isinstance(said := told.get(name), str) and said.strip():
            return said.strip()
    inner = (told[name] for name in AROUND if isinstance(told.get(name), Mapping))
    return next((said for one in inner if depth < DEEPEST and (said := _model(one, depth + 1))), None)


def _inside(told: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
    """The usage object inside an answer, an event or a page of the provider's."""
    for name in ("usage", "usageMetadata", "usage_metadata", "usage_info", "tokenUsage"):
        if isinstance(told.get(name), Mapping):
            return _around(told, told[name])
    for name in AROUND if depth < DEEPEST and native.shape_of(told) is None else ():
        if isinstance(told.get(name), Mapping):
            return _around(told, _inside(told[name], depth + 1))
    return told


def _around(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> Mapping[str, Any]:
    """OpenAI and Bedrock tell the tier beside the usage."""
    beside = {name: outer[name] for name in ("service_tier", "serviceTier") if outer.get(name) and name not in inner}
    return {**beside, **inner} if beside else inner


def _merged(parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of a stream the last object that tells counts, except Anthropic's: later values win key by key, a smaller one
    does not."""
    if len(parts) == 1:
        return parts[0]
    insides = [(part, inside) for part in parts if native.shape_of(inside := _inside(part)) is not None]
    if not insides:
        return parts[-1]
    if not any(_cumulative(part, inside) for part, inside in insides):
        return insides[-1][0]
    merged: dict[str, Any] = {}
    for _, inside in insides:
        for name, value in inside.items():
            before = merged.get(name)
            if value is None or (type(value) is int and type(before) is int and before > value):
                merged.setdefault(name, value)
            else:
                merged[name] = value
    return merged


def _cumulative(part: Mapping[str, Any], inside: Mapping[str, Any]) -> bool:
    """Whether this is Anthropic's: by its events, by names that only it has, or by tokens out without those in."""
    if part.get("type") in ("message_start", "message_delta"):
        return True
    if "cache_read_input_tokens" in inside or "cache_creation" in inside:
        return True
    return "output_tokens" in inside and not any(name in inside for name in ("input_tokens", "total_tokens"))
