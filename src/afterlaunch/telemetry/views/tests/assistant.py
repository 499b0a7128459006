"""Telemetry of an assistant with everything in it: sessions, users, agents, tools, look-ups, limits, judgements."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import orjson

SECOND = 10**9
LIMITS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-limit-tokens": "30000",
    "x-ratelimit-remaining-tokens": "29000",
}


def attribute(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"key": key, "value": {"arrayValue": {"values": [attribute("", one)["value"] for one in value]}}}
    kind = {bool: "boolValue", int: "intValue", float: "doubleValue"}.get(type(value), "stringValue")
    return {"key": key, "value": {kind: str(value) if kind == "intValue" else value}}


class Trace:
    """Spans one after the other; times in seconds."""

    def __init__(self, number: int, at: datetime, common: dict[str, Any]) -> None:
        self.id, self._number, self._at, self._common = f"{number + 1:032x}", number, at, common
        self.spans: list[dict[str, Any]] = []

    def span(self, name: str, start: float, length: float, parent: int | None = None, **more: Any) -> int:
        told = {**self._common, **more.pop("told", {})}
        begin = int(self._at.timestamp()) * SECOND + int(start * SECOND)
        place = len(self.spans)
        self.spans.append(
            {
                "traceId": self.id,
                "spanId": f"{self._number + 1:012x}{place + 1:04x}",
                "parentSpanId": "" if parent is None else f"{self._number + 1:012x}{parent + 1:04x}",
                "name": name,
                "kind": 3,
                "startTimeUnixNano": str(begin),
                "endTimeUnixNano": str(begin + int(length * SECOND)),
                "attributes": [attribute(key, value) for key, value in told.items()],
                "status": {"code": 2, "message": str(told["error.type"])} if "error.type" in told else {},
            }
        )
        return place


def messages(*said: tuple[str, str]) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in said])


def chat(number: int, **more: Any) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 800 + number % 9 * 50,
        "gen_ai.usage.cache_read.input_tokens": 300,
        "gen_ai.usage.output_tokens": 90 + number % 5 * 20,
        "gen_ai.response.time_to_first_chunk": 0.2 + number % 7 * 0.05,
        **{f"http.response.header.{name}": [value] for name, value in LIMITS.items()},
        "http.response.header.x-ratelimit-remaining-requests": [str(400 - number % 390)],
        **more,
    }


def one_trace(number: int, at: datetime) -> Trace:
    """An agent's run: look-up, model, tools, model. Every 6th is throttled first, every 7th loops, every 9th fails."""
    common: dict[str, Any] = {
        "gen_ai.agent.name": ("helper", "planner")[number % 2],
        "tenant.id": f"tenant-{number % 3}",
        "session.id": f"session-{number // 4}",
        "user.id": f"user-{number // 12}",
        "afterlaunch.route": "support",
        "gen_ai.prompt.version": "v13" if number % 3 == 0 else "v12",
    }
    if number % 3 == 0:
        common["afterlaunch.transaction"] = f"order-{number // 6}"
    trace = Trace(number, at, common)
    run = trace.span("invoke_agent", 0, 9, told={"gen_ai.operation.name": "invoke_agent"})
    found = [
        {"id": f"doc-{(number + at_rank) % 8}", "score": 0.9 - at_rank / 10, "updated_at": said}
        for at_rank, said in enumerate(("2026-01-01T00:00:00Z", "2025-06-01T00:00:00Z", None))
    ]
    told: dict[str, Any] = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": "handbook",
        "gen_ai.retrieval.documents": json.dumps([] if number % 5 == 4 else found),
        "retrieval.cache.hit": number % 4 == 0,
        "retrieval.index.version": "2026-02-01T00:00:00Z",
    }
    if number % 2 == 0:
        told["afterlaunch.retrieval.relevant_ids"] = json.dumps([f"doc-{(number + 1) % 8}", "doc-77"])
    trace.span("retrieval handbook", 0.1, 0.2, run, told=told)
    question = f"Where is order {number}?"
    asked = [("system", "You are kind."), ("user", question)]
    if number % 4 == 1:
        common["gen_ai.system_instructions"] = json.dumps([{"type": "text", "content": "Be brief."}])
    content = {"gen_ai.input.messages": messages(*asked)}
    if number % 6 == 5:
        waits = {"http.response.header.retry-after": ["2"], "error.type": "rate_limit_exceeded"}
        failed = {**chat(number), **waits, **content, "http.response.status_code": 429}
        failed = {key: value for key, value in failed.items() if not key.startswith("gen_ai.usage")}
        trace.span("chat", 0.4, 0.1, run, told=failed)
    call = {"type": "tool_call", "name": "find_order", "arguments": {"order": number}}
    answer = json.dumps([{"role": "assistant", "parts": [call]}])
    trace.span("chat", 3, 1, run, told={**chat(number), **content, "gen_ai.output.messages": answer})
    for turn in range(4 if number % 7 == 6 else 1):
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find_order"}
        tool["gen_ai.tool.call.arguments"] = json.dumps({"order": number})
        if number % 9 == 8:
            tool["error.type"] = "OrderNotFound"
        trace.span("execute_tool find_order", 4.2 + turn / 2, 0.3, run, told=tool)
    mail = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "send_mail"}
    trace.span("execute_tool send_mail", 6.5, 0.2, run, told=mail)
    result = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"state": "sent"}}]}
    history = json.dumps([*json.loads(messages(*asked)), *json.loads(answer), result])
    last = {
        "gen_ai.input.messages": history,
        "gen_ai.output.messages": messages(("assistant", f"Order {number} is on its way.")),
    }
    slow = 1.5 if number % 3 else 0.6
    trace.span("chat", 7, slow, run, told={**chat(number), **last})
    return trace


def body(start: datetime, runs: int = 60, every: timedelta = timedelta(seconds=20), client: str = "acme") -> bytes:
    """OTLP/JSON."""
    spans = [span for number in range(runs) for span in one_trace(number, start + number * every).spans]
    named = {"service.name": "assistant", "afterlaunch.client": client, "deployment.environment.name": "prod"}
    resource = {"attributes": [attribute(key, value) for key, value in named.items()]}
    return orjson.dumps(
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "app"}, "spans": spans}]}]}
    )
