"""`price usage`: buckets, prices, total, source and confidence of one call, as a person asks for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from afterlaunch.cli.main import app
from afterlaunch.ground.errors import Invalid
from afterlaunch.prices.oneshot import answer

AT = "2026-11-01T12:00:00Z"


def priced(provider: str, model: str, usage: Any, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = answer({"provider": provider, "model": model, "time": AT, "usage": usage, **more})
    return made


def test_long_input_with_searches_costs_the_tier_for_every_bucket_and_the_fee_on_top() -> None:
    usage = {"input_tokens": 401_468, "output_tokens": 792, "server_tool_use": {"web_search_requests": 10}}
    usage |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "service_tier": "standard"}
    made = priced("anthropic", "claude-sonnet-4-5-20250929", usage)
    assert made["amounts"] == {"in_uncached": "2.408808", "out_visible": "0.01782", "web_searches": "0.1"}
    assert (made["total"], made["total_nano"], made["confidence"]) == ("2.526628", 2_526_628_000, "exact")
    assert made["source"]["row"] == "anthropic/claude-sonnet-4-5" and made["source"]["table"] == "genai-prices"


def test_the_tier_begins_above_its_threshold_and_counts_the_cache() -> None:
    usage = {"input_tokens": 1_000, "output_tokens": 1, "cache_creation_input_tokens": 0}
    at = priced("anthropic", "claude-sonnet-4-5", usage | {"cache_read_input_tokens": 199_000})
    above = priced("anthropic", "claude-sonnet-4-5", usage | {"cache_read_input_tokens": 199_001})
    assert (at["prices"]["in_uncached"], above["prices"]["in_uncached"]) == ("3", "6")
    assert above["prices"]["out_visible"] == "22.5"


def test_cache_writes_are_priced_by_their_life() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 300}
    usage["cache_creation"] = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}  # type: ignore[assignment]
    made = priced("anthropic", "claude-sonnet-4-5", usage)
    assert made["prices"]["in_cache_write_5m"] == "3.75" and made["prices"]["in_cache_write_1h"] == "6"
    assert made["buckets"]["in_uncached"] == 10 and made["total"] == "0.00171"
    untold = priced("anthropic", "claude-sonnet-4-5", {**usage, "cache_creation": None})
    assert untold["flags"] == ["cache_write_ttl_assumed"] and untold["confidence"] == "assumed"


@pytest.mark.parametrize(
    ("provider", "model", "usage", "reason"),
    [
        ("openai", "gpt-4o", None, "usage_missing"),
        ("openai", "gpt-4o", {}, "usage_missing"),
        ("openai", "gpt-4o", {"completion_tokens": 5}, "usage_incomplete"),
        ("openai", "gpt-99", {"prompt_tokens": 1, "completion_tokens": 1}, "price_missing"),
        ("anthropic", "claude-sonnet-4-9", {"input_tokens": 1, "output_tokens": 1}, "price_missing"),
        ("acme", "gpt-4o", {"prompt_tokens": 1, "completion_tokens": 1}, "price_missing"),
    ],
)
def test_what_is_not_known_is_null_with_a_reason(provider: str, model: str, usage: Any, reason: str) -> None:
    made = priced(provider, model, usage)
    assert (made["total"], made["reason"], made["confidence"]) == (None, reason, "unknown")


def test_a_zero_that_the_provider_said_is_a_zero() -> None:
    made = priced("openai", "gpt-4o", {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
    assert (made["total"], made["buckets"]["in_uncached"], made["buckets"]["in_cache_read"]) == ("0", 0, None)


def test_cached_audio_is_priced_once_at_its_own_rate() -> None:
    usage = {
        "promptTokenCount": 1_000,
        "candidatesTokenCount": 10,
        "totalTokenCount": 1_010,
        "cachedContentTokenCount": 400,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 500}, {"modality": "AUDIO", "tokenCount": 500}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 100}, {"modality": "AUDIO", "tokenCount": 300}],
    }
    made = priced("gcp.gemini", "gemini-2.5-flash", usage)
    lines = {line["unit"]: (line["count"], line["price"]) for line in made["lines"]}
    assert lines["input_audio"] == (200, "1") and lines["cached_audio"] == (300, "0.1")
    assert lines["input"] == (400, "0.3") and lines["cache_read"] == (100, "0.03")


def test_a_batch_a_tier_and_a_time_of_day_have_prices_of_their_own() -> None:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
    assert priced("openai", "gpt-5", usage)["total"] == "1.25"
    assert priced("openai", "gpt-5", usage, batch=True)["total"] == "0.625"
    assert priced("openai", "gpt-5", usage, service_tier="priority")["total"] == "2.5"
    assert priced("openai", "gpt-5", usage)["flags"] == ["service_tier_assumed"]
    assert priced("openai", "gpt-5", {**usage, "service_tier": "default"})["confidence"] == "exact"
    assert priced("deepseek", "deepseek-chat", usage)["total"] == "0.27"
    assert priced("deepseek", "deepseek-chat", usage, time="2026-11-01T16:30:00Z")["total"] == "0.135"
    assert priced("deepseek", "deepseek-chat", usage, time="2026-11-01T00:29:59Z")["total"] == "0.135"
    assert priced("deepseek", "deepseek-chat", usage, time="2026-11-01T02:30:00+02:00")["total"] == "0.27"


def test_a_fact_that_no_row_asks_for_is_told() -> None:
    usage = {"input_tokens": 1_000_000, "output_tokens": 0, "service_tier": "standard", "inference_geo": "us"}
    made = priced("anthropic", "claude-opus-4-7", usage)
    assert made["flags"] == ["region_not_priced"] and made["confidence"] == "assumed"


def test_the_requested_model_prices_where_the_answered_one_is_unknown() -> None:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
    made = priced("openai", "my-deployment", usage, model_requested="gpt-5", service_tier="default")
    assert made["total"] == "1.25" and made["flags"] == ["price_on_requested_model"]


def test_units_beside_tokens_are_charged_too() -> None:
    assert priced("groq", "whisper-large-v3", {"type": "duration", "seconds": 3600})["total"] == "0.111"
    assert priced("groq", "whisper-large-v3", {"type": "duration", "seconds": 1})["lines"][0]["count"] == 10
    embedded = priced("openai", "text-embedding-3-small", {"prompt_tokens": 25, "total_tokens": 25})
    assert (embedded["total"], embedded["total_nano"]) == ("0.0000005", 500)


def test_the_providers_own_sum_is_compared() -> None:
    made = priced("openrouter", "openai/gpt-4o", {"prompt_tokens": 1_000, "completion_tokens": 0, "cost": 1})
    assert made["flags"] == ["cost_mismatch"] and made["reported_total"] == "1"


@pytest.mark.parametrize(
    "asked",
    [
        [1],
        {"provider": "openai"},
        {"usage": {}, "tokens": 1},
        {"usage": {}, "time": "yesterday"},
        {"usage": {}, "units": {"requests": -1}},
        {"usage": {}, "batch": "yes"},
        {"usage": {}, "model": 7},
    ],
)
def test_a_wrong_question_says_what_is_wrong(asked: Any) -> None:
    with pytest.raises(Invalid):
        answer(asked)


def test_the_command_answers_one_question_and_lines_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    question = {
        "provider": "openai",
        "model": "gpt-4o",
        "time": AT,
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    run = CliRunner()
    one = run.invoke(app, ["price", "usage", "--json"], input=orjson.dumps(question))
    assert one.exit_code == 0 and Decimal(orjson.loads(one.stdout)["total"]) == Decimal("0.0000125")
    several = run.invoke(app, ["price", "usage"], input=b"\n".join([orjson.dumps(question)] * 2))
    assert [made["total"] for made in orjson.loads(several.stdout)] == ["0.0000125"] * 2
    wrong = run.invoke(app, ["price", "usage"], input=b"{")
    assert wrong.exit_code == 2
