"""The mapping as data: for each field of a span the attributes that tell it. `table` explains the marks.

Normative source: telemetry conventions §4. A change here is a new MAPPING_VERSION; docs/conventions.md is made of this.
"""

from __future__ import annotations

from afterlaunch.telemetry.conventions.table import As, Field, field
from afterlaunch.telemetry.conventions.words import ENVIRONMENTS as ENVIRONMENTS

MAPPING_VERSION = 5

WHO: tuple[Field, ...] = (
    field(
        "provider",
        As.WORD,
        "Who answered, as the client library believes; other names are folded (`azure` is `azure.ai.openai`).",
        conflicts=True,
        genai="gen_ai.provider.name",
        genai_old="gen_ai.system",
        openinference="llm.provider ~llm.system",
        vercel="ai.model.provider",
        others="aisdk.model.provider gen_ai.request.provider litellm.provider",
    ),
    field(
        "model_requested",
        As.WORD,
        "The model that was asked for.",
        conflicts=True,
        genai="gen_ai.request.model",
        genai_old="gen_ai.request_model",
        openinference="llm.request.model_name embedding.model_name reranker.model_name decision.request.model_name"
        " ~llm.model_name llm.invocation_parameters#model embedding.invocation_parameters#model",
        langfuse="~langfuse.observation.model.name",
        vercel="ai.model.id",
        others="aisdk.model.id model@claude_code request_data#model",
    ),
    field(
        "model_answered",
        As.WORD,
        "The model that answered; it is priced.",
        conflicts=True,
        genai="gen_ai.response.model",
        genai_old="gen_ai.response_model llm.response.model",
        openinference="llm.response.model_name decision.response.model_name llm.model_name",
        langfuse="~langfuse.observation.model.name",
        vercel="ai.response.model",
    ),
    field(
        "response_id",
        As.TEXT,
        "The provider's id of the answer; OpenInference has it only inside `output.value`.",
        conflicts=True,
        genai="gen_ai.response.id",
        vercel="ai.response.id",
    ),
    field(
        "previous_response_id",
        As.TEXT,
        "The answer this one continues.",
        genai="gen_ai.request.previous_response.id",
        openinference="llm.invocation_parameters#previous_response_id",
    ),
    field("provider_request_id", As.TEXT, "The provider's id of the request.", others="anthropic.request.id"),
    field(
        "streaming",
        As.FLAG,
        "Whether the answer was streamed.",
        genai="gen_ai.request.stream",
        genai_old="llm.is_streaming",
        openinference="llm.invocation_parameters#stream",
        traceloop="gen_ai.is_streaming",
    ),
    field("response_status", As.WORD, "The provider's status of the answer.", genai="gen_ai.response.status"),
    field(
        "service_tier",
        As.WORD,
        "The tier that answered, else the one asked for.",
        genai="openai.response.service_tier",
        genai_old="gen_ai.openai.response.service_tier gen_ai.response.service_tier anthropic.response.service_tier"
        " ~openai.request.service_tier ~gen_ai.openai.request.service_tier ~gen_ai.request.service_tier"
        " ~anthropic.request.service_tier",
        openinference="~llm.invocation_parameters#service_tier",
        langfuse="~langfuse.observation.model.parameters#service_tier",
        vercel="ai.response.providerMetadata#anthropic.usage.service_tier",
        others="gen_ai.usage.raw#service_tier",
    ),
    field("batch", As.FLAG, "A call of a batch.", genai_old="gen_ai.request.batch"),
    field(
        "compacted",
        As.FLAG,
        "The conversation was cut to fit; only yes has a meaning.",
        genai="gen_ai.conversation.compacted",
    ),
    field("server_address", As.WORD, "Host that was asked; part of `endpoint`.", genai="server.address"),
    field("server_port", As.COUNT, "Port that was asked; part of `endpoint`.", genai="server.port"),
    field(
        "server_url",
        As.WORD,
        "Address that was asked, without its query; `endpoint` where no host is told.",
        genai_old="gen_ai.openai.api_base",
        others="url.full",
    ),
)

