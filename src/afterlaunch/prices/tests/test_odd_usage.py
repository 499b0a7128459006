"""Usage bodies as an accountant would doubt them: what is written oddly, lacks, or contradicts itself. No answer is a
silent zero, and none is called exact that is not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from afterlaunch.ground.errors import Invalid
from afterlaunch.prices.oneshot import answer

AT = "2026-11-01T12:00:00Z"
HAIKU, SONNET, GPT = ("anthropic", "claude-haiku-4-5"), ("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-4o")
SEARCHED = {"web_search_requests": 2}
CHAT = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
STARTED = {"type": "message_start", "message": {"model": "claude-sonnet-4-5", "usage": {"input_tokens": 2068}}}
CHAT_USD = "0.00035"  # by gpt-4o
SEARCHING = {"input_tokens": 4, "output_tokens": 5}
CACHED = {"input_token_details": {"cache_read": 40}, "output_token_details": {"reasoning": 4}}


def asked(who: tuple[str, str | None], usage: Any, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = answer({"provider": who[0], "model": who[1], "time": AT, "usage": usage, **more})
    return made


def usd(*of: tuple[int, str]) -> Decimal:
    """Of (tokens, price per million)."""
    return sum((Decimal(n) * Decimal(price) for n, price in of), Decimal(0)) / 1_000_000


@pytest.mark.parametrize(
    ("who", "usage", "total"),
    [
        # spelled otherwise
        (HAIKU, {"input_tokens": "1000", "output_tokens": "100"}, usd((1000, "1"), (100, "5"))),
        (HAIKU, {"input_tokens": 1000.0, "output_tokens": 100.0}, usd((1000, "1"), (100, "5"))),
        (HAIKU, {"input_tokens": 1000, "output_tokens": 100, "server_tool_use": None}, usd((1000, "1"), (100, "5"))),
        (
            GPT,
            {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110, **CACHED},
            usd((60, "2.5"), (40, "1.25"), (10, "10")),
        ),
        (
            ("bedrock", "meta.llama3-1-70b-instruct-v1:0"),
            {"prompt_token_count": 10, "generation_token_count": 5},
            usd((15, "0.72")),
        ),
        # of a stream
        (GPT, [{"usage": CHAT}, {"usage": None}], Decimal(CHAT_USD)),
        (SONNET, [STARTED, {"type": "message_delta", "usage": {"output_tokens": 500}}], usd((2068, "3"), (500, "15"))),
        (SONNET, [{"input_tokens": 2068, "output_tokens": 1}, {"output_tokens": 500}], usd((2068, "3"), (500, "15"))),
        (("groq", "llama-3.3-70b-versatile"), {"x_groq": {"usage": CHAT}}, usd((100, "0.59"), (10, "0.79"))),
        # the model that the body names
        (("azure", "prod-chat"), {"model": "gpt-4o-2024-11-20", "usage": CHAT}, Decimal(CHAT_USD)),
        (
            ("anthropic", "claude-3-7-sonnet-latest"),
            {"model": "claude-haiku-4-5", "usage": {"input_tokens": 9, "output_tokens": 0}},
            usd((9, "1")),
        ),
        (
            ("openai", None),
            {"type": "response.completed", "response": {"model": "gpt-4o", "usage": CHAT}},
            Decimal(CHAT_USD),
        ),
        # names of models
        (("openai", "ft:gpt-4o-mini:org::id"), CHAT, usd((100, "0.3"), (10, "1.2"))),
        (("fireworks", "deepseek-r1-0528"), CHAT, usd((100, "3"), (10, "8"))),
        (("Azure OpenAI", "gpt-4o"), CHAT, Decimal(CHAT_USD)),
        (("openrouter", "deepseek/deepseek-r1:free"), CHAT, Decimal(0)),
        # units
        (
            SONNET,
            {**SEARCHING, "server_tool_use": {"web_search_requests": "2"}},
            usd((4, "3"), (5, "15")) + Decimal("0.02"),
        ),
    ],
)
def test_what_is_meant_is_priced(who: tuple[str, str | None], usage: Any, total: Decimal) -> None:
    made = asked(who, usage)
    assert Decimal(made["total"]) == total and made["reasons"] == []


@pytest.mark.parametrize(
    ("who", "usage", "flag"),
    [
        *(
            (HAIKU, {"input_tokens": odd, "output_tokens": 5}, "invalid_value")
            for odd in (-5, 1.5, True, "many", 2**60, [7])
        ),
        (HAIKU, {"input_tokens": 5, "output_tokens": 5, "cache_read_input_tokens": -3}, "invalid_value"),
        (SONNET, {**SEARCHING, "server_tool_use": {"web_search_requests": -1}}, "invalid_value"),
        (SONNET, {**SEARCHING, "server_tool_use": {"web_search_requests": 1.5}}, "invalid_value"),
        (SONNET, {"output_tokens": 5, "server_tool_use": SEARCHED}, ""),
        (SONNET, {"server_tool_use": SEARCHED}, ""),
        (GPT, {"total_tokens": 1000}, ""),
    ],
)
def test_a_part_is_not_the_sum(who: tuple[str, str | None], usage: Any, flag: str) -> None:
    made = asked(who, usage, service_tier="default")
    assert (made["total"], made["reason"], made["confidence"]) == (None, "usage_incomplete", "unknown")
    assert made["flags"] == ([flag] if flag else [])


@pytest.mark.parametrize(
    ("who", "usage", "flag"),
    [
        (GPT, {**CHAT, "quantum_tokens": 7}, "usage_key_unknown"),
        (GPT, {**CHAT, "prompt_tokens_details": {"new_tokens": 7}}, "usage_key_unknown"),
        (GPT, {**CHAT, "input_tokens": 99}, "tokens_conflict"),
        (GPT, {**CHAT, "total_tokens": 500}, "total_mismatch"),
        (GPT, {**CHAT, "prompt_tokens_details": {"cached_tokens": 150}}, "cache_exceeds_input"),
        (GPT, {**CHAT, "cost": 1}, "cost_mismatch"),
        (
            ("openai", "gpt-4o-audio-preview"),
            {**CHAT, "prompt_tokens_details": {"audio_tokens": 80}},
            "input_audio_priced_as_text",
        ),
        (("mistral", "codestral-latest"), CHAT, "alias_assumed"),
        (("perplexity", "sonar-pro"), {**CHAT, "search_context_size": "low"}, "search_context_not_priced"),
        (
            ("gemini", "gemini-2.0-flash"),
            {
                "promptTokenCount": 9,
                "candidatesTokenCount": 1,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": -7}],
            },
            "invalid_value",
        ),
    ],
)
def test_what_is_doubtful_is_not_called_exact(who: tuple[str, str | None], usage: Any, flag: str) -> None:
    made = asked(who, usage, service_tier="default")
    assert flag in made["flags"] and made["confidence"] == "assumed" and Decimal(made["total"]) > 0


def test_the_providers_own_sum_stands_where_no_price_is_known() -> None:
    byok = {"is_byok": True, "cost": 0, "cost_details": {"upstream_inference_cost": None}}
    for usage, total in (
        ({**CHAT, "cost": 0.00035}, "0.00035"),
        ({**CHAT, "cost": "0.00035"}, "0.00035"),
        ({**CHAT, "cost": {"total_cost": 0.00035}}, "0.00035"),
        ({**CHAT, "cost_in_usd_ticks": 3_500_000}, "0.00035"),
        ({**CHAT, **byok, "cost_details": {"upstream_inference_cost": 0.00034}, "cost": 0.00001}, "0.00035"),
        ({**CHAT, **byok}, None),  # a fee is not the cost
        ({**CHAT, "cost": -1}, None),
    ):
        made = asked(("openrouter", "nobody/nothing"), usage)
        sure = ("sender", ["cost_from_sender"]) if total else ("unknown", [])
        assert (made["total"], made["reason"]) == (total, "price_missing")
        assert (made["confidence"], made["flags"]) == sure


def test_thinking_without_names_of_caches_is_reasoning() -> None:
    made = asked(HAIKU, {"input_tokens": 5, "output_tokens": 100, "output_tokens_details": {"thinking_tokens": 40}})
    assert (made["buckets"]["out_visible"], made["buckets"]["out_reasoning"]) == (60, 40)


def test_bedrocks_tier_beside_the_usage_is_a_fact() -> None:
    around = {"serviceTier": {"type": "priority"}, "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}
    assert asked(("bedrock", "amazon.nova-lite-v1:0"), around)["flags"] == ["service_tier_not_priced"]


def test_numbers_of_modalities_are_read() -> None:
    told = {
        "promptTokenCount": 20,
        "candidatesTokenCount": 1,
        "promptTokensDetails": [{"modality": 4, "tokenCount": 15}],
    }
    assert asked(("vertex_ai", "gemini-2.5-flash"), told)["overlays"] == {"in_audio": 15}


def test_a_question_that_cannot_be_asked_is_refused_by_its_number() -> None:
    with pytest.raises(Invalid, match="no instant"):
        asked(GPT, CHAT, time="0001-01-01T00:00:00+23:00")
    with pytest.raises(Invalid, match=r"^Question 2: time"):
        answer([{"usage": CHAT}, {"usage": CHAT, "time": "noon"}])


def test_a_usage_deep_inside_is_not_told() -> None:
    usage: Any = CHAT
    for _ in range(1_000):
        usage = {"response": usage}
    assert asked(GPT, usage)["reason"] == "usage_missing"
