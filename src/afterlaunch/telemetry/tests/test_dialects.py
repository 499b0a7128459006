"""What each dialect's spans become. The spans are of our own making, after the readers and the documentation of each
dialect; recorded ones are in `test_real_instrumentations` and `test_recorded_usage`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tests.telling import AT, MS, body, row, rows, span, text

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
# What the same call of 1,000 tokens in (400 read from the cache) and 100 out (40 of reasoning) is told as.
SAME_CALL: dict[str, dict[str, Any]] = {
    "current": {
        **CHAT,
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 400,
        "gen_ai.usage.reasoning.output_tokens": 40,
    },
    "older": {
        "gen_ai.system": "openai",
        "llm.request.type": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.prompt_tokens": "1000",
        "gen_ai.usage.completion_tokens": 100.0,
        "gen_ai.usage.cache_read_input_tokens": 400,
        "gen_ai.usage.reasoning_tokens": 40,
        "llm.usage.total_tokens": 1100,
    },
    "openinference": {
        "openinference.span.kind": "LLM",
        "llm.system": "openai",
        "llm.model_name": "gpt-4o-2024-08-06",
        "llm.invocation_parameters": text({"model": "gpt-4o", "temperature": 0}),
        "llm.token_count.prompt": 1000,
        "llm.token_count.completion": 100,
        "llm.token_count.total": 1100,
        "llm.token_count.prompt_details.cache_read": 400,
        "llm.token_count.completion_details.reasoning": 40,
    },
    "langfuse": {
        "langfuse.observation.type": "generation",
        "gen_ai.system": "openai",
        "langfuse.observation.model.name": "gpt-4o-2024-08-06",
        "langfuse.observation.usage_details": text(
            {"input": 600, "input_cached_tokens": 400, "output": 60, "output_reasoning_tokens": 40, "total": 1100}
        ),
    },
    "vercel 5": {
        "operation.name": "ai.generateText.doGenerate desk",
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.provider": "openai.chat",
        "ai.model.id": "gpt-4o",
        "ai.response.model": "gpt-4o-2024-08-06",
        "ai.usage.inputTokens": 1000,
        "ai.usage.outputTokens": 100,
        "ai.usage.cachedInputTokens": 400,
        "ai.usage.reasoningTokens": 40,
    },
    "vercel 4": {
        "ai.operationId": "ai.generateText.doGenerate",
        "gen_ai.system": "openai.chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "ai.usage.promptTokens": 1000,
        "ai.usage.completionTokens": 100,
        "ai.response.providerMetadata": text({"openai": {"cachedPromptTokens": 400, "reasoningTokens": 40}}),
    },
    "logfire": {
        **CHAT,
        "logfire.span_type": "span",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.raw": text(
            {
                "prompt_tokens": 1000,
                "completion_tokens": 100,
                "total_tokens": 1100,
                "prompt_tokens_details": {"cached_tokens": 400},
                "completion_tokens_details": {"reasoning_tokens": 40},
            }
        ),
    },
    "litellm": {
        "gen_ai.system": "openai",
        "gen_ai.operation.name": "acompletion",
        "llm.is_streaming": "False",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.prompt_tokens_details.cached_tokens": 400,
        "gen_ai.usage.completion_tokens_details.reasoning_tokens": 40,
        "metadata.user_api_key_team_id": "",
    },
    "genkit": {
        **CHAT,
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read_tokens": 400,
        "genkit:output": text({"usage": {"thoughtsTokens": 40}}),
    },
}


@pytest.mark.parametrize("dialect", SAME_CALL)
def test_one_call_costs_the_same_whoever_tells_it(dialect: str) -> None:
    found = row(SAME_CALL[dialect])
    buckets = ("in_uncached", "in_cache_read", "out_visible", "out_reasoning")
    assert [found[name] for name in buckets] == [600, 400, 60, 40]
    assert (found["op_kind"], found["provider"], found["model_answered"]) == (
        "inference",
        "openai",
        "gpt-4o-2024-08-06",
    )
    # 600 x 2.50 + 400 x 1.25 + 100 x 10.00 USD per million
    assert (found["cost_nano"], found["cost_confidence"]) == (3_000_000, "exact")
    assert not {flag for flag in found["flags"] if flag != "service_unknown"}


def test_anthropics_cache_is_apart_in_some_dialects_and_inside_in_others() -> None:
    """10 fresh, 4,332 read, 4,513 written: five minutes 4,000, an hour 513."""
    split = {"ephemeral_5m_input_tokens": 4000, "ephemeral_1h_input_tokens": 513}
    native = {"input_tokens": 10, "cache_read_input_tokens": 4332, "cache_creation_input_tokens": 4513}
    model = {"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5"}
    tellings: dict[str, dict[str, Any]] = {
        "the SDK's own span": {
            **model,
            "gen_ai.usage.input_tokens": 8855,
            "gen_ai.usage.cache_read.input_tokens": 4332,
            "gen_ai.usage.cache_write.input_tokens": 4513,
            **{f"anthropic.usage.cache_creation.{name}": count for name, count in split.items()},
        },
        "Logfire": {
            **model,
            "gen_ai.usage.input_tokens": 8855,
            "gen_ai.usage.raw": text({**native, "cache_creation": split, "output_tokens": 5}),
        },
        "only the provider's object": {**model, "gen_ai.usage.raw": text({**native, "cache_creation": split})},
        "Langfuse": {
            **model,
            "langfuse.observation.usage_details": text(
                {
                    "input": 10,
                    "cache_read_input_tokens": 4332,
                    "input_cache_creation": 4513,
                    "input_cache_creation_5m": 4000,
                    "input_cache_creation_1h": 513,
                    "output": 5,
                }
            ),
        },
        "AI SDK 5": {
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.provider": "anthropic.messages",
            "ai.model.id": "claude-sonnet-4-5",
            "ai.usage.inputTokens": 10,
            "ai.usage.cachedInputTokens": 4332,
            "ai.response.providerMetadata": text({"anthropic": {"usage": {**native, "cache_creation": split}}}),
        },
        "AI SDK 6": {
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.provider": "anthropic.messages",
            "ai.model.id": "claude-sonnet-4-5",
            "ai.usage.inputTokens": 8855,
            "ai.usage.inputTokenDetails.noCacheTokens": 10,
            "ai.usage.inputTokenDetails.cacheReadTokens": 4332,
            "ai.usage.inputTokenDetails.cacheWriteTokens": 4513,
            "ai.response.providerMetadata": text({"anthropic": {"usage": {**native, "cache_creation": split}}}),
        },
    }
    for who, told in tellings.items():
        found = row({**told, "gen_ai.usage.output_tokens": 5} if "ai.operationId" not in told else told)
        assert found["in_uncached"] == 10, who
        assert found["in_cache_read"] == 4332, who
        assert (found["in_cache_write_5m"], found["in_cache_write_1h"]) == (4000, 513), who
        assert found["in_cache_write_other"] is None, who


def test_claude_code_has_bare_names_that_count_for_nobody_else() -> None:
    told: dict[str, Any] = {
        "model": "claude-sonnet-4-5",
        "input_tokens": 12,
        "output_tokens": 34,
        "cache_read_tokens": 5000,
    }
    told |= {"cache_creation_tokens": 600, "ttft_ms": 250, "cost_usd": 0.01, "session_id": "s1"}
    found = row({"span.type": "claude_code.llm_request", **told})
    assert (found["op_kind"], found["provider"], found["dialects"]) == ("inference", "anthropic", "claude_code")
    assert (found["in_uncached"], found["in_cache_read"], found["in_cache_write_other"]) == (12, 5000, 600)
    assert (found["ttft_ns"], found["session"], found["cost_reported_nano"]) == (250 * MS, "s1", 10_000_000)
    assert row({"span.type": "interaction"})["op_kind"] == "agent"
    tool = row({"span.type": "tool", "tool_name": "Bash", "subagent_type": "explorer"})
    assert (tool["op_kind"], tool["tool"], tool["agent"]) == ("tool", "Bash", "explorer")
    other = row(told)
    assert (other["in_uncached"], other["model_requested"], other["op_kind"]) == (None, None, "other")
    assert other["attributes"].keys() == told.keys(), "nothing of it is lost"


def test_the_ai_sdks_outer_span_repeats_its_inner_calls_and_counts_once(tmp_path: Path) -> None:
    usage = {"ai.usage.inputTokens": 1000, "ai.usage.outputTokens": 100}
    model = {"ai.model.provider": "openai.chat", "ai.model.id": "gpt-4o"}
    outer = span(
        {"ai.operationId": "ai.generateText", "operation.name": "ai.generateText desk", **model, **usage},
        number=1,
        kind=1,
    )
    inner = span(
        {"ai.operationId": "ai.generateText.doGenerate", **model, **usage, "ai.response.id": "resp_00000001"},
        number=2,
        parent=1,
        kind=1,
    )
    tool = span({"ai.operationId": "ai.toolCall", "ai.toolCall.name": "look_up"}, number=3, parent=1, kind=1)
    data = body(outer, inner, tool, scope="ai")
    assert [one["op_kind"] for one in rows(data)] == ["agent", "inference", "tool"]
    store = Store(Duck(tmp_path / "t.duckdb"))
    store.commit([normalise(data, "application/x-protobuf", "acme", 0).table])
    store.settle(AT + 3_600 * 1000 * MS)
    (sums,) = store.query(
        "select sum(calls)::int as calls, sum(in_uncached)::int as fresh from sums_minute join series on id = series"
        " where op_kind = 'inference'"
    )
    store.close()
    assert sums == {"calls": 1, "fresh": 1000}


def test_langfuse_tells_prompt_level_cost_and_first_token() -> None:
    found = row(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "our-own-model",
            "langfuse.observation.prompt.name": "refunds",
            "langfuse.observation.prompt.version": 7,
            "langfuse.observation.level": "ERROR",
            "langfuse.observation.status_message": "Error code: 429 - slow down",
            "langfuse.observation.completion_start_time": '"2026-03-01T00:00:00.250Z"',
            "langfuse.observation.cost_details": text({"input": 0.25, "output": 0.5}),
            "langfuse.observation.model.parameters": text({"temperature": 0.2}),
            "langfuse.session.id": "s",
            "langfuse.user.id": "u",
            "langfuse.trace.tags": ["x", "route:/refunds"],
            "langfuse.trace.metadata.tenant_id": "t7",
            "langfuse.environment": "production",
            "langfuse.release": "r9",
        }
    )
    assert (found["prompt_name"], found["prompt_version"], found["request_params"]) == (
        "refunds",
        "7",
        '{"temperature":0.2}',
    )
    assert (found["failed"], found["error_kind"], found["status_message"]) == (
        True,
        "rate_limited",
        "Error code: 429 - slow down",
    )
    assert found["ttft_ns"] == 250 * MS
    assert (found["cost_nano"], found["cost_confidence"]) == (750_000_000, "sender")
    assert "cost_from_sender" in found["flags"]
    assert (found["session"], found["user"], found["tenant"], found["route"]) == ("s", "u", "t7", "/refunds")
    assert (found["environment"], found["release"]) == ("prod", "r9")
    tool = row({"langfuse.observation.type": "tool", "langfuse.observation.input": "2 + 2"}, name="calculator")
    assert (tool["op_kind"], tool["tool"], tool["input_text"]) == ("tool", "calculator", "2 + 2")


def test_messages_told_one_by_one_are_put_together() -> None:
    older = row(
        {
            "llm.request.type": "chat",
            "gen_ai.prompt.1.content": "What is the weather?",
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "You help.",
            "gen_ai.prompt.3.role": "user",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.tool_calls.0.name": "get_weather",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"city":"Rome"}',
            "gen_ai.completion.0.finish_reason": "tool_calls",
        }
    )
    assert older["input_text"] == text(
        [{"role": "system", "content": "You help."}, {"content": "What is the weather?"}, {"role": "user"}]
    )
    assert older["output_text"] == text(
        [
            {
                "role": "assistant",
                "tool_calls": [{"name": "get_weather", "arguments": '{"city":"Rome"}'}],
                "finish_reason": "tool_calls",
            }
        ]
    )
    assert not older["attributes"]
    openinference = row(
        {
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.contents.0.message_content.text": "Hello",
            "input.value": text({"messages": "the whole request"}),
        }
    )
    assert openinference["input_text"] == text([{"role": "user", "contents": [{"text": "Hello"}]}])
    assert "input.value" in openinference["attributes"], "what lost is kept"
    both = row({"gen_ai.input.messages": "[]", "llm.input_messages.0.message.role": "user"})
    assert (both["input_text"], both["attributes"]) == ("[]", {"llm.input_messages.0.message.role": "user"})


def test_events_speak_where_the_span_is_silent() -> None:
    found = row(
        CHAT,
        events=[
            ("gen_ai.user.message", 0, {"content": "Hello", "gen_ai.system": "openai"}),
            ("gen_ai.choice", 5, {"index": 0, "finish_reason": "stop", "message": {"content": "Hi"}}),
            ("First Token Stream Event", 120, {}),
            ("gen_ai.client.inference.operation.details", 9, {"gen_ai.usage.input_tokens": 7}),
        ],
    )
    assert found["input_text"] == text([{"role": "user", "content": "Hello"}])
    assert found["output_text"] == text(
        [{"role": "assistant", "index": 0, "finish_reason": "stop", "message": {"content": "Hi"}}]
    )
    assert (found["ttft_ns"], found["in_uncached"]) == (120 * MS, 7)
    beaten = row({**CHAT, "gen_ai.usage.input_tokens": 8}, events=[("x", 0, {"gen_ai.usage.input_tokens": 7})])
    assert beaten["in_uncached"] == 8


def test_a_retrievals_documents_come_in_all_forms() -> None:
    listed = [{"id": "a", "score": 0.9}, {"id": "b", "score": 0.5}]
    forms: list[dict[str, Any]] = [
        {"attributes": {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": text(listed)}},
        {"attributes": {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": listed}},
        {
            "attributes": {
                "openinference.span.kind": "RETRIEVER",
                "retrieval.documents.7.document.score": 0.5,
                "retrieval.documents.7.document.id": "b",
                "retrieval.documents.2.document.id": "a",
                "retrieval.documents.2.document.score": 0.9,
            }
        },
        {
            "attributes": {"db.vector.query.top_k": 2},
            "events": [
                ("db.query.result", 1, {"db.query.result.id": "a", "db.query.result.score": 0.9}),
                ("db.query.result", 1, {"db.query.result.id": "b", "db.query.result.score": 0.5}),
            ],
        },
    ]
    for form in forms:
        found = row(form["attributes"], events=form.get("events", ()))
        assert found["op_kind"] == "retrieval"
        assert (found["document_ids"], found["document_scores"]) == (["a", "b"], [0.9, 0.5]), form
        assert (found["document_count"], found["score_kind"]) == (2, "similarity")
        assert not found["attributes"]
    none = row({"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": "[]"})
    assert (none["document_count"], none["document_ids"]) == (0, [])
    silent = row({"gen_ai.operation.name": "retrieval"})
    assert (silent["document_count"], silent["document_ids"], silent["cache_hit"]) == (None, None, None)


def test_distances_and_similarities_do_not_mix_and_dates_tell_staleness() -> None:
    documents = [
        {"id": 1, "distance": 0.2, "metadata": {"updated_at": "2026-02-28T00:00:00Z", "indexed_at": 1772150400}},
        {"id": 2, "score": 0.9, "metadata": {"indexed_at": "2026-02-28T00:00:00+00:00"}},
        {"id": 3, "distance": 0.4},
    ]
    told = {"gen_ai.retrieval.documents": text(documents), "gen_ai.retrieval.query.text": "refunds"}
    found = row({"gen_ai.operation.name": "retrieval", "retrieval.cache.hit": "true", **told})
    assert (found["document_ids"], found["score_kind"]) == (["1", "2", "3"], "distance")
    assert found["document_scores"] == [0.2, None, 0.4]
    assert found["document_updated_ns"] == [AT - 86_400 * 10**9, None, None]
    assert found["index_updated_ns"] == AT - 86_400 * 10**9
    assert (found["input_text"], found["cache_hit"]) == ("refunds", True)
    assert found["output_text"] == text(documents), "the documents are the answer"


def test_evaluations_are_kept_with_name_score_and_label() -> None:
    events = [
        ("gen_ai.evaluation.result", 1, {"gen_ai.evaluation.name": "faithful", "gen_ai.evaluation.score.value": 0.8}),
        ("gen_ai.evaluation.result", 1, {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": "rude"}),
    ]
    found = row(CHAT, events=events)
    assert found["evaluation_names"] == ["faithful", "tone"]
    assert (found["evaluation_scores"], found["evaluation_labels"]) == ([0.8, None], [None, "rude"])
    alone = row({"openinference.span.kind": "EVALUATOR", "evaluation.name": "relevance", "evaluation.score": -1.5})
    assert (alone["op_kind"], alone["evaluation_names"], alone["evaluation_scores"]) == (
        "evaluation",
        ["relevance"],
        [-1.5],
    )


def test_tools_tell_name_id_arguments_and_result() -> None:
    tellings = [
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "sum",
            "gen_ai.tool.call.id": "c1",
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.arguments": '{"a":1}',
            "gen_ai.tool.call.result": "3",
        },
        {
            "openinference.span.kind": "TOOL",
            "tool.name": "sum",
            "tool.id": "c1",
            "tool.parameters": '{"a":1}',
            "output.value": "3",
        },
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "sum",
            "ai.toolCall.id": "c1",
            "ai.toolCall.args": '{"a":1}',
            "ai.toolCall.result": "3",
        },
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "sum",
            "gen_ai.tool.call.id": "c1",
            "traceloop.entity.input": '{"a":1}',
            "traceloop.entity.output": "3",
        },
        {"gen_ai.tool.name": "sum", "gen_ai.tool.call.id": "c1", "tool_arguments": '{"a":1}', "tool_response": "3"},
    ]
    for told in tellings:
        found = row(told)
        assert (found["op_kind"], found["tool"], found["tool_call_id"]) == ("tool", "sum", "c1"), told
        assert (found["input_text"], found["output_text"]) == ('{"a":1}', "3"), told


def test_a_clients_route_is_the_providers_and_never_ours() -> None:
    told = {"http.route": "/v1/messages", "url.full": "https://u:p@api.anthropic.com/v1/messages?beta=true"}
    client = row({**CHAT, **told}, kind=3)
    assert (client["route"], client["endpoint"]) == (None, "api.anthropic.com/v1/messages")
    assert "provider_by_client_only" in client["flags"], "an OpenAI client on a foreign host"
    assert row(told, kind=2)["route"] == "/v1/messages"
    assert row({"http.target": "/orders/123/items?x=1"}, kind=2)["route"] == "/orders/{id}/items"
    assert row({**told, "afterlaunch.route": "chat"}, kind=3)["route"] == "chat"
    own = row({**CHAT, "server.address": "api.openai.com", "server.port": 443})
    assert own["endpoint"] == "api.openai.com" and "provider_by_client_only" not in own["flags"]
    assert "server.port" not in own["attributes"] and row({"server.port": 443})["attributes"] == {"server.port": "443"}


def test_a_transaction_of_the_business_is_told_by_name() -> None:
    for key in (
        "afterlaunch.transaction",
        "traceloop.association.properties.transaction_id",
        "langfuse.trace.metadata.transaction_id",
        "ai.telemetry.metadata.transactionId",
    ):
        found = row({**CHAT, key: "order-17"})
        assert (found["transaction"], found["attributes"].get(key)) == ("order-17", None)
    assert row(CHAT)["transaction"] is None


def test_what_was_asked_for_is_one_text() -> None:
    found = row(
        {"gen_ai.request.temperature": 0.2, "gen_ai.request.max_tokens": 64, "gen_ai.request.stop_sequences": ["a"]}
    )
    assert found["request_params"] == (text({"max_tokens": 64, "stop_sequences": ["a"], "temperature": 0.2}))
    thinking = row({"anthropic.thinking.type": "enabled", "anthropic.thinking.budget_tokens": 1024})
    assert thinking["request_params"] == (text({"thinking.budget_tokens": 1024, "thinking.type": "enabled"}))
    whole = row({"llm.invocation_parameters": text({"temperature": 1, "stream": True, "service_tier": "flex"})})
    assert (whole["streaming"], whole["service_tier"]) == (True, "flex")


def test_a_litellm_proxys_span_is_a_gateways_report() -> None:
    told = {"gen_ai.operation.name": "acompletion", "gen_ai.system": "azure", "gen_ai.cost.total_cost": 0.002}
    told |= {
        "metadata.user_api_key_hash": "88dc",
        "metadata.user_api_key_team_id": "team-1",
        "llm.is_streaming": "True",
    }
    found = row(told, scope="litellm")
    assert (found["gateway"], found["tenant"], found["streaming"]) == (True, "team-1", True)
    assert (found["provider"], found["op_kind"], found["cost_reported_nano"]) == (
        "azure.ai.openai",
        "inference",
        2_000_000,
    )
    assert row(told | {"metadata.user_api_key_hash": ""}, scope="litellm")["gateway"] is False


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"gen_ai.operation.name": "embeddings"}, "embedding"),
        ({"gen_ai.operation.name": "create_memory"}, "memory"),
        ({"gen_ai.operation.name": "plan"}, "plan"),
        ({"gen_ai.operation.name": "invoke_workflow"}, "workflow"),
        ({"openinference.span.kind": "GUARDRAIL"}, "guardrail"),
        ({"openinference.span.kind": "DECISION", "decision.token_count.input": 3}, "inference"),
        ({"traceloop.span.kind": "task"}, "workflow"),
        ({"ai.operationId": "ai.embedMany"}, "workflow"),
        ({"ai.operationId": "ai.embedMany.doEmbed"}, "embedding"),
        ({"langfuse.observation.type": "span", "gen_ai.operation.name": "chat"}, "inference"),
        ({"langfuse.observation.type": "agent", "gen_ai.operation.name": "chat"}, "agent"),
        ({"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 1}, "inference"),
        ({"gen_ai.request.model": "m"}, "other"),
        ({"http.request.method": "POST"}, "other"),
    ],
)
def test_the_kind_of_a_span(told: dict[str, Any], kind: str) -> None:
    assert row(told)["op_kind"] == kind


def test_a_span_may_be_written_in_several_dialects() -> None:
    assert row({"gen_ai.system": "x", "openinference.span.kind": "LLM"})["dialects"] == "genai_old,openinference"
    assert (
        row({"gen_ai.is_streaming": True}, scope="opentelemetry.instrumentation.openai.v1")["dialects"] == "traceloop"
    )
    assert row({}, scope="com.anthropic.sdk.python")["dialects"] == "anthropic_sdk"
    assert row({"http.method": "GET"})["dialects"] is None


def test_the_resource_names_system_place_and_sender() -> None:
    resource = {
        "service.name": "unknown_service:python",
        "openinference.project.name": "desk",
        "deployment.environment": "Live",
        "cloud.region": "eu-1",
        "host.name": "h1",
        "process.pid": 42,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45",
        "os.type": "linux",
    }
    found = row(CHAT, resource=resource)
    assert (found["system"], found["service"], found["environment"]) == ("desk", None, "prod")
    assert (found["region"], found["host"], found["instance"]) == ("eu-1", "h1", "h1/42")
    assert (found["sdk"], found["resource"]) == ("python/opentelemetry/1.45", '{"os.type":"linux","process.pid":"42"}')
    assert "service_unknown" in found["flags"]