USAGE: tuple[Field, ...] = (
    field(
        "in_total",
        As.COUNT,
        "Tokens in, as told: with or without the cached ones (see below).",
        conflicts=True,
        genai="gen_ai.usage.input_tokens",
        genai_old="gen_ai.usage.prompt_tokens llm.usage.prompt_tokens",
        openinference="llm.token_count.prompt decision.token_count.input",
        langfuse="langfuse.observation.usage_details#input",
        vercel="ai.usage.inputTokens ai.usage.promptTokens",
        others="stream.usage.inputTokens input_tokens@claude_code",
    ),
    field(
        "out_total",
        As.COUNT,
        "Tokens out, as told: with or without the reasoning.",
        conflicts=True,
        genai="gen_ai.usage.output_tokens",
        genai_old="gen_ai.usage.completion_tokens llm.usage.completion_tokens",
        openinference="llm.token_count.completion decision.token_count.output",
        langfuse="langfuse.observation.usage_details#output",
        vercel="ai.usage.outputTokens ai.usage.completionTokens",
        others="stream.usage.outputTokens output_tokens@claude_code",
    ),
    field(
        "total",
        As.COUNT,
        "The sum as told: only the witness of what the totals include.",
        genai_old="gen_ai.usage.total_tokens llm.usage.total_tokens",
        openinference="llm.token_count.total",
        langfuse="langfuse.observation.usage_details#total",
        vercel="ai.usage.totalTokens ai.usage.tokens",
    ),
    field(
        "cache_read",
        As.COUNT,
        "Tokens read from the prompt cache.",
        conflicts=True,
        genai="gen_ai.usage.cache_read.input_tokens",
        genai_old="gen_ai.usage.cache_read_input_tokens gen_ai.usage.cache_read_tokens"
        " gen_ai.usage.details.cache_read_tokens gen_ai.usage.details.cache_read_input_tokens"
        " gen_ai.usage.input_cached_tokens gen_ai.usage.input_tokens.cached"
        " gen_ai.usage.prompt_tokens_details.cached_tokens",
        openinference="llm.token_count.prompt_details.cache_read llm.token_count.prompt_details.cache_input",
        langfuse="langfuse.observation.usage_details#input_cached_tokens"
        " langfuse.observation.usage_details#input_cache_read"
        " langfuse.observation.usage_details#cache_read_input_tokens",
        vercel="ai.usage.inputTokenDetails.cacheReadTokens ai.usage.cachedInputTokens"
        " ai.response.providerMetadata#openai.cachedPromptTokens"
        " ai.response.providerMetadata#anthropic.usage.cache_read_input_tokens"
        " ai.response.providerMetadata#anthropic.cacheReadInputTokens"
        " ai.response.providerMetadata#bedrock.usage.cacheReadInputTokens",
        others="cache_read_tokens@claude_code gcp.vertex.agent.llm_response#usage_metadata.cached_content_token_count",
    ),
    field(
        "cache_write",
        As.COUNT,
        "Tokens written to the prompt cache.",
        conflicts=True,
        genai="gen_ai.usage.cache_write.input_tokens",
        genai_old="gen_ai.usage.cache_creation.input_tokens gen_ai.usage.cache_creation_input_tokens"
        " gen_ai.usage.cache_write_input_tokens gen_ai.usage.cache_write_tokens"
        " gen_ai.usage.details.cache_write_tokens gen_ai.usage.details.cache_creation_input_tokens"
        " gen_ai.usage.input_cache_creation gen_ai.usage.prompt_tokens_details.cache_creation_tokens",
        openinference="llm.token_count.prompt_details.cache_write",
        langfuse="langfuse.observation.usage_details#input_cache_creation"
        " langfuse.observation.usage_details#cache_creation_input_tokens",
        vercel="ai.usage.inputTokenDetails.cacheWriteTokens ai.usage.cacheCreationInputTokens"
        " ai.response.providerMetadata#anthropic.usage.cache_creation_input_tokens"
        " ai.response.providerMetadata#anthropic.cacheCreationInputTokens"
        " ai.response.providerMetadata#bedrock.usage.cacheWriteInputTokens",
        others="cache_creation_tokens@claude_code",
    ),
    field(
        "cache_write_5m",
        As.COUNT,
        "Of these, for five minutes.",
        genai_old="gen_ai.usage.cache_creation.input_tokens.ephemeral_5m",
        langfuse="langfuse.observation.usage_details#input_cache_creation_5m",
        vercel="ai.response.providerMetadata#anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
        others="anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
    ),
    field(
        "cache_write_1h",
        As.COUNT,
        "Of these, for an hour.",
        genai_old="gen_ai.usage.cache_creation.input_tokens.ephemeral_1h",
        langfuse="langfuse.observation.usage_details#input_cache_creation_1h",
        vercel="ai.response.providerMetadata#anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
        others="anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    ),
    field(
        "reasoning",
        As.COUNT,
        "Tokens of reasoning.",
        conflicts=True,
        genai="gen_ai.usage.reasoning.output_tokens",
        genai_old="gen_ai.usage.reasoning_tokens llm.usage.reasoning_tokens gen_ai.usage.output_tokens.reasoning"
        " gen_ai.usage.completion_tokens_details.reasoning_tokens gen_ai.usage.details.reasoning_tokens",
        openinference="llm.token_count.completion_details.reasoning",
        langfuse="langfuse.observation.usage_details#output_reasoning_tokens",
        vercel="ai.usage.reasoningTokens ai.usage.outputTokenDetails.reasoningTokens"
        " ai.response.providerMetadata#openai.reasoningTokens",
        others="thoughtsTokens genkit:output#usage.thoughtsTokens",
    ),
    field(
        "in_plain",
        As.COUNT,
        "Tokens in that the cache had no part in.",
        vercel="ai.usage.inputTokenDetails.noCacheTokens",
    ),
    field(
        "in_audio",
        As.COUNT,
        "Of the tokens in, audio.",
        genai="gen_ai.usage.audio.input_tokens",
        genai_old="gen_ai.usage.audio_input_tokens",
        openinference="llm.token_count.prompt_details.audio",
        langfuse="langfuse.observation.usage_details#input_audio_tokens",
    ),
    field("in_image", As.COUNT, "Of the tokens in, images.", genai="gen_ai.usage.image.input_tokens"),
    field("in_video", As.COUNT, "Of the tokens in, video.", genai="gen_ai.usage.video.input_tokens"),
    field(
        "out_audio",
        As.COUNT,
        "Of the tokens out, audio.",
        genai="gen_ai.usage.audio.output_tokens",
        genai_old="gen_ai.usage.audio_output_tokens",
        openinference="llm.token_count.completion_details.audio",
        langfuse="langfuse.observation.usage_details#output_audio_tokens",
    ),
    field("out_image", As.COUNT, "Of the tokens out, images.", genai="gen_ai.usage.image.output_tokens"),
    field(
        "params_whole",
        As.WORD,
        "What was asked for beside the question, as one JSON text; else put together from single attributes.",
        openinference="llm.invocation_parameters embedding.invocation_parameters",
        langfuse="langfuse.observation.model.parameters",
    ),
    field("usage_raw", As.TEXT, "The provider's own usage object, read where no name is.", others="gen_ai.usage.raw"),
    field(
        "cost_reported",
        As.NUMBER,
        "What the sender says the call cost, in USD; beside our own cost, and in its place where no price is known.",
        conflicts=True,
        genai_old="gen_ai.usage.cost gen_ai.usage.total_cost gen_ai.cost.total_cost gen_ai.cost.total",
        openinference="llm.cost.total",
        langfuse="langfuse.observation.cost_details#total",
        vercel="ai.response.providerMetadata#openrouter.usage.cost ai.response.providerMetadata#gateway.cost",
        others="operation.cost cost_usd@claude_code opencode.llm.cost.total litellm.response_cost",
    ),
    field(
        "cost_in",
        As.NUMBER,
        "The part of the input; with `cost_out` the cost where no sum is told.",
        genai_old="gen_ai.usage.input_cost gen_ai.cost.input gen_ai.cost.prompt_cost",
        openinference="llm.cost.prompt",
        langfuse="langfuse.observation.cost_details#input",
    ),
    field(
        "cost_out",
        As.NUMBER,
        "The part of the output.",
        genai_old="gen_ai.usage.output_cost gen_ai.cost.output gen_ai.cost.completion_cost",
        openinference="llm.cost.completion",
        langfuse="langfuse.observation.cost_details#output",
    ),
)

COURSE: tuple[Field, ...] = (
    field(
        "ttft_s",
        As.NUMBER,
        "Time to the first token, in seconds.",
        genai="gen_ai.response.time_to_first_chunk",
        genai_old="gen_ai.server.ttft gen_ai.server.time_to_first_token",
    ),
    field(
        "ttft_at",
        As.TEXT,
        "Instant of the first token; OpenInference tells it by the event `First Token Stream Event`.",
        langfuse="langfuse.observation.completion_start_time",
    ),
    field(
        "ttft_ms",
        As.NUMBER,
        "Time to the first token, in milliseconds.",
        vercel="ai.response.msToFirstChunk[ms] ai.stream.msToFirstChunk[ms]",
        others="ttft_ms[ms]@claude_code",
    ),
    field(
        "finish_reason",
        As.WORD,
        "Why the answer ended (the first choice): stop, length, tool_call, content_filter, error, cancelled, pause.",
        conflicts=True,
        genai="gen_ai.response.finish_reasons",
        genai_old="gen_ai.response.finish_reason gen_ai.response.stop_reason llm.response.finish_reason"
        " gen_ai.finishReason",
        openinference="llm.finish_reason",
        vercel="ai.response.finishReason ai.finishReason",
        others="anthropic.message.stop_reason",
    ),
    field(
        "http_status",
        As.COUNT,
        "HTTP status of the answer.",
        genai="http.response.status_code",
        genai_old="http.status_code",
    ),
    field("grpc_status", As.COUNT, "gRPC status of the answer.", genai="rpc.grpc.status_code"),
    field(
        "error_type",
        As.WORD,
        "Class or code of the error; else the type of the event `exception`.",
        genai="error.type",
        others="gen_ai.framework.error.type exception.type",
    ),
    field(
        "error_message",
        As.TEXT,
        "What was said of the error, where the status says nothing.",
        langfuse="langfuse.observation.status_message",
        others="error.message gen_ai.framework.error.message exception.message",
    ),
    field("error_code", As.WORD, "The provider's own code of the error.", others="error.code"),
    field("level", As.WORD, "`ERROR` is a failure.", langfuse="langfuse.observation.level"),
)

WHY: tuple[Field, ...] = (
    field(
        "session",
        As.TEXT,
        "Conversation or session.",
        genai="gen_ai.conversation.id ~session.id",
        genai_old="~thread.id",
        traceloop="traceloop.association.properties.session_id ~traceloop.correlation.id",
        langfuse="langfuse.session.id",
        vercel="ai.telemetry.metadata.sessionId",
        others="lmnr.association.properties.session_id mlflow.trace.session session_id@claude_code",
    ),
    field(
        "user",
        As.TEXT,
        "Who asked.",
        conflicts=True,
        genai="user.id enduser.id",
        genai_old="gen_ai.user gen_ai.request.user llm.user",
        traceloop="traceloop.association.properties.user_id",
        langfuse="langfuse.user.id",
        vercel="ai.telemetry.metadata.userId",
        others="lmnr.association.properties.user_id litellm.metadata.user_api_key_user_id"
        " ~metadata.user_api_key_end_user_id ~metadata.user_api_key_user_id langsmith.metadata.user_id"
        " mlflow.trace.user",
    ),
    field(
        "transaction",
        As.TEXT,
        "Business transaction that it is part of: an order, a ticket, a document.",
        genai="afterlaunch.transaction",
        traceloop="traceloop.association.properties.transaction_id",
        langfuse="langfuse.trace.metadata.transaction_id langfuse.trace.metadata.transactionId",
        vercel="ai.telemetry.metadata.transactionId",
        others="lmnr.association.properties.transaction_id",
    ),
    field(
        "tenant",
        As.WORD,
        "Customer of the system.",
        conflicts=True,
        genai="tenant.id organization.id",
        openinference="metadata#tenant_id metadata#tenant metadata#tenantId",
        traceloop="traceloop.association.properties.tenant_id",
        langfuse="langfuse.trace.metadata.tenant_id langfuse.trace.metadata.tenant langfuse.trace.metadata.tenantId",
        vercel="ai.telemetry.metadata.tenantId ai.telemetry.metadata.tenant ai.telemetry.metadata.tenant_id",
        others="litellm.metadata.user_api_key_team_id metadata.user_api_key_team_id litellm.team.id ~team.id",
    ),
    field(
        "agent",
        As.WORD,
        "The agent.",
        genai="gen_ai.agent.name ~gen_ai.agent.id",
        openinference="agent.name ~graph.node.name ~graph.node.id",
        vercel="~ai.telemetry.functionId",
        others="subagent_type@claude_code",
    ),
    field("agent_id", As.TEXT, "Id of the agent.", genai="gen_ai.agent.id", openinference="graph.node.id"),
    field("agent_version", As.WORD, "Version of the agent.", genai="gen_ai.agent.version"),
    field("entity", As.WORD, "The agent or tool, by the kind of the span.", traceloop="traceloop.entity.name"),
    field("trace_name", As.WORD, "The agent of an agent span, else the workflow.", langfuse="langfuse.trace.name"),
    field(
        "workflow",
        As.WORD,
        "The workflow.",
        genai="gen_ai.workflow.name",
        traceloop="traceloop.workflow.name ~traceloop.entity.path",
        vercel="~ai.telemetry.functionId",
    ),
    field(
        "route",
        As.WORD,
        "The application's own route; never the provider's, which clients tell.",
        genai="afterlaunch.route http.route@entry ~rpc.method@entry ~messaging.destination.name@entry",
    ),
    field("route_path", As.WORD, "Route as a path, numbers and ids left out.", genai_old="http.target@entry"),
    field("tags", As.WORD, "Tag `route:NAME` is the route.", langfuse="langfuse.trace.tags"),
    field(
        "tool",
        As.WORD,
        "Name of the tool.",
        genai="gen_ai.tool.name",
        openinference="tool.name",
        vercel="ai.toolCall.name",
        others="tool_name@claude_code ~mcp.method.name",
    ),
    field(
        "tool_call_id",
        As.TEXT,
        "Id of the tool call.",
        genai="gen_ai.tool.call.id",
        openinference="tool.id tool_call.id",
        vercel="ai.toolCall.id",
    ),
    field("tool_type", As.WORD, "Kind of tool.", genai="gen_ai.tool.type"),
    field(
        "data_source",
        As.WORD,
        "What was searched.",
        genai="gen_ai.data_source.id",
        others="~db.collection.name",
    ),
    field(
        "top_k",
        As.COUNT,
        "How many documents were asked for.",
        genai="gen_ai.retrieval.top_k",
        openinference="reranker.top_k",
        traceloop="db.vector.query.top_k",
    ),
    field(
        "document_count",
        As.COUNT,
        "How many documents came, where they are not listed.",
        genai_old="gen_ai.retrieval.document_count",
        traceloop="db.vector.query.result_count",
    ),
    field(
        "documents",
        As.CONTENT,
        "The documents that came: list of ids, scores and metadata; OpenInference tells them one by one.",
        genai="gen_ai.retrieval.documents",
    ),
    field(
        "index_updated",
        As.TEXT,
        "When the index was made, where no document tells it (`indexed_at`).",
        genai="retrieval.index.updated_at ~retrieval.index.version",
    ),
    field("top_score", As.SIGNED, "Best similarity.", traceloop="db.vector.query.top_score"),
    field("top_distance", As.SIGNED, "Best distance.", traceloop="db.vector.query.top_distance"),
    field(
        "cache_hit",
        As.FLAG,
        "Whether the retrieval was answered from a cache.",
        genai="retrieval.cache.hit gen_ai.retrieval.cache_hit cache.hit",
    ),
    field(
        "prompt_name",
        As.WORD,
        "Name of the prompt.",
        conflicts=True,
        genai="gen_ai.prompt.name",
        openinference="~prompt.id",
        traceloop="traceloop.prompt.key",
        langfuse="langfuse.observation.prompt.name langfuse.prompt.name",
        vercel="ai.telemetry.metadata.langfusePrompt#name",
    ),
    field(
        "prompt_version",
        As.WORD,
        "Version of the prompt.",
        conflicts=True,
        genai="gen_ai.prompt.version",
        openinference="llm.prompt_template.version",
        traceloop="traceloop.prompt.version ~traceloop.prompt.version_hash",
        langfuse="langfuse.observation.prompt.version langfuse.prompt.version",
        vercel="ai.telemetry.metadata.langfusePrompt#version",
    ),
    field(
        "score_name",
        As.WORD,
        "What was evaluated.",
        genai="gen_ai.evaluation.name",
        genai_old="gen_ai.eval.name gen_ai.eval.evaluation",
        openinference="evaluation.name annotation.name",
    ),
    field(
        "score",
        As.SIGNED,
        "The score.",
        genai="gen_ai.evaluation.score.value",
        genai_old="gen_ai.eval.score",
        openinference="evaluation.score annotation.score",
    ),
    field(
        "score_label",
        As.WORD,
        "The score in words.",
        genai="gen_ai.evaluation.score.label",
        genai_old="gen_ai.eval.label gen_ai.eval.verdict",
        openinference="evaluation.label annotation.label",
    ),
    field("arm", As.WORD, "Baseline or candidate.", genai="afterlaunch.arm"),
    field("gateway_call", As.TEXT, "Id shared by the copies of one call.", genai="afterlaunch.call_id"),
    field("gateway", As.FLAG, "The gateway's own report.", genai="afterlaunch.gateway"),
    field(
        "estimate_in",
        As.COUNT,
        "Tokens in as the gateway estimated them; counted where nobody told any, and marked.",
        genai="afterlaunch.estimate.input_tokens",
    ),
    field(
        "estimate_out",
        As.COUNT,
        "Tokens out as the gateway estimated them; counted where nobody told any, and marked.",
        genai="afterlaunch.estimate.output_tokens",
    ),
    field(
        "proxy_key",
        As.WORD,
        "Told by LiteLLM's proxy: then the span is a gateway's.",
        others="metadata.user_api_key_hash",
    ),
)

CONTENT: tuple[Field, ...] = (
    field(
        "input_text",
        As.CONTENT,
        "What was asked: messages, the query of a retrieval, the arguments of a tool.",
        genai="gen_ai.input.messages gen_ai.retrieval.query.text gen_ai.tool.call.arguments",
        genai_old="gen_ai.prompt gen_ai.retrieval.query gen_ai.tool.input gen_ai.tool.args",
        openinference="reranker.query input.value tool.parameters",
        traceloop="traceloop.entity.input",
        langfuse="langfuse.observation.input",
        vercel="ai.prompt.messages ai.prompt ai.toolCall.args ai.value ai.values",
        others="pydantic_ai.all_messages mlflow.spanInputs gcp.vertex.agent.llm_request tool_arguments genkit:input"
        " lk.chat_ctx lk.user_input request_data",
    ),
    field(
        "output_text",
        As.CONTENT,
        "What was answered: messages, documents, the result of a tool.",
        genai="gen_ai.output.messages gen_ai.tool.call.result",
        genai_old="gen_ai.completion gen_ai.tool.output",
        openinference="output.value",
        traceloop="traceloop.entity.output",
        langfuse="langfuse.observation.output",
        vercel="ai.response.text ai.response.object ai.response.toolCalls ai.toolCall.result ai.result.text"
        " ai.result.object ai.result.toolCalls",
        others="mlflow.spanOutputs gcp.vertex.agent.llm_response tool_response genkit:output lk.response.text",
    ),
)

KIND: tuple[Field, ...] = (
    field("langfuse_type", As.WORD, "Kind of span.", langfuse="langfuse.observation.type"),
    field("operation", As.WORD, "Kind of span.", genai="gen_ai.operation.name"),
    field("openinference_kind", As.WORD, "Kind of span.", openinference="openinference.span.kind"),
    field("vercel_operation", As.WORD, "Kind of span.", vercel="ai.operationId ~operation.name"),
    field("traceloop_kind", As.WORD, "Kind of span.", traceloop="traceloop.span.kind"),
    field("request_type", As.WORD, "Kind of span.", genai_old="llm.request.type"),
    field("claude_type", As.WORD, "Kind of span.", others="span.type"),
    field("logfire_type", As.WORD, "`log`: the usage record of a stream, no call.", others="logfire.span_type"),
)

PLACE: tuple[Field, ...] = (
    field("span_client", As.WORD, "The sender's client, where it may name one.", genai="afterlaunch.client"),
    field("span_system", As.WORD, "The system, before the resource's.", genai="afterlaunch.system"),
    field(
        "span_environment",
        As.WORD,
        "The environment, before the resource's.",
        genai="afterlaunch.environment",
        langfuse="langfuse.environment",
    ),
    field(
        "span_release",
        As.WORD,
        "The release, before the resource's.",
        langfuse="langfuse.release langfuse.version",
    ),
)

FIELDS = (*WHO, *USAGE, *COURSE, *WHY, *CONTENT, *KIND, *PLACE)

# Where a name also counts as the system of one's own, an operator's rule comes between (estate).
RESOURCE: dict[str, tuple[str, ...]] = {
    "client": ("afterlaunch.client",),
    "system": ("afterlaunch.system", "openinference.project.name", "service.namespace", "service.name"),
    "service": ("service.name",),
    "instance": ("service.instance.id", "k8s.pod.uid", "host.id", "host.name"),
    "environment": ("deployment.environment.name", "deployment.environment", "langfuse.environment", "env"),
    "release": ("service.version", "langfuse.release", "langfuse.version", "vcs.ref.head.revision"),
    "region": ("cloud.region",),
    "host": ("host.name", "k8s.cluster.name", "k8s.namespace.name"),
    "tenant": ("tenant.id", "organization.id"),
    "session": ("session.id",),
    "user": ("user.id",),
}
