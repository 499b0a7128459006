"""The mapping as data: for each canonical field the attribute names to read, first present wins.

Normative source: telemetry conventions §4. A new name is a new entry here and a new MAPPING_VERSION.
"""

from __future__ import annotations

MAPPING_VERSION = 2

# Values that repeat from span to span; decided per distinct value.
WORDS: dict[str, tuple[str, ...]] = {
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider"),
    "model_requested": (
        "gen_ai.request.model",
        "llm.request.model_name",
        "embedding.model_name",
        "reranker.model_name",
        "llm.model_name",
        "ai.model.id",
    ),
    "model_answered": (
        "gen_ai.response.model",
        "llm.response.model",
        "llm.response.model_name",
        "llm.model_name",
        "ai.response.model",
    ),
    "service_tier": (
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "gen_ai.response.service_tier",
        "anthropic.response.service_tier",
        "openai.request.service_tier",
        "gen_ai.openai.request.service_tier",
    ),
    "tenant": (
        "tenant.id",
        "organization.id",
        "traceloop.association.properties.tenant_id",
        "litellm.metadata.user_api_key_team_id",
    ),
    "agent": ("gen_ai.agent.name", "gen_ai.agent.id", "agent.name", "graph.node.name"),
    "workflow": ("gen_ai.workflow.name", "traceloop.workflow.name"),
    "route": ("afterlaunch.route", "http.route"),
    "tool": ("gen_ai.tool.name", "tool.name", "ai.toolCall.name", "mcp.method.name"),
    "prompt_name": ("gen_ai.prompt.name", "prompt.id", "traceloop.prompt.key", "langfuse.observation.prompt.name"),
    "prompt_version": (
        "gen_ai.prompt.version",
        "llm.prompt_template.version",
        "traceloop.prompt.version",
        "langfuse.observation.prompt.version",
    ),
    "error_type": ("error.type",),
    "arm": ("afterlaunch.arm",),
    "finish_reason": (
        "gen_ai.response.finish_reasons",
        "gen_ai.response.finish_reason",
        "gen_ai.response.stop_reason",
        "llm.response.finish_reason",
        "llm.finish_reason",
        "anthropic.message.stop_reason",
        "ai.response.finishReason",
    ),
    "operation": ("gen_ai.operation.name",),
    "oi_kind": ("openinference.span.kind",),
    "lf_kind": ("langfuse.observation.type",),
    "tl_kind": ("traceloop.span.kind",),
    "request_type": ("llm.request.type",),
    "logfire_type": ("logfire.span_type",),
    "span_client": ("afterlaunch.client",),
    "span_system": ("afterlaunch.system",),
    "span_environment": ("afterlaunch.environment",),
}

TEXT: dict[str, tuple[str, ...]] = {
    "response_id": ("gen_ai.response.id", "ai.response.id"),
    "session": (
        "gen_ai.conversation.id",
        "session.id",
        "traceloop.association.properties.session_id",
        "langfuse.session.id",
    ),
    "user": ("user.id", "enduser.id", "gen_ai.user", "traceloop.association.properties.user_id", "langfuse.user.id"),
    "gateway_call": ("afterlaunch.call_id",),
    "input_text": ("gen_ai.input.messages", "input.value", "traceloop.entity.input", "ai.prompt.messages"),
    "output_text": ("gen_ai.output.messages", "output.value", "traceloop.entity.output", "ai.response.text"),
    "usage_raw": ("gen_ai.usage.raw",),
}

ENTRY_ONLY = ("http.route",)  # on a client's span it is the provider's route
SPAN_IDENTITY = {name: "span_" + name for name in ("client", "system", "environment")}

INTEGER: dict[str, tuple[str, ...]] = {
    "in_total": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "llm.token_count.prompt",
        "ai.usage.inputTokens",
        "ai.usage.promptTokens",
    ),
    "out_total": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "llm.token_count.completion",
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
    ),
    "total": ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total", "ai.usage.totalTokens"),
    "cache_read": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cache_read_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cache_read_input_tokens",
        "gen_ai.usage.input_cached_tokens",
        "gen_ai.usage.input_tokens.cached",
        "gen_ai.usage.prompt_tokens_details.cached_tokens",
        "llm.token_count.prompt_details.cache_read",
        "llm.token_count.prompt_details.cache_input",
        "ai.usage.cachedInputTokens",
    ),
    "cache_write": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.cache_write_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "gen_ai.usage.details.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
        "ai.usage.cacheCreationInputTokens",
    ),
    "cache_write_5m": (
        "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
        "gen_ai.usage.cache_creation.input_tokens.ephemeral_5m",
    ),
    "cache_write_1h": (
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
        "gen_ai.usage.cache_creation.input_tokens.ephemeral_1h",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.usage.reasoning_tokens",
        "gen_ai.usage.output_tokens.reasoning",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "ai.usage.reasoningTokens",
    ),
    "http_status": ("http.response.status_code", "http.status_code"),
}

