"""OTLP/HTTP: a raw ASGI application for each signal. 200 only after the commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from google.protobuf.json_format import MessageToJson

from afterlaunch.ground.errors import AfterlaunchError, Invalid, NotFound, Overloaded, Unavailable, Unsupported
from afterlaunch.telemetry.answers import encoded, status_of
from afterlaunch.telemetry.inflate import Inflate, too_large
from afterlaunch.telemetry.intake import Intake, Made, Sender

log = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
READ_SECONDS = 30.0


class WrongMethod(AfterlaunchError):
    status, code = 405, "method_not_allowed"


def headers_of(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


class Ingest:
    """One signal's receiver over HTTP. `intake` may be shared with the one over gRPC."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self._reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        json = _is_json(headers)
        try:
            made = await self._take(scope, headers, receive)
        except AfterlaunchError as problem:
            await refuse(send, json, problem)
        else:
            answer = self.intake.signal.answer(made)
            body = MessageToJson(answer, indent=None).encode() if json else answer.SerializeToString()
            await _answer(send, 200, json, body, [])

    async def _take(self, scope: Scope, headers: dict[str, str], receive: Receive) -> Made:
        if scope["method"] != "POST":
            raise WrongMethod("Only POST is taken here.")
        sender = await self.intake.sender(headers, (scope.get("client") or ("", 0))[0])
        with self.intake.turn(sender):
            return await self._store(sender, headers, receive)

    async def _store(self, sender: Sender, headers: dict[str, str], receive: Receive) -> Made:
        try:
            body = await asyncio.wait_for(self._read(headers, receive), READ_SECONDS)
        except TimeoutError:
            raise Unavailable(f"The body did not arrive within {READ_SECONDS:g} s.") from None
        return await self.intake.take(sender, body, headers.get("content-type", ""))

    async def _read(self, headers: dict[str, str], receive: Receive) -> bytes:
        """The body, inflated while it is counted: a small one can't grow past the limit."""
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip"):
            raise Unsupported(f"Content-Encoding {encoding} is not taken.", "gzip or none")
        limit = self.intake.max_body
        if headers.get("content-length", "0").isdigit() and int(headers.get("content-length", "0")) > limit:
            raise too_large(limit)
        inflate = Inflate(limit) if encoding == "gzip" else None
        parts: list[bytes] = []
        size, more = 0, True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Invalid("The sender left before the body was complete.")
                part, more = message.get("body", b""), message.get("more_body", False)
                part = inflate.more(part) if inflate else part
                size += len(part)
                self._room(len(part))
                if size > limit:
                    raise too_large(limit)
                parts.append(part)
        finally:
            self._reading -= size
        if inflate:
            inflate.end()
        return b"".join(parts)

    def _room(self, more: int) -> None:
        """Bodies that are still arriving may hold as much memory as those that wait for their commit."""
        self._reading += more
        if self._reading > self.intake.buffer.max_bytes and self._reading > more:
            wait = self.intake.pace.wait(self.intake.buffer.held_bytes)
            raise Overloaded("Too many bodies are arriving at once.", "Send again later.", wait)


class NotTaken:
    """A signal of OTLP that this version has no place for: 404, so that nothing is accepted and dropped."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = NotFound("This signal is not taken.", "Traces, metrics and logs are.")
        await refuse(send, _is_json(headers_of(scope)), problem)


def _is_json(headers: dict[str, str]) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def refuse(send: Send, json: bool, problem: AfterlaunchError) -> None:
    """A google.rpc.Status in the request's encoding."""
    extra = [(b"retry-after", str(problem.retry_after).encode())] if isinstance(problem, Overloaded) else []
    extra += [(b"allow", b"POST")] if isinstance(problem, WrongMethod) else []
    await _answer(send, problem.status, json, encoded(status_of(problem), json), extra)


async def _answer(send: Send, status: int, json: bool, body: bytes, extra: list[tuple[bytes, bytes]]) -> None:
    kind = b"application/json" if json else b"application/x-protobuf"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
