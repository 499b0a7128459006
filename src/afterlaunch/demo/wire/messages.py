"""Anthropic messages: a document, a stream of named events, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from afterlaunch.demo.wire.answer import Answer, Trouble, event


def headers(number: int) -> dict[str, str]:
    return {
        "request-id": f"req_demo{number:020d}",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
    }


def usage(answer: Answer, output: int) -> dict[str, Any]:
    """`input_tokens` is what no cache took."""
    return {
        "input_tokens": answer.inputs - answer.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def response_id(answer: Answer) -> str:
    return f"msg_demo{answer.number:020d}"


def _stop(answer: Answer) -> str:
    return "refusal" if answer.refused else "end_turn"


def document(answer: Answer) -> dict[str, Any]:
    return {
        "model": answer.model,
        "id": response_id(answer),
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": answer.text}],
        "stop_reason": _stop(answer),
        "stop_sequence": None,
        "usage": usage(answer, answer.output),
    }


def _of(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields}, kind)


def stream(answer: Answer) -> Iterator[bytes]:
    """The first event counts one token of output, early; `message_delta` has the totals that are billed."""
    empty: dict[str, Any] = {"content": [], "stop_reason": None, "usage": usage(answer, 1)}
    yield _of("message_start", message={**document(answer), **empty})
    yield _of("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield _of("ping")
    for piece in answer.pieces:
        yield _of("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
    yield _of("content_block_stop", index=0)
    totals = {
        key: count
        for key, count in usage(answer, answer.output).items()
        if key not in ("cache_creation", "service_tier")
    }
    yield _of("message_delta", delta={"stop_reason": _stop(answer), "stop_sequence": None}, usage=totals)
    yield _of("message_stop")


def _trouble(number: int, status: int, kind: str, text: str, told: dict[str, str]) -> Trouble:
    head = headers(number)
    error = {"type": kind, "message": text}
    return Trouble(status, {**head, **told}, {"type": "error", "error": error, "request_id": head["request-id"]})


def rate_limited(number: int, model: str) -> Trouble:
    told = {"retry-after": "2", "anthropic-ratelimit-requests-remaining": "0"}
    text = f"This request would exceed the rate limit of your organization for {model}."
    return _trouble(number, 429, "rate_limit_error", text, told)


def server_error(number: int, model: str) -> Trouble:
    return _trouble(number, 500, "api_error", "Internal server error", {})


def overloaded(number: int, model: str) -> Trouble:
    return _trouble(number, 529, "overloaded_error", "Overloaded", {"x-should-retry": "true"})
