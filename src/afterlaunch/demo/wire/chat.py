"""OpenAI chat completions: a document, a stream with or without its usage chunk, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from afterlaunch.demo.wire.answer import Answer, Trouble, event

DONE = b"data: [DONE]\n\n"
FINGERPRINT = "fp_demo000001"


def headers(number: int, seconds: float) -> dict[str, str]:
    return {
        "openai-version": "2020-10-01",
        "openai-processing-ms": str(int(seconds * 1000)),
        "x-request-id": f"req_{number:032x}",
        "x-ratelimit-limit-requests": "30000",
        "x-ratelimit-remaining-requests": "29999",
        "x-ratelimit-reset-requests": "2ms",
    }


def usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.inputs,
        "completion_tokens": answer.output,
        "total_tokens": answer.inputs + answer.output,
        "prompt_tokens_details": {"cached_tokens": answer.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def response_id(answer: Answer) -> str:
    return f"chatcmpl-demo{answer.number:08d}"


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": response_id(answer),
        "object": kind,
        "created": answer.created,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def _finish(answer: Answer) -> str:
    return "content_filter" if answer.refused else "tool_calls" if answer.tool else "stop"


def document(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    if call := answer.tool:
        function = {"name": call.name, "arguments": call.arguments}
        message |= {"content": None, "tool_calls": [{"id": call.id, "type": "function", "function": function}]}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
    return {**_head(answer, "chat.completion"), "choices": [choice], "usage": usage(answer)}


def stream(answer: Answer, with_usage: bool) -> Iterator[bytes]:
    """With `include_usage` every chunk carries `usage: null` and one more, without choices, the counts.
    Without it no chunk says anything of usage."""
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": "", "refusal": None}, None)]
    deltas += [({"content": piece}, None) for piece in answer.pieces]
    deltas += [({}, _finish(answer))]
    more = {"usage": None} if with_usage else {}
    for delta, finish in deltas:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        yield event({**_head(answer, "chat.completion.chunk"), "choices": [choice], **more})
    if with_usage:
        yield event({**_head(answer, "chat.completion.chunk"), "choices": [], "usage": usage(answer)})
    yield DONE


def rate_limited(number: int, model: str) -> Trouble:
    told = {
        "retry-after": "1",
        "retry-after-ms": "640",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "640ms",
    }
    text = f"Rate limit reached for {model} on tokens per min (TPM): Limit 150000, Used 150000. Try again in 640ms."
    error = {"message": text, "type": "tokens", "param": None, "code": "rate_limit_exceeded"}
    return Trouble(429, {**headers(number, 0.004), **told}, {"error": error})


def server_error(number: int, model: str) -> Trouble:
    text = f"The server had an error while processing your request (request ID req_{number:032x})."
    error = {"message": text, "type": "server_error", "param": None, "code": None}
    return Trouble(500, headers(number, 0.01), {"error": error})
