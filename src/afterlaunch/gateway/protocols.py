"""The wire protocols that the gateway knows, and its own errors in their shapes."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

MIB = 1 << 20


@dataclass(frozen=True)
class Protocol:
    """`operation` is the gen_ai operation name; None: passed through and counted, but not metered.
    `family` is "openai" or "anthropic" and decides the shape of errors. `longest_event` bounds one SSE event."""

    name: str
    family: str
    operation: str | None
    longest_event: int = MIB


CHAT = Protocol("chat", "openai", "chat")
RESPONSES = Protocol("responses", "openai", "chat", longest_event=8 * MIB)
EMBEDDINGS = Protocol("embeddings", "openai", "embeddings")
MESSAGES = Protocol("messages", "anthropic", "chat")
OPAQUE = Protocol("opaque", "openai", None)
OPAQUE_ANTHROPIC = Protocol("opaque", "anthropic", None)

_BY_PATH = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": RESPONSES,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/messages": MESSAGES,
}


def protocol_of(path: str) -> Protocol | None:
    """By the path below a route's base URL; None when it is no path of a provider's API."""
    known = _BY_PATH.get(path)
    if known:
        return known
    if path.startswith("/v1/messages/"):
        return OPAQUE_ANTHROPIC
    return OPAQUE if path.startswith("/v1/") else None


@dataclass
class Refusal(Exception):
    """An error of our own. `reason` is named and goes to the caller as `afterlaunch-reason`, and to metrics; `told` are
    further headers."""

    status: int
    reason: str
    message: str
    retry_after: int | None = None
    told: tuple[tuple[bytes, bytes], ...] = ()

    def body(self, family: str) -> bytes:
        kind = _KINDS.get(self.status, "api_error")
        if family == "anthropic":
            return orjson.dumps({"type": "error", "error": {"type": kind, "message": self.message}})
        return orjson.dumps({"error": {"message": self.message, "type": kind, "code": self.reason}})

    def headers(self) -> list[tuple[bytes, bytes]]:
        found = [(b"content-type", b"application/json"), (b"afterlaunch-reason", self.reason.encode())]
        if self.retry_after is not None:
            found.append((b"retry-after", str(self.retry_after).encode()))
        return [*found, *self.told]

    def event(self, wire: Protocol) -> bytes:
        """As the last event of a stream that has begun."""
        if wire is RESPONSES:
            told = {"type": "error", "code": self.reason, "message": self.message, "param": None}
            return b"event: error\ndata: " + orjson.dumps(told) + b"\n\n"
        return (b"event: error\n" if wire.family == "anthropic" else b"") + b"data: " + self.body(wire.family) + b"\n\n"


_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "request_too_large",
    423: "permission_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
    503: "overloaded_error",
    504: "timeout_error",
}
