"""Every attribute of the conventions (§4), in each type it can come in: the column that it must be in.

Written from the conventions' own list, not from the table that the code reads: a row that is missing there fails here.
`key#path` is what stands inside the JSON of an attribute: as nested values, as JSON text, and quoted twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.conventions.plan import is_known
from afterlaunch.telemetry.tests.telling import AT, PROTOBUF, body, row, rows, span, text

Forms = tuple[tuple[Any, Any], ...]
CHAT = {"gen_ai.operation.name": "chat"}
CLAUDE = {"span.type": "llm_request"}
LONG = {"error.type": "400"}
SERVER, CONSUMER = 2, 5
USAGE = "langfuse.observation.usage_details#"
NATIVE = "ai.response.providerMetadata#"

COUNTS: Forms = ((7, 7), (7.0, 7), ("7", 7))
NO_COUNTS = (-7, 7.5, "seven", [7], b"7", "-7", 2**53)
SECONDS: Forms = ((0.25, 250_000_000), ("0.25", 250_000_000), (1, 1_000_000_000))
MILLISECONDS: Forms = ((250, 250_000_000), (250.0, 250_000_000), ("250", 250_000_000))
DOLLARS: Forms = ((0.25, 250_000_000), ("0.25", 250_000_000), (2, 2_000_000_000))
NO_NUMBERS = (-1.0, "much", [0.25], b"0.25", float("nan"), float("inf"))
SIGNED: Forms = ((0.25, 0.25), ("-0.25", -0.25), (2, 2.0))
NO_SIGNED = ("much", [0.25], b"0.25", float("nan"))
FLAGS: Forms = ((True, True), ("true", True), ("True", True), (1, True), (False, False), ("False", False), (0, False))
NO_FLAGS = ("perhaps", [True], b"1", 2)
TEXTS: Forms = (("some-thing", "some-thing"), (17, "17"), (17.5, "17.5"))
NO_TEXTS = (["some-thing"], {"some": "thing"}, b"some-thing")
YES: Forms = ((True, True), ("true", True), (1, True))
CONTENTS: Forms = (
    ("a question", "a question"),
    (["a", "question"], '["a","question"]'),
    ({"a": "question"}, '{"a":"question"}'),
)
WHOLE = ("request_params", "input_text", "output_text")
"""Columns that keep JSON as it came."""
DOCUMENTS = [{"id": "d1", "score": 0.5}]
NOW, LATER = "2026-03-01T00:00:00Z", "2026-03-01T00:00:00.25Z"


@dataclass(frozen=True)
class Told:
    """`keys`: that tell the `column`; `forms`: what is sent and what is stored then; `others`: what the column cannot
    be, which is kept as it came. `beside`: what else the span tells."""

    column: str
    keys: str
    forms: Forms = TEXTS
    others: tuple[Any, ...] = NO_TEXTS
    beside: Mapping[str, Any] = field(default_factory=dict)
    kind: int = 3


def counts(column: str, keys: str, **beside: Any) -> Told:
    return Told(column, keys, COUNTS, NO_COUNTS, CHAT | beside)


CALL = (
    Told(
        "provider",
        "gen_ai.provider.name gen_ai.system llm.provider llm.system ai.model.provider aisdk.model.provider"
        " gen_ai.request.provider",
        (("some-thing", "some-thing"), (" Some-Thing ", "some-thing"), (17, "17")),
    ),
    Told(
        "model_requested",
        "gen_ai.request.model gen_ai.request_model llm.request.model_name embedding.model_name reranker.model_name"
        " decision.request.model_name llm.model_name langfuse.observation.model.name ai.model.id aisdk.model.id",
    ),
    Told("model_requested", "model", beside=CLAUDE),
    Told(
        "model_answered",
        "gen_ai.response.model gen_ai.response_model llm.response.model llm.response.model_name llm.model_name"
        " decision.response.model_name langfuse.observation.model.name ai.response.model",
    ),
    Told("response_id", "gen_ai.response.id ai.response.id"),
    Told("response_id", "output.value#id", (("chatcmpl-17", "chatcmpl-17"),), (), CHAT),
    Told("provider_request_id", "anthropic.request.id"),
    Told("previous_response_id", "gen_ai.request.previous_response.id"),
    Told(
        "streaming",
        "gen_ai.request.stream llm.is_streaming gen_ai.is_streaming llm.invocation_parameters#stream",
        FLAGS,
        NO_FLAGS,
        CHAT,
    ),
    Told("streaming", "ai.operationId", (("ai.streamText.doStream", True),), ()),
    Told("response_status", "gen_ai.response.status"),
    Told(
        "service_tier",
        "openai.request.service_tier openai.response.service_tier gen_ai.openai.request.service_tier"
        " gen_ai.openai.response.service_tier gen_ai.request.service_tier gen_ai.response.service_tier"
        " anthropic.request.service_tier anthropic.response.service_tier llm.invocation_parameters#service_tier"
        f" langfuse.observation.model.parameters#service_tier {NATIVE}anthropic.usage.service_tier",
        (("flex", "flex"),),
    ),
    Told("batch", "gen_ai.request.batch", FLAGS, NO_FLAGS),
    Told("endpoint", "server.address", (("ai.example.com", "ai.example.com"),)),
    Told(
        "endpoint",
        "server.port",
        ((8080, "ai.example.com:8080"), (8080.0, "ai.example.com:8080"), ("8080", "ai.example.com:8080")),
        (),
        {"server.address": "ai.example.com"},
    ),
    Told(
        "endpoint",
        "gen_ai.openai.api_base url.full",
        (("https://ai.example.com/v1?key=secret", "ai.example.com/v1"), ("http://h:8080", "h:8080")),
    ),
)
PARAMETERS = (
    *(f"gen_ai.request.{name}" for name in ("max_tokens", "temperature", "top_p", "top_k", "seed", "stop_sequences")),
    *(f"gen_ai.request.{name}" for name in ("presence_penalty", "frequency_penalty", "choice.count")),
    *("gen_ai.request.reasoning.level", "gen_ai.request.reasoning_effort", "ai.settings.maxRetries"),
    *("ai.settings.temperature", "anthropic.thinking.type", "anthropic.thinking.budget_tokens"),
    *("embedding.invocation_parameters#temperature", "llm.invocation_parameters#temperature"),
    "langfuse.observation.model.parameters#temperature",
)
TOKENS = (
    counts(
        "in_uncached",
        "gen_ai.usage.input_tokens gen_ai.usage.prompt_tokens llm.usage.prompt_tokens llm.token_count.prompt"
        " decision.token_count.input ai.usage.inputTokens ai.usage.promptTokens stream.usage.inputTokens"
        f" {USAGE}input",
    ),
    counts("in_uncached", "input_tokens", **CLAUDE),
    counts(
        "out_visible",
        "gen_ai.usage.output_tokens gen_ai.usage.completion_tokens llm.usage.completion_tokens"
        " llm.token_count.completion decision.token_count.output ai.usage.outputTokens ai.usage.completionTokens"
        f" stream.usage.outputTokens {USAGE}output",
    ),
    counts("out_visible", "output_tokens", **CLAUDE),
    counts(
        "in_cache_read",
        "gen_ai.usage.cache_read.input_tokens gen_ai.usage.cache_read_input_tokens gen_ai.usage.cache_read_tokens"
        " gen_ai.usage.details.cache_read_tokens gen_ai.usage.details.cache_read_input_tokens"
        " gen_ai.usage.input_cached_tokens gen_ai.usage.input_tokens.cached"
        " gen_ai.usage.prompt_tokens_details.cached_tokens llm.token_count.prompt_details.cache_read"
        " llm.token_count.prompt_details.cache_input ai.usage.inputTokenDetails.cacheReadTokens"
        f" ai.usage.cachedInputTokens {USAGE}input_cached_tokens {USAGE}input_cache_read"
        f" {USAGE}cache_read_input_tokens {NATIVE}openai.cachedPromptTokens"
        f" {NATIVE}anthropic.usage.cache_read_input_tokens {NATIVE}bedrock.usage.cacheReadInputTokens"
        " gcp.vertex.agent.llm_response#usage_metadata.cached_content_token_count",
    ),
    counts("in_cache_read", "cache_read_tokens", **CLAUDE),
    counts(
        "in_cache_write_other",
        "gen_ai.usage.cache_write.input_tokens gen_ai.usage.cache_creation.input_tokens"
        " gen_ai.usage.cache_creation_input_tokens gen_ai.usage.cache_write_input_tokens"
        " gen_ai.usage.cache_write_tokens gen_ai.usage.details.cache_write_tokens"
        " gen_ai.usage.details.cache_creation_input_tokens gen_ai.usage.input_cache_creation"
        " gen_ai.usage.prompt_tokens_details.cache_creation_tokens llm.token_count.prompt_details.cache_write"
        " ai.usage.inputTokenDetails.cacheWriteTokens ai.usage.cacheCreationInputTokens"
        f" {USAGE}input_cache_creation {NATIVE}anthropic.usage.cache_creation_input_tokens"
        f" {NATIVE}bedrock.usage.cacheWriteInputTokens",
    ),
    counts("in_cache_write_other", "cache_creation_tokens", **CLAUDE),
    *(
        counts(
            f"in_cache_write_{short}",
            f"gen_ai.usage.cache_creation.input_tokens.ephemeral_{short} {USAGE}input_cache_creation_{short}"
            f" {NATIVE}anthropic.usage.cache_creation.ephemeral_{short}_input_tokens"
            f" anthropic.usage.cache_creation.ephemeral_{short}_input_tokens",
        )
        for short in ("5m", "1h")
    ),
    counts(
        "out_reasoning",
        "gen_ai.usage.reasoning.output_tokens gen_ai.usage.reasoning_tokens llm.usage.reasoning_tokens"
        " gen_ai.usage.output_tokens.reasoning gen_ai.usage.completion_tokens_details.reasoning_tokens"
        " llm.token_count.completion_details.reasoning ai.usage.reasoningTokens"
        f" ai.usage.outputTokenDetails.reasoningTokens {USAGE}output_reasoning_tokens thoughtsTokens",
    ),
    counts(
        "in_audio",
        "gen_ai.usage.audio.input_tokens gen_ai.usage.audio_input_tokens llm.token_count.prompt_details.audio"
        f" {USAGE}input_audio_tokens",
    ),
    counts("in_image", "gen_ai.usage.image.input_tokens"),
    counts("in_video", "gen_ai.usage.video.input_tokens"),
    counts(
        "out_audio",
        "gen_ai.usage.audio.output_tokens gen_ai.usage.audio_output_tokens llm.token_count.completion_details.audio"
        f" {USAGE}output_audio_tokens",
    ),
    counts("out_image", "gen_ai.usage.image.output_tokens"),
)
MONEY_AND_TIME = (
    Told(
        "cost_reported_nano",
        "gen_ai.usage.cost gen_ai.usage.total_cost gen_ai.cost.total gen_ai.cost.total_cost llm.cost.total"
        " operation.cost opencode.llm.cost.total litellm.response_cost langfuse.observation.cost_details#total"
        f" {NATIVE}openrouter.usage.cost",
        DOLLARS,
        NO_NUMBERS,
        CHAT,
    ),
    Told("cost_reported_nano", "cost_usd", DOLLARS, NO_NUMBERS, CLAUDE),
    *(
        Told("cost_reported_nano", one, ((0.25, 500_000_000), ("0.25", 500_000_000)), (), CHAT | {other: 0.25})
        for pair in (
            ("gen_ai.usage.input_cost", "gen_ai.usage.output_cost"),
            ("gen_ai.cost.input", "gen_ai.cost.output"),
            ("gen_ai.cost.prompt_cost", "gen_ai.cost.completion_cost"),
            ("llm.cost.prompt", "llm.cost.completion"),
        )
        for one, other in (pair, pair[::-1])
    ),
    Told(
        "cost_reported_nano",
        "langfuse.observation.cost_details",
        (({"input": 0.25, "output": 0.5}, 750_000_000), (text({"input": 0.25, "output": 0.5}), 750_000_000)),
        (),
        CHAT,
    ),
    Told(
        "ttft_ns",
        "gen_ai.response.time_to_first_chunk gen_ai.server.ttft gen_ai.server.time_to_first_token",
        SECONDS,
        NO_NUMBERS,
        CHAT,
    ),
    Told("ttft_ns", "ai.response.msToFirstChunk ai.stream.msToFirstChunk", MILLISECONDS, NO_NUMBERS, CHAT),
    Told("ttft_ns", "ttft_ms", MILLISECONDS, NO_NUMBERS, CLAUDE),
    Told(
        "ttft_ns",
        "langfuse.observation.completion_start_time",
        ((LATER, 250_000_000), (f'"{LATER}"', 250_000_000)),
        ("soon",),
        CHAT,
    ),
    Told(
        "finish_reason",
        "gen_ai.response.finish_reasons gen_ai.response.finish_reason gen_ai.response.stop_reason"
        " llm.response.finish_reason gen_ai.finishReason llm.finish_reason ai.response.finishReason ai.finishReason"
        " anthropic.message.stop_reason",
        (("max_tokens", "length"), (["MAX_TOKENS"], "length"), ('["length"]', "length"), ("special", "special")),
        (b"length",),
        CHAT,
    ),
    Told(
        "finish_reason",
        "gen_ai.output.messages",
        (
            ([{"role": "assistant", "finish_reason": "max_tokens"}], "length"),
            (text([{"role": "assistant", "finish_reason": "length"}]), "length"),
        ),
        (),
        CHAT,
    ),
)
WHO = (
    Told(
        "session",
        "gen_ai.conversation.id session.id thread.id traceloop.association.properties.session_id"
        " traceloop.correlation.id langfuse.session.id ai.telemetry.metadata.sessionId"
        " lmnr.association.properties.session_id",
    ),
    Told(
        "user",
        "user.id enduser.id gen_ai.user gen_ai.request.user llm.user traceloop.association.properties.user_id"
        " langfuse.user.id ai.telemetry.metadata.userId litellm.metadata.user_api_key_user_id"
        " langsmith.metadata.user_id",
    ),
    Told(
        "tenant",
        "tenant.id organization.id metadata#tenant metadata#tenant_id metadata#tenantId"
        " traceloop.association.properties.tenant_id langfuse.trace.metadata.tenant langfuse.trace.metadata.tenant_id"
        " langfuse.trace.metadata.tenantId ai.telemetry.metadata.tenant ai.telemetry.metadata.tenant_id"
        " ai.telemetry.metadata.tenantId litellm.metadata.user_api_key_team_id litellm.team.id team.id",
    ),
    Told(
        "agent",
        "gen_ai.agent.name gen_ai.agent.id agent.name graph.node.name graph.node.id ai.telemetry.functionId",
    ),
    Told("agent", "subagent_type", beside=CLAUDE),
    Told("agent", "traceloop.entity.name", beside={"traceloop.span.kind": "agent"}),
    Told("agent", "langfuse.trace.name", beside={"langfuse.observation.type": "agent"}),
    Told("agent_id", "gen_ai.agent.id graph.node.id"),
    Told("agent_version", "gen_ai.agent.version"),
    Told(
        "workflow",
        "gen_ai.workflow.name traceloop.workflow.name traceloop.entity.path langfuse.trace.name"
        " ai.telemetry.functionId",
    ),
    Told("route", "afterlaunch.route"),
    Told("route", "http.route rpc.method messaging.destination.name", kind=SERVER),
    Told("route", "http.route rpc.method messaging.destination.name", kind=CONSUMER),
    Told("route", "http.target", (("/orders/17?page=2", "/orders/{id}"),), (), kind=SERVER),
    Told(
        "route",
        "langfuse.trace.tags",
        ((["blue", "route:desk"], "desk"), ('["route:desk"]', "desk"), ("route:desk", "desk")),
        (),
    ),
    Told("tool", "gen_ai.tool.name tool.name ai.toolCall.name mcp.method.name"),
    Told("tool", "traceloop.entity.name", beside={"traceloop.span.kind": "tool"}),
    Told("tool", "langfuse.observation.type", (("tool", "x"),), ()),
    Told("tool_call_id", "gen_ai.tool.call.id tool.id ai.toolCall.id"),
    Told("tool_type", "gen_ai.tool.type"),
    Told("data_source", "gen_ai.data_source.id"),
    Told("top_k", "gen_ai.retrieval.top_k reranker.top_k db.vector.query.top_k", COUNTS, NO_COUNTS),
    Told("document_count", "gen_ai.retrieval.document_count db.vector.query.result_count", COUNTS, NO_COUNTS),
    Told(
        "cache_hit",
        "retrieval.cache.hit gen_ai.retrieval.cache_hit cache.hit",
        FLAGS,
        NO_FLAGS,
    ),
    Told(
        "prompt_name",
        "gen_ai.prompt.name prompt.id traceloop.prompt.key langfuse.observation.prompt.name langfuse.prompt.name"
        " ai.telemetry.metadata.langfusePrompt#name",
    ),
    Told(
        "prompt_version",
        "gen_ai.prompt.version llm.prompt_template.version traceloop.prompt.version traceloop.prompt.version_hash"
        " langfuse.observation.prompt.version langfuse.prompt.version ai.telemetry.metadata.langfusePrompt#version",
    ),
    Told("compacted", "gen_ai.conversation.compacted", (*YES, (False, None), ("false", None)), NO_FLAGS),
)
DOCUMENT_FORMS: Forms = ((DOCUMENTS, ["d1"]), (text(DOCUMENTS), ["d1"]), (text(text(DOCUMENTS)), ["d1"]))
SAID = (
    Told(
        "input_text",
        "gen_ai.input.messages gen_ai.tool.call.arguments gen_ai.tool.input gen_ai.tool.args tool.parameters"
        " ai.toolCall.args tool_arguments gen_ai.retrieval.query.text gen_ai.retrieval.query input.value"
        " reranker.query langfuse.observation.input gen_ai.prompt traceloop.entity.input ai.prompt.messages ai.prompt"
        " pydantic_ai.all_messages mlflow.spanInputs gcp.vertex.agent.llm_request request_data lk.user_input"
        " lk.chat_ctx",
        CONTENTS,
        (b"a question",),
    ),
    Told(
        "output_text",
        "gen_ai.output.messages gen_ai.tool.call.result gen_ai.tool.output ai.toolCall.result tool_response"
        " output.value gen_ai.completion traceloop.entity.output langfuse.observation.output ai.response.text"
        " ai.response.object ai.response.toolCalls ai.result.text ai.result.object ai.result.toolCalls"
        " mlflow.spanOutputs gcp.vertex.agent.llm_response lk.response.text",
        CONTENTS,
        (b"a question",),
    ),
    Told("document_ids", "gen_ai.retrieval.documents", DOCUMENT_FORMS, ()),
    Told(
        "document_ids",
        "langfuse.observation.output",
        DOCUMENT_FORMS[:2],
        (),
        {"langfuse.observation.type": "retriever"},
    ),
    Told(
        "document_ids",
        "retrieval.documents.0.document.id reranker.output_documents.0.document.id",
        (("d1", ["d1"]), (17, ["17"])),
        (),
    ),
    Told(
        "document_scores",
        "retrieval.documents.0.document.score reranker.output_documents.0.document.score",
        ((0.5, [0.5]), ("0.5", [0.5]), (1, [1.0])),
        (),
    ),
    Told(
        "index_updated_ns",
        "retrieval.documents.3.document.metadata reranker.output_documents.3.document.metadata",
        (({"indexed_at": NOW}, AT), (text({"indexed_at": NOW}), AT)),
        (),
    ),
    Told("evaluation_names", "gen_ai.eval.name evaluation.name annotation.name", (("some-thing", ["some-thing"]),)),
    Told(
        "evaluation_scores",
        "gen_ai.eval.score evaluation.score annotation.score gen_ai.evaluation.score.value",
        tuple((sent, [kept]) for sent, kept in SIGNED),
        NO_SIGNED,
        {"evaluation.name": "kindness"},
    ),
    Told(
        "evaluation_labels",
        "gen_ai.eval.label evaluation.label annotation.label gen_ai.evaluation.score.label",
        (("some-thing", ["some-thing"]),),
    ),
)
REASONED = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.reasoning.output_tokens": 3}
WITNESS = Told(
    "out_visible",
    f"gen_ai.usage.total_tokens llm.usage.total_tokens llm.token_count.total ai.usage.totalTokens ai.usage.tokens"
    f" {USAGE}total",
    ((18, 5), (18.0, 5), ("18", 5), (15, 2)),
    (),
    CHAT | REASONED,
)
"""What was reasoned is inside the output or beside it, as the sum tells."""
KINDS = (
    Told("op_kind", "gen_ai.operation.name", (("embeddings", "embedding"), ("execute_tool", "tool")), ()),
    Told("op_kind", "openinference.span.kind", (("RERANKER", "rerank"), ("GUARDRAIL", "guardrail")), ()),
    Told("op_kind", "langfuse.observation.type", (("generation", "inference"), ("retriever", "retrieval")), ()),
    Told("op_kind", "traceloop.span.kind", (("workflow", "workflow"), ("task", "workflow")), ()),
    Told("op_kind", "llm.request.type", (("chat", "inference"), ("embedding", "embedding")), ()),
    Told("op_kind", "ai.operationId operation.name", (("ai.embed.doEmbed", "embedding"), ("ai.toolCall", "tool")), ()),
    Told("op_kind", "span.type", (("claude_code.llm_request", "inference"), ("tool", "tool")), ()),
    Told("flags", "logfire.span_type", (("log", {"usage_missing", "usage_record", "price_missing"}),), (), CHAT),
)
ENDED = (
    Told("http_status", "http.response.status_code http.status_code", ((429, 429), ("429", 429)), ("429th",), CHAT),
    Told("error_kind", "rpc.grpc.status_code", ((8, "rate_limited"), ("8", "rate_limited")), (), CHAT),
    Told("error_type", "error.type exception.type gen_ai.framework.error.type", beside=CHAT),
    Told("error_kind", "error.code", (("context_length_exceeded", "context_length"),), (), CHAT | LONG),
    Told(
        "error_kind",
        "error.message exception.message gen_ai.framework.error.message langfuse.observation.status_message",
        (("Error code: 429 - slow down", "rate_limited"),),
        (),
        CHAT | {"error.type": "Refused"},
    ),
    Told("failed", "langfuse.observation.level", (("ERROR", True), ("DEFAULT", False)), (), CHAT),
)
BEYOND = (
    Told("provider", "litellm.provider"),
    Told(
        "model_requested",
        "llm.invocation_parameters#model embedding.invocation_parameters#model request_data#model",
        (("some-thing", "some-thing"),),
        (),
    ),
    Told("previous_response_id", "llm.invocation_parameters#previous_response_id", (("resp-1", "resp-1"),), ()),
    Told("service_tier", "gen_ai.usage.raw#service_tier", (("flex", "flex"),), ()),
    counts("in_cache_read", f"{NATIVE}anthropic.cacheReadInputTokens"),
    counts("in_cache_write_other", f"{USAGE}cache_creation_input_tokens {NATIVE}anthropic.cacheCreationInputTokens"),
    counts(
        "out_reasoning",
        f"gen_ai.usage.details.reasoning_tokens {NATIVE}openai.reasoningTokens genkit:output#usage.thoughtsTokens",
    ),
    Told("in_uncached", "ai.usage.inputTokenDetails.noCacheTokens", COUNTS, (), CHAT | {"ai.usage.inputTokens": 9}),
    Told("in_uncached", "gen_ai.usage.raw#input_tokens", COUNTS[:1], (), CHAT | {"gen_ai.provider.name": "anthropic"}),
    Told("cost_reported_nano", f"{NATIVE}gateway.cost", DOLLARS, (), CHAT),
    Told("session", "mlflow.trace.session"),
    Told("session", "session_id", beside=CLAUDE),
    Told(
        "user",
        "lmnr.association.properties.user_id metadata.user_api_key_end_user_id metadata.user_api_key_user_id"
        " mlflow.trace.user",
    ),
    Told(
        "transaction",
        "afterlaunch.transaction traceloop.association.properties.transaction_id"
        " langfuse.trace.metadata.transaction_id langfuse.trace.metadata.transactionId"
        " ai.telemetry.metadata.transactionId lmnr.association.properties.transaction_id",
    ),
    Told("tenant", "metadata.user_api_key_team_id"),
    Told("tool", "tool_name", beside=CLAUDE),
    Told("tool_call_id", "tool_call.id"),
    Told("data_source", "db.collection.name"),
    Told("index_updated_ns", "retrieval.index.updated_at retrieval.index.version", ((NOW, AT),), ()),
    Told("evaluation_names", "gen_ai.evaluation.name gen_ai.eval.evaluation", (("some-thing", ["some-thing"]),)),
    Told("evaluation_labels", "gen_ai.eval.verdict", (("some-thing", ["some-thing"]),)),
    Told("arm", "afterlaunch.arm"),
    Told("gateway_call", "afterlaunch.call_id"),
    Told("gateway", "afterlaunch.gateway", FLAGS, ()),
    Told("gateway", "metadata.user_api_key_hash", (("88dc28", True),), ()),
    counts("in_uncached", "afterlaunch.estimate.input_tokens", **{"afterlaunch.estimate.output_tokens": 9}),
    counts("out_visible", "afterlaunch.estimate.output_tokens", **{"afterlaunch.estimate.input_tokens": 9}),
    Told(
        "adjusted_count_milli",
        "afterlaunch.sampling.ratio sampling.ratio sampling.probability logfire.sample_rate",
        ((0.25, 4000), ("0.25", 4000), (1, 1000)),
        (),
    ),
    Told("adjusted_count_milli", "microsoft.sample_rate _MS.sampleRate", ((25, 4000), ("25", 4000), (25.0, 4000)), ()),
    Told("adjusted_count_milli", "SampleRate", ((4, 4000), ("4", 4000)), ()),
    Told("input_text", "ai.value ai.values genkit:input", CONTENTS, (b"a question",)),
    Told("output_text", "genkit:output", CONTENTS, (b"a question",)),
    Told("system", "afterlaunch.system"),
    Told("environment", "langfuse.environment afterlaunch.environment"),
    Told("release", "langfuse.release langfuse.version"),
)
"""That the conventions do not list, or list as words of ours."""
EVERY = (*CALL, *TOKENS, WITNESS, *MONEY_AND_TIME, *WHO, *KINDS, *SAID, *ENDED, *BEYOND)
KEPT = (
    *("db.vector.query.top_score", "db.vector.query.top_distance", "gen_ai.agent.description"),
    *("graph.node.parent_id", "gen_ai.tool.description", "gen_ai.tool.definitions"),
    *("tool.json_schema", "prompt.vendor", "prompt.url", "gen_ai.prompt.variable.city"),
    *("llm.prompt_template.template", "llm.prompt_template.variables", "evaluation.explanation"),
    *("annotation.explanation", "llm.cost.prompt_details.cache_read", "llm.cost.completion_details.reasoning"),
    *("gen_ai.usage.raw", "gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"),
    *("ai.usage.totalTokens", "ai.usage.tokens", "gen_ai.usage.text.input_tokens", "gen_ai.usage.text.output_tokens"),
    *(f"gen_ai.usage.{kind}.cache_read.input_tokens" for kind in ("text", "image", "audio")),
    *("retrieval.documents.0.document.url", "retrieval.documents.0.document.name"),
    *("retrieval.documents.0.document.content", "gen_ai.something.new", "something.else"),
    *("url.full", "http.route", "model", "input_tokens", "gen_ai.embeddings.input.note"),
)
"""That no column holds on a span of theirs: kept as they came."""


def sent(key: str, value: Any) -> Iterator[dict[str, Any]]:
    """The attribute, in each form that JSON comes in where the value stands inside it."""
    name, _, path = key.partition("#")
    if not path:
        yield {name: value}
        return
    nested = value
    for step in reversed(path.split(".")):
        nested = {step: nested}
    yield {name: nested}
    yield {name: text(nested)}
    yield {name: text(text(nested))}


def is_odd(value: Any) -> bool:
    """Whether JSON has no word for it."""
    return isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value))


def as_kept(value: Any) -> str:
    """The text of a value that no column took."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def one_by_one(told: list[dict[str, Any]], kind: int) -> list[dict[str, Any]]:
    """The rows of spans that tell this."""
    return rows(body(*(span(one, number=n, trace=n, kind=kind) for n, one in enumerate(told, 1))))


