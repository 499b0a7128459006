"""What providers told, as the gateway tells it: counts in the inclusive form, and beside them what they do not hold."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import orjson
import pytest

from afterlaunch.gateway.spending.prices import kinds_of
from afterlaunch.gateway.tests.house import KEY, Canned, House, until
from afterlaunch.gateway.usage import MOST, Tokens

CHAT = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
LETTER = {"input_tokens": 5, "output_tokens": 6}
CACHED, THOUGHT = (
    {"prompt_tokens_details": {"cached_tokens": 40}},
    {"completion_tokens_details": {"reasoning_tokens": 9}},
)
BASE = {"chat/completions": "", "embeddings": "", "responses": "", "messages": "/r/letters"}
NAMES = {
    "in": "gen_ai.usage.input_tokens",
    "out": "gen_ai.usage.output_tokens",
    "read": "gen_ai.usage.cache_read.input_tokens",
    "write": "gen_ai.usage.cache_write.input_tokens",
    "thought": "gen_ai.usage.reasoning.output_tokens",
    "cost": "gen_ai.usage.cost",
    "why": "afterlaunch.usage_unknown",
}


@pytest.mark.parametrize(
    ("path", "usage", "told"),
    [
        # the sum tells what the totals hold
        ("chat/completions", CHAT | THOUGHT, {"in": 100, "out": 20, "thought": 9}),
        ("chat/completions", CHAT | THOUGHT | {"total_tokens": 129}, {"in": 100, "out": 29, "thought": 9}),
        ("chat/completions", CHAT | CACHED | {"total_tokens": 160}, {"in": 140, "out": 20, "read": 40}),
        (
            "chat/completions",
            CHAT | CACHED | THOUGHT | {"total_tokens": 169},
            {"in": 140, "out": 29, "read": 40, "thought": 9},
        ),
        ("chat/completions", CHAT | CACHED | {"total_tokens": 999}, {"in": 100, "out": 20, "read": 40}),
        ("chat/completions", {"prompt_tokens": 10, "total_tokens": 10}, {"in": 10, "out": 0}),
        # other places and spellings
        (
            "chat/completions",
            CHAT | {"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36},
            {"in": 100, "out": 20, "read": 64},
        ),
        ("chat/completions", CHAT | {"cached_tokens": 64}, {"in": 100, "out": 20, "read": 64}),
        (
            "chat/completions",
            CHAT | CACHED | {"cache_creation_input_tokens": 10},
            {"in": 100, "out": 20, "read": 40, "write": 10},
        ),
        ("chat/completions", {"prompt_tokens": "100", "completion_tokens": 20.0}, {"in": 100, "out": 20}),
        ("embeddings", {"total_tokens": 7}, {"in": 7}),
        ("embeddings", {"prompt_tokens": 7, "total_tokens": 7}, {"in": 7}),
        ("messages", {"input_tokens": "5", "output_tokens": 6.0}, {"in": 5, "out": 6}),
        # no counts
        ("chat/completions", CHAT | {"prompt_tokens": -1}, {"why": "no count on one side"}),
        ("chat/completions", CHAT | {"prompt_tokens": MOST}, {"why": "no count on one side"}),
        ("messages", LETTER | {"output_tokens": 1.5}, {"why": "no count on one side"}),
        ("responses", {"output_tokens": 5}, {"why": "no count on one side"}),
        # beside the counts
        ("chat/completions", CHAT | {"cost": 0.00035}, {"in": 100, "out": 20, "cost": 0.00035, "raw": True}),
        ("chat/completions", CHAT | {"cost": 0, "is_byok": True}, {"in": 100, "out": 20, "raw": True}),
        (
            "chat/completions",
            CHAT | {"prompt_tokens_details": {"image_tokens": 9}},
            {"in": 100, "out": 20, "raw": True},
        ),
        ("messages", LETTER | {"server_tool_use": {"web_search_requests": 2}}, {"in": 5, "out": 6, "raw": True}),
        ("messages", LETTER | {"server_tool_use": {"web_search_requests": 0}}, {"in": 5, "out": 6}),
        ("messages", LETTER | {"speed": "fast"}, {"in": 5, "out": 6, "raw": True}),
        ("messages", LETTER | {"inference_geo": "us"}, {"in": 5, "out": 6, "raw": True}),
        (
            "messages",
            LETTER | {"inference_geo": "global", "speed": "standard", "service_tier": "priority"},
            {"in": 5, "out": 6},
        ),
    ],
)
def test_what_was_told_is_told(gateway_house: House, path: str, usage: dict[str, Any], told: dict[str, Any]) -> None:
    body = orjson.dumps({"model": "m", "usage": usage})
    gateway_house.provider.answer = lambda _: Canned([body])
    url = f"{gateway_house.url}{BASE[path]}/v1/{path}"
    before = len(gateway_house.server.attempts())
    got = httpx.post(url, json={"model": "m"}, headers={"authorization": f"Bearer {KEY}"}, timeout=20)
    assert (got.status_code, got.content) == (200, body)
    until(lambda: len(gateway_house.server.attempts()) > before)
    seen = gateway_house.server.attempts()[-1]
    assert {short: seen[name] for short, name in NAMES.items() if name in seen} == {
        k: v for k, v in told.items() if k != "raw"
    }
    assert seen["afterlaunch.usage_state"] == ("unknown" if "why" in told else "exact")
    raw = seen.get("gen_ai.usage.raw")
    assert (orjson.loads(raw) if isinstance(raw, str) else None) == (usage if "raw" in told else None)


def test_parts_that_exceed_their_total_are_charged_beside_it() -> None:
    """As ingest counts them: a cache that exceeds the input was not in it, nor reasoning that exceeds the output."""
    kinds = kinds_of(Tokens(input=100, output=10, cache_read=140, reasoning=30))
    assert (kinds["input"], kinds["cache_read"], kinds["output"], kinds["reasoning"]) == (100, 140, 10, 30)