# Parts of the totals that some tell only inside the provider's own usage object (JSON text); read where no name is.
USAGE_RAW: dict[str, tuple[tuple[str, ...], ...]] = {
    "cache_read": (
        ("cache_read_input_tokens",),
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
    ),
    "cache_write": (("cache_creation_input_tokens",),),
    "cache_write_5m": (("cache_creation", "ephemeral_5m_input_tokens"),),
    "cache_write_1h": (("cache_creation", "ephemeral_1h_input_tokens"),),
    "reasoning": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
    ),
}

NUMBER: dict[str, tuple[str, ...]] = {
    "ttft_seconds": ("gen_ai.response.time_to_first_chunk", "gen_ai.server.ttft"),
    "cost_reported": ("gen_ai.usage.cost", "gen_ai.usage.total_cost", "llm.cost.total", "operation.cost"),
}

BOOLEAN: dict[str, tuple[str, ...]] = {
    "streaming": ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"),
    "gateway": ("afterlaunch.gateway",),
}

SPAN = WORDS | TEXT | INTEGER | NUMBER | BOOLEAN

RESOURCE: dict[str, tuple[str, ...]] = {
    "client": ("afterlaunch.client",),
    "system": ("afterlaunch.system", "openinference.project.name", "service.namespace", "service.name"),
    "service": ("service.name",),
    "instance": ("service.instance.id", "k8s.pod.uid", "host.name"),
    "environment": ("deployment.environment.name", "deployment.environment", "langfuse.environment", "env"),
    "release": ("service.version", "langfuse.release", "vcs.ref.head.revision"),
    "tenant": ("tenant.id", "organization.id"),
    "session": ("session.id",),
    "user": ("user.id",),
}

PROVIDERS = {
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "google_vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google_gemini": "gcp.gemini",
    "xai": "x_ai",
    "mistralai": "mistral_ai",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
}
ENVIRONMENTS = {
    "production": "prod",
    "prod": "prod",
    "live": "prod",
    "stage": "staging",
    "staging": "staging",
    "preprod": "staging",
    "dev": "dev",
    "development": "dev",
    "local": "dev",
    "test": "test",
    "ci": "test",
}
OPERATIONS = {
    **dict.fromkeys(("chat", "generate_content", "text_completion", "response", "completion", "generate"), "inference"),
    "embeddings": "embedding",
    "rerank": "rerank",
    "retrieval": "retrieval",
    "execute_tool": "tool",
    **dict.fromkeys(("invoke_agent", "create_agent", "agent_step"), "agent"),
    "invoke_workflow": "workflow",
    "plan": "plan",
}
OPENINFERENCE_KINDS = {
    "llm": "inference",
    "embedding": "embedding",
    "reranker": "rerank",
    "retriever": "retrieval",
    "tool": "tool",
    "agent": "agent",
    "chain": "workflow",
    "guardrail": "guardrail",
    "evaluator": "evaluation",
    "prompt": "prompt",
}
LANGFUSE_KINDS = {
    "generation": "inference",
    "embedding": "embedding",
    "retriever": "retrieval",
    "tool": "tool",
    "agent": "agent",
    "chain": "workflow",
    "guardrail": "guardrail",
    "evaluator": "evaluation",
}
TRACELOOP_KINDS = {"tool": "tool", "agent": "agent", "workflow": "workflow", "task": "workflow"}
REQUEST_TYPES = {"chat": "inference", "completion": "inference", "embedding": "embedding", "rerank": "rerank"}
FINISH = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "complete"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(("tool_call", "tool_calls", "tool_use", "function_call"), "tool_call"),
    **dict.fromkeys(
        ("content_filter", "safety", "refusal", "recitation", "prohibited_content", "guardrail_intervened"),
        "content_filter",
    ),
    "pause_turn": "pause",
}