@pytest.mark.parametrize(
    ("told", "key"),
    [
        pytest.param(one, key, id=f"{one.column}-{key}{'-' if one.beside or one.kind != 3 else ''}{number}")
        for number, one in enumerate(EVERY)
        for key in one.keys.split()
    ],
)
def test_it_is_in_its_column(told: Told, key: str) -> None:
    forms = [(form, stored) for value, stored in told.forms for form in sent(key, value)]
    found = one_by_one([{**told.beside, **form} for form, _ in forms], told.kind)
    assert [(form, one[told.column]) for (form, _), one in zip(forms, found, strict=True)] == forms


@pytest.mark.parametrize(
    ("told", "key"),
    [
        pytest.param(one, key, id=f"{one.column}-{key}-{number}")
        for number, one in enumerate(EVERY)
        for key in one.keys.split()
        if one.others
    ],
)
def test_what_its_column_cannot_be_is_kept_as_it_came(told: Told, key: str) -> None:
    """As a text in its column, or in the one that keeps the whole JSON it stands in; else with the attributes, and the
    column is unknown."""
    nested = "#" in key
    forms = [(form, value) for value in told.others if not (nested and is_odd(value)) for form in sent(key, value)]
    found = one_by_one([{**told.beside, **form} for form, _ in forms], told.kind)
    for (form, value), one in zip(forms, found, strict=True):
        (name, whole), column = next(iter(form.items())), one[told.column]
        texts = {as_kept(value), as_kept(whole)}
        if column in [*texts, *([one] for one in texts)]:
            continue
        places = [one["attributes"].get(name), *(one[name] for name in WHOLE if nested)]
        assert column in (None, [None]) and texts.intersection(places), (form, column, one["attributes"])


