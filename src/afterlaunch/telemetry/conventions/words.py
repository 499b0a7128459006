"""Other words for what senders say: providers, environments, kinds of span, finish reasons (conventions §2, §4)."""

from __future__ import annotations

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
    "amazon-bedrock": "aws.bedrock",
    "azure-openai": "azure.ai.openai",
    "google-vertex": "gcp.vertex_ai",
    "vertex": "gcp.vertex_ai",
}
"""Other names of providers; what is none of them passes as it is, in lower case."""
NO_PROVIDER = ("unknown", "none")
HOSTS = {
    "openai": ("openai.com",),
    "anthropic": ("anthropic.com",),
    "azure.ai.openai": ("azure.com", "microsoft.com"),
    "gcp.gemini": ("googleapis.com",),
    "gcp.vertex_ai": ("googleapis.com",),
    "aws.bedrock": ("amazonaws.com",),
    "mistral_ai": ("mistral.ai",),
    "cohere": ("cohere.com", "cohere.ai"),
    "groq": ("groq.com",),
    "x_ai": ("x.ai",),
    "deepseek": ("deepseek.com",),
}
"""Where a provider's own API answers; elsewhere the client only believes that it speaks to it."""
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
    # LiteLLM's own names, as a library and as a proxy
    **dict.fromkeys(("acompletion", "atext_completion", "responses", "aresponses", "anthropic_messages"), "inference"),
    **dict.fromkeys(("embeddings", "embedding", "aembedding"), "embedding"),
    **dict.fromkeys(("rerank", "arerank"), "rerank"),
    "retrieval": "retrieval",
    "execute_tool": "tool",
    **dict.fromkeys(("invoke_agent", "create_agent", "agent_step", "handle_conversation_turn"), "agent"),
    "invoke_workflow": "workflow",
    "plan": "plan",
    **dict.fromkeys(("search_memory", "create_memory", "update_memory", "upsert_memory", "delete_memory"), "memory"),
    **dict.fromkeys(("create_memory_store", "update_memory_store", "delete_memory_store"), "memory"),
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
    "decision": "inference",
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
REQUEST_TYPES = {
    **{word: kind for word, kind in OPERATIONS.items() if kind in ("inference", "embedding", "rerank")},
}
VERCEL_OPERATIONS = {
    # The outer operation repeats what its inner calls used: it is no call.
    **dict.fromkeys(("ai.generatetext", "ai.streamtext", "ai.generateobject", "ai.streamobject"), "agent"),
    **dict.fromkeys(("ai.embed", "ai.embedmany", "ai.rerank"), "workflow"),
    **{
        f"ai.{outer}.{inner}": "inference"
        for outer in ("generatetext", "streamtext", "generateobject", "streamobject")
        for inner in ("dogenerate", "dostream")
    },
    **dict.fromkeys(("ai.embed.doembed", "ai.embedmany.doembed"), "embedding"),
    "ai.rerank.dorerank": "rerank",
    "ai.toolcall": "tool",
}
CLAUDE_CODE = {"interaction": "agent", "llm_request": "inference", "tool": "tool"}
FINISH = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "complete"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(("tool_call", "tool_calls", "tool-calls", "tool_use", "function_call"), "tool_call"),
    **dict.fromkeys(
        ("content_filter", "content-filter", "safety", "refusal", "recitation", "prohibited_content", "blocklist"),
        "content_filter",
    ),
    "guardrail_intervened": "content_filter",
    "pause_turn": "pause",
    **dict.fromkeys(("error", "failed"), "error"),
    **dict.fromkeys(("cancelled", "canceled", "abort", "aborted"), "cancelled"),
}
