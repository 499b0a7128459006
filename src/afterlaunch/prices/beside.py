"""What a usage object tells beside tokens: units that are charged, how the call was served, and what the provider says
that it cost."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from afterlaunch.prices.usage import MOST, Way, count_of, step

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
    "service_tier": (("service_tier",), ("serviceTier",), ("serviceTier", "type"), ("service_tier_capacity",)),
    "region": (("inference_geo",),),
    "speed": (("speed",),),
    "traffic": (("trafficType",), ("traffic_type",)),
}
"""What a usage object itself says of how the call was served."""


def units(told: Mapping[str, Any]) -> tuple[dict[str, int | Decimal], bool]:
    """(counts above 0 of `UNITS`, whether something stands there that is no count). Only seconds may have fractions."""
    found: dict[str, int | Decimal] = {}
    wrong = False
    for name, ways in UNITS.items():
        for way in ways:
            at: Any = told
            for key in way:
                at = step(at, key)
            n = number_of(at) if name == "audio_seconds" else count_of(at)
            wrong = wrong or (n is None and at not in (None, ""))
            if n:
                found[name] = n if isinstance(n, int) or isinstance(at, float) else int(n)
                break
    return found, wrong


def number_of(told: Any) -> Decimal | None:
    """A number of 0 or more, also as a decimal text; None for anything else."""
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return None
    try:
        found = Decimal(told.strip() if isinstance(told, str) else repr(told)) if told != "" else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() and 0 <= found < MOST else None


def facts(told: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, ways in FACTS.items():
        for way in ways:
            at: Any = told
            for key in way:
                at = step(at, key)
            if isinstance(at, str) and at:
                found[name] = at
                break
    return found


COSTS: tuple[Way, ...] = (("cost",), ("cost", "total_cost"))
"""What the provider says the call cost, in USD."""
_TICKS = Decimal(10) ** 10  # of a USD, as xAI counts them


def reported(told: Mapping[str, Any]) -> Decimal | None:
    if told.get("is_byok") is True:  # OpenRouter then bills its fee; the inference is on the caller's own account
        fee, inference = (
            number_of(told.get("cost")),
            number_of(step(told.get("cost_details"), "upstream_inference_cost")),
        )
        return None if fee is None or inference is None else fee + inference
    for way in COSTS:
        at: Any = told
        for key in way:
            at = step(at, key)
        if (found := number_of(at)) is not None:
            return found
    ticks = number_of(told.get("cost_in_usd_ticks"))
    return None if ticks is None else ticks / _TICKS