@pytest.mark.parametrize("key", PARAMETERS)
@pytest.mark.parametrize("value", [0.5, 7, "high", ["END", "STOP"]], ids=str)
def test_a_parameter_is_among_them(key: str, value: Any) -> None:
    last = key.replace("#", ".").rpartition(".")[2]
    for form in sent(key, value):
        parameters = orjson.loads(row({**CHAT, **form})["request_params"])
        if isinstance(parameters, str):  # quoted twice, and kept as it came
            parameters = orjson.loads(parameters)
        assert {name.rpartition(".")[2]: told for name, told in parameters.items()}[last] in (value, as_kept(value))


@pytest.mark.parametrize("key", KEPT)
@pytest.mark.parametrize("value", ["some-thing", 17, 17.5, ["some-thing"], {"some": "thing"}, b"17", True], ids=str)
def test_what_no_column_holds_is_kept(key: str, value: Any) -> None:
    assert row({**CHAT, key: value})["attributes"].get(key) == as_kept(value)


@pytest.mark.parametrize(
    ("key", "column"),
    [
        *(("gen_ai.prompt.0.content", "input_text"), ("llm.input_messages.0.message.content", "input_text")),
        *(("gen_ai.completion.0.content", "output_text"), ("llm.output_messages.0.message.content", "output_text")),
        ("gen_ai.completion.0.tool_calls.0.name", "output_text"),
        ("gen_ai.completion.0.tool_calls.0.arguments", "output_text"),
        *(
            (f"llm.output_messages.0.message.tool_calls.0.tool_call.{part}", "output_text")
            for part in ("id", "function.name", "function.arguments")
        ),
    ],
)
@pytest.mark.parametrize("value", ["some-thing", 17, ["some-thing"], {"some": "thing"}], ids=str)
def test_a_message_told_part_by_part_is_in_its_text(key: str, column: str, value: Any) -> None:
    told = row({**CHAT, key: value})
    found = orjson.loads(told[column])

    def leaves(node: Any) -> list[Any]:
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
        return [node] if inner is None else [leaf for one in inner for leaf in leaves(one)]

    assert as_kept(value) in leaves(found)


