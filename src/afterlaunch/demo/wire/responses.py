"""OpenAI responses, whole ones: a message, or a call of a function."""

from __future__ import annotations

from typing import Any

from afterlaunch.demo.wire.answer import Answer


def response_id(answer: Answer) -> str:
    return f"resp_demo{answer.number:042d}"


def usage(answer: Answer) -> dict[str, Any]:
    return {
        "input_tokens": answer.inputs,
        "input_tokens_details": {"cached_tokens": answer.cached},
        "output_tokens": answer.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.inputs + answer.output,
    }


def document(answer: Answer, asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": response_id(answer),
        "object": "response",
        "created_at": answer.created,
        "completed_at": answer.created,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "model": answer.model,
        "output": [_item(answer)],
        "parallel_tool_calls": True,
        "previous_response_id": asked.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": asked.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage(answer),
        "user": None,
        "metadata": {},
    }


def _item(answer: Answer) -> dict[str, Any]:
    if call := answer.tool:
        return {
            "id": f"fc_demo{answer.number:042d}",
            "type": "function_call",
            "status": "completed",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
    kind, text = ("refusal", "refusal") if answer.refused else ("output_text", "text")
    content: dict[str, Any] = {"type": kind, text: answer.text}
    if not answer.refused:
        content |= {"annotations": [], "logprobs": []}
    return {
        "id": f"msg_demo{answer.number:042d}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }
