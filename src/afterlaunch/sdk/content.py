"""Which attributes and events carry what people and models said. Names: telemetry conventions, all dialects."""

from __future__ import annotations

import re
from functools import lru_cache

_WHOLE = frozenset(
    [
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.tool.input",
        "gen_ai.tool.output",
        "gen_ai.tool.args",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.query",
        "gen_ai.prompt",
        "gen_ai.completion",
        "input.value",
        "output.value",
        "input",
        "output",
        "llm.prompts",
        "llm.completions",
        "llm.function_call",
        "llm.prompt_template.template",
        "llm.prompt_template.variables",
        "tool.parameters",
        "reranker.query",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "traceloop.prompt.template_variables",
        "ai.prompt",
        "ai.response.text",
        "ai.response.object",
        "ai.response.toolCalls",
        "ai.result.text",
        "ai.result.object",
        "ai.toolCall.args",
        "ai.toolCall.result",
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.trace.input",
        "langfuse.trace.output",
        "pydantic_ai.all_messages",
        "all_messages_events",
        "final_result",
        "tool_arguments",
        "tool_response",
        "request_data",
        "response_data",
        "events",
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
    ]
)
_FAMILY = re.compile(
    r"(gen_ai\.prompt\.(\d+\.|variable\.)"
    r"|(gen_ai\.completion|llm\.(input|output)_messages|llm\.prompts|llm\.completions|llm\.tools|ai\.prompt)\."
    r"|llm\.request\.functions\."
    r"|(retrieval|reranker\.(input|output)_documents|embedding)\..*\.(content|metadata|text)$"
    r"|reranker\.(input|output)_documents\..*\.document\.content$)"
)
_EVENT = re.compile(
    r"gen_ai\.((system|user|assistant|tool|developer)\.message|choice|content\..*"
    r"|client\.inference\.operation\.details)$"
)


@lru_cache(maxsize=4096)
def is_content(key: str) -> bool:
    return key in _WHOLE or _FAMILY.match(key) is not None


@lru_cache(maxsize=1024)
def is_content_event(name: str) -> bool:
    """Events that are nothing but content."""
    return _EVENT.match(name) is not None