@pytest.mark.parametrize(
    ("event", "attributes", "column", "stored"),
    [
        ("First Token Stream Event", {}, "ttft_ns", 250_000_000),
        ("gen_ai.evaluation.result", {"gen_ai.evaluation.name": "kind"}, "evaluation_names", ["kind"]),
        ("gen_ai.evaluation.result", {"gen_ai.evaluation.score.value": 0.5}, "evaluation_scores", [0.5]),
        ("gen_ai.evaluation.result", {"gen_ai.evaluation.score.label": "good"}, "evaluation_labels", ["good"]),
        ("exception", {"exception.type": "openai.RateLimitError"}, "error_kind", "rate_limited"),
        ("db.query.result", {"db.query.result.id": "d1"}, "document_ids", ["d1"]),
        ("db.search.result", {"db.search.result.id": "d1"}, "document_ids", ["d1"]),
        ("gen_ai.client.inference.operation.details", {"gen_ai.usage.input_tokens": 7}, "in_uncached", 7),
        ("gen_ai.user.message", {"content": "hello"}, "input_text", '[{"content":"hello","role":"user"}]'),
        ("gen_ai.choice", {"content": "hello"}, "output_text", '[{"content":"hello","role":"assistant"}]'),
    ],
)
def test_what_events_tell_is_in_its_column(event: str, attributes: Any, column: str, stored: Any) -> None:
    status = 2 if event == "exception" else 0
    assert row(CHAT, events=[(event, 250, attributes)], status=status)[column] == stored


