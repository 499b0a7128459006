"""Names of content and of facts, in the dialects of telemetry conventions §4."""

import pytest

from afterlaunch.sdk.content import without_content

CONTENT = [
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.prompt.0.content",
    "gen_ai.prompt.variable.name",
    "gen_ai.completion.0.content",
    "gen_ai.completion.0.tool_calls.0.arguments",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.definitions",
    "gen_ai.tool.input",
    "gen_ai.task.output",
    "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.query",
    "llm.input_messages.0.message.content",
    "llm.prompts",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
    "llm.prompt_template.variables",
    "input.value",
    "output.value",
    "retrieval.documents.0.document.content",
    "retrieval.documents.0.document.metadata",
    "embedding.embeddings.0.embedding.text",
    "reranker.query",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "ai.prompt.messages",
    "ai.prompt",
    "ai.response.text",
    "ai.response.object",
    "ai.response.toolCalls",
    "ai.result.text",
    "ai.toolCall.args",
    "ai.toolCall.result",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "pydantic_ai.all_messages",
    "all_messages_events",
    "final_result",
    "tool_arguments",
    "tool_response",
    "request_data",
    "response_data",
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
    "gcp.vertex.agent.llm_request",
    "gcp.vertex.agent.llm_response",
    "llm.openai.messages",
    "llm.openai.choices",
    "tool.parameters",
    "llm.request.functions.0.description",
]
FACTS = [
    "gen_ai.operation.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.response.id",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.prompt.name",
    "gen_ai.prompt.version",
    "gen_ai.output.type",
    "gen_ai.tool.name",
    "gen_ai.tool.call.id",
    "gen_ai.retrieval.documents",
    "gen_ai.retrieval.top_k",
    "llm.token_count.prompt_details.cache_read",
    "llm.usage.total_tokens",
    "llm.model_name",
    "llm.invocation_parameters",
    "input.mime_type",
    "openinference.span.kind",
    "traceloop.span.kind",
    "traceloop.prompt.version",
    "tenant.id",
    "user.id",
    "session.id",
    "ai.usage.promptTokens",
    "ai.response.id",
    "metadata",
    "error.type",
    "gen_ai.usage.prompt_tokens",
    "gen_ai.usage.completion_tokens",
    "retrieval.documents.0.document.id",
    "retrieval.documents.0.document.score",
    "retrieval.cache.hit",
]


@pytest.mark.parametrize("key", CONTENT)
def test_content_is_left_out(key: str) -> None:
    assert without_content({key: "hush"}) == {}


@pytest.mark.parametrize("key", FACTS)
def test_facts_are_told(key: str) -> None:
    assert without_content({key: "hush"}) == {key: "hush"}


def test_numbers_are_no_content_and_what_is_long_may_be() -> None:
    numbers = {"llm.token_count.prompt": 7, "gen_ai.evaluation.score.value": 0.5, "input": True}
    lists = {"gen_ai.retrieval.documents": "[]" * 2000, "exception.stacktrace": "at" * 2000}
    assert without_content({**numbers, **lists, "new.name": "hush" * 999}) == {**numbers, **lists}