@pytest.mark.parametrize(
    ("keys", "column"),
    [
        ("afterlaunch.system openinference.project.name service.namespace service.name", "system"),
        ("service.name", "service"),
        ("service.instance.id k8s.pod.uid", "instance"),
        (
            "deployment.environment.name deployment.environment langfuse.environment env",
            "environment",
        ),
        ("service.version langfuse.release langfuse.version vcs.ref.head.revision", "release"),
        ("cloud.region", "region"),
        ("host.name k8s.cluster.name k8s.namespace.name", "host"),
        ("tenant.id organization.id", "tenant"),
    ],
)
@pytest.mark.parametrize("value", ["some-thing", 17, 17.5, True], ids=str)
def test_what_a_resource_tells_is_in_its_column(keys: str, column: str, value: Any) -> None:
    for key in keys.split():
        assert row(CHAT, resource={key: value})[column] == as_kept(value), key


@pytest.mark.parametrize(
    ("resource", "column", "stored"),
    [
        ({"host.id": "h1", "process.pid": 17}, "instance", "h1"),
        ({"deployment.environment.name": "Production"}, "environment", "prod"),
        ({"deployment.environment.name": "preprod"}, "environment", "staging"),
        ({"deployment.environment.name": "local"}, "environment", "dev"),
        ({"deployment.environment.name": "ci"}, "environment", "test"),
        ({}, "environment", "unknown"),
        ({"telemetry.sdk.language": "python", "telemetry.sdk.name": "opentelemetry"}, "sdk", "python/opentelemetry/"),
        ({"service.name": "unknown_service:python"}, "service", None),
    ],
)
def test_what_is_put_together_of_a_resource(resource: Any, column: str, stored: Any) -> None:
    found = row(CHAT, resource=resource)[column]
    assert found == stored or (stored and str(found).startswith(stored)), found


@pytest.mark.parametrize("key", ["langfuse.environment", "langfuse.release", "langfuse.version", "afterlaunch.system"])
def test_what_a_span_tells_of_its_place_beats_the_resource(key: str) -> None:
    column = {"langfuse.environment": "environment", "afterlaunch.system": "system"}.get(key, "release")
    beside = {"service.name": "desk", "service.version": "1", "deployment.environment.name": "prod"}
    assert row({key: "some-thing"}, resource=beside)[column] == "some-thing"


def test_who_may_name_its_client_names_it() -> None:
    made = normalise(body(span({"afterlaunch.client": "globex"})), PROTOBUF, None, 0)
    assert made.table["client"].to_pylist() == ["globex"]


@pytest.mark.parametrize("key", ["db.vector.query.top_score", "db.vector.query.top_distance", "gen_ai.usage.raw"])
def test_a_known_attribute_that_only_stays_is_no_surprise(key: str) -> None:
    assert is_known(key)


@pytest.mark.parametrize("key", ["telemetry.distro.name", "k8s.node.name", "process.command_args"])
def test_what_else_a_resource_tells_is_kept(key: str) -> None:
    assert "some-thing" in row(CHAT, resource={"service.name": "desk", key: "some-thing"})["resource"]


def test_the_providers_route_is_not_the_applications() -> None:
    assert row({"http.route": "/v1/messages"}, kind=3)["route"] is None
