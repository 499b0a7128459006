"""One call: from the caller's request to the last byte, and what became of it.

1. Assign the arm. 2. Edit the request where the arm or metering needs it, by the smallest splice. 3. Open the upstream;
an upstream that does not know `stream_options` is asked once more without. 4. Pass the answer on as it comes, a meter
reads along. 5. Report every attempt. A caller who leaves ends the upstream's work at once.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Any

import orjson

from afterlaunch.contracts.snapshot import Key, Route
from afterlaunch.gateway.configuration import Configuration
from afterlaunch.gateway.exporter import Exporter
from afterlaunch.gateway.metering import meter_for
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import CHAT, Refusal
from afterlaunch.gateway.report import Attempt, CallReport
from afterlaunch.gateway.request import (
    Asked,
    Receive,
    Send,
    assign,
    credential_headers,
    response_headers,
    tenant_of,
)
from afterlaunch.gateway.splice import ask_for_usage, set_model
from afterlaunch.gateway.sse import Withhold
from afterlaunch.gateway.upstream import Broken, Client, Head
from afterlaunch.ground import clock

WATCH_AFTER = 0.05  # an answer that comes sooner needs no watcher
COMPLAINT = 64 << 10
_STATUS = {"unreachable": 502, "timeout": 504, "cut": 502}


@dataclass
class Stack:
    """What every call uses. `without_usage`: upstreams that refused `stream_options`."""

    client: Client
    exporter: Exporter
    metrics: Metrics
    without_usage: set[str]


@dataclass
class Prepared:
    """The request as it goes out. `injected`: the usage event was our wish and is withheld from the caller."""

    body: bytes
    plain_body: bytes
    model: str | None
    streaming: bool
    injected: bool


def prepare(asked: Asked, body: bytes, model: str | None, inject: bool) -> Prepared:
    """A body that is no JSON object passes as it is: the provider says what is wrong with it."""
    if not body or asked.protocol.operation is None:
        return Prepared(body, body, None, False, False)
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        return Prepared(body, body, None, False, False)
    if model is not None and document.get("model") != model:
        body = set_model(body, model)
    named = model or document.get("model")
    streaming = document.get("stream") is True
    options = document.get("stream_options")
    asks = isinstance(options, dict) and options.get("include_usage") is True
    injected = inject and streaming and not asks and asked.protocol is CHAT
    edited = ask_for_usage(body) if injected else body
    return Prepared(edited, body, named if isinstance(named, str) else None, streaming, injected)


class Call:
    def __init__(self, stack: Stack, configuration: Configuration, asked: Asked, key: Key, route: Route) -> None:
        self._stack, self._asked, self._key, self._route = stack, asked, key, route
        self._epoch = configuration.epoch
        self._tenant = tenant_of(key, asked)
        self._assignment = assign(route, key, asked)
        self._target = configuration.target(self._assignment.arm)
        self._id = os.urandom(16).hex()
        self._start_ns, self._zero = clock.now_ns(), time.perf_counter()
        self._attempts: list[Attempt] = []
        self._head: Head | None = None
        self._gone = False
        self._streaming = False

    def _since(self) -> float:
        return time.perf_counter() - self._zero

    async def run(self, body: bytes, receive: Receive, send: Send) -> None:
        """Raises Refusal while nothing has been sent to the caller."""
        if self._assignment.reason == "unassigned":
            self._stack.metrics.add("unassigned_total", route=self._route.name)
        upstream = self._target.upstream
        inject = self._route.inject_usage and upstream.name not in self._stack.without_usage
        prepared = prepare(self._asked, body, self._assignment.arm.model, inject)
        self._streaming = prepared.streaming
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        watcher: list[asyncio.Task[None]] = []
        timer = loop.call_later(WATCH_AFTER, lambda: watcher.append(loop.create_task(self._watch(receive, task))))
        try:
            await self._serve(prepared, send)
        except asyncio.CancelledError:
            if not self._gone:
                raise
            task.uncancel()
            self._leave()
        finally:
            timer.cancel()
            for one in watcher:
                one.cancel()
            self._report()

    async def _watch(self, receive: Receive, task: asyncio.Task[Any]) -> None:
        """Raw ASGI tells of a caller who has left only to who asks."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        task.cancel()

    def _leave(self) -> None:
        """A caller who has seen the stream's own end has had everything: SDKs hang up there, before the transport's."""
        attempt = self._attempts[-1]
        attempt.ended = self._since()
        if self._head:
            self._stack.client.abort(self._head)
        reading = attempt.reading
        if reading is not None and reading.ended and reading.events:
            self._settle(attempt, reading.tokens(self._asked.protocol), sse=True)
        else:
            attempt.state, attempt.error = "caller-gone", None

    async def _serve(self, prepared: Prepared, send: Send) -> None:
        attempt = self._attempt(prepared)
        head = await self._open(attempt, prepared.body)
        injected, spent = prepared.injected, b""
        if injected and head.status == 400:
            spent = await self._complaint(head)
            if b"stream_options" in spent:
                self._stack.without_usage.add(self._target.upstream.name)
                attempt.ended, attempt.state, attempt.error = self._since(), "upstream-error", "400"
                attempt, injected, spent = self._attempt(prepared), False, b""
                head = await self._open(attempt, prepared.plain_body)
        await self._pass(attempt, head, spent, injected, send)

    def _attempt(self, prepared: Prepared) -> Attempt:
        attempt = Attempt(len(self._attempts) + 1, self._target, self._since(), prepared.model)
        self._attempts.append(attempt)
        return attempt

    async def _open(self, attempt: Attempt, body: bytes) -> Head:
        asked, target = self._asked, self._target
        headers = [
            *asked.forward,
            ("accept-encoding", "identity"),
            *credential_headers(asked, target.upstream.provider, target.passthrough, target.secret),
        ]
        url = target.base + asked.path + ("?" + asked.query if asked.query else "")
        try:
            head = await self._stack.client.open(asked.method, url, headers, body, target.upstream.timeout_seconds)
        except Broken as problem:
            attempt.ended, attempt.state = self._since(), "upstream-error"
            attempt.error = {"timeout": "timeout", "unreachable": "connection_error"}.get(
                problem.kind, "connection_lost"
            )
            raise Refusal(
                _STATUS[problem.kind],
                f"upstream-{problem.kind}",
                f"The upstream {target.upstream.name} did not answer: {problem.kind}.",
            ) from problem
        self._head, attempt.status = head, head.status
        return head

    async def _complaint(self, head: Head) -> bytes:
        """The beginning of an error's body; what was read is passed on by `_pass` if it is the caller's affair."""
        parts, size = [], 0
        try:
            while size < COMPLAINT and (read := await self._stack.client.read(head)):
                parts.append(read)
                size += len(read)
        except Broken:
            pass  # `_pass` meets the same end again and reports it
        return b"".join(parts)

    async def _pass(self, attempt: Attempt, head: Head, spent: bytes, injected: bool, send: Send) -> None:
        """Bytes first, metering after. A cut stream stays visibly cut: no last chunk is invented."""
        kind, encoding = _content(head)
        sse = kind.startswith("text/event-stream")
        withhold = Withhold(self._asked.protocol.longest_event) if injected and sse and not encoding else None
        meter = meter_for(self._asked.protocol, kind, encoding)
        attempt.reading = meter.reading
        headers = response_headers(head.headers)
        if withhold:
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        headers += [(b"afterlaunch-call-id", self._id.encode()), (b"afterlaunch-arm", self._arm_header())]
        await send({"type": "http.response.start", "status": head.status, "headers": headers})
        client, ended, read = self._stack.client, False, spent
        try:
            while not ended:
                read = read or await client.read(head)
                ended = not read or client.ended(head)
                if attempt.first_byte is None:
                    attempt.first_byte = self._since()
                out = withhold.feed(read) if withhold else read
                if ended and withhold:
                    out += withhold.finish()
                if out or ended:
                    await send({"type": "http.response.body", "body": out, "more_body": not ended})
                meter.feed(read)
                read = b""
        except Broken as problem:
            client.abort(head)
            attempt.state, attempt.error = (
                "upstream-cut",
                "stream_timeout" if problem.kind == "timeout" else "stream_cut",
            )
        attempt.ended = self._since()
        reading = meter.finish()
        self._settle(attempt, reading.tokens(self._asked.protocol), sse)

    def _arm_header(self) -> bytes:
        return self._assignment.arm.name.encode()

    def _settle(self, attempt: Attempt, tokens: Any, sse: bool) -> None:
        reading = attempt.reading
        assert reading is not None
        if attempt.status is not None and attempt.status >= 400:
            attempt.state, attempt.error = "upstream-error", reading.error or str(attempt.status)
        elif attempt.state == "complete" and reading.error and sse:
            attempt.state, attempt.error = "upstream-error", reading.error
        elif attempt.state == "complete" and sse and self._asked.protocol.operation and not reading.ended:
            attempt.state, attempt.error = "upstream-cut", "stream_cut"
        attempt.tokens = tokens

    def _report(self) -> None:
        if not self._attempts:
            return
        last, now = self._attempts[-1], self._since()
        if not last.ended:
            last.ended, last.state, last.error = now, "upstream-cut", "gateway_stopped"
        self._count(last, now)
        self._stack.exporter.put(
            CallReport(
                self._asked,
                self._key,
                self._route,
                self._assignment,
                self._tenant,
                self._epoch,
                self._id,
                self._start_ns,
                now,
                self._streaming,
                self._attempts,
            )
        )

    def _count(self, last: Attempt, seconds: float) -> None:
        metrics, route, arm = self._stack.metrics, self._route.name, self._assignment.arm.name
        metered = self._asked.protocol.operation is not None
        usage = "exact" if last.tokens else "unknown" if metered else "none"
        metrics.call(route, arm, last.state, usage, seconds)
        if last.tokens:
            metrics.add("tokens_total", last.tokens.input or 0, route=route, arm=arm, kind="input")
            metrics.add("tokens_total", last.tokens.output or 0, route=route, arm=arm, kind="output")
        elif metered:
            why = (last.reading and last.reading.unknown) or last.state
            metrics.add("usage_unknown_total", route=route, reason=why)


def _content(head: Head) -> tuple[str, str]:
    """Content type and encoding, lower case."""
    kind = encoding = b""
    for name, value in head.headers:
        if name == b"content-type":
            kind = value
        elif name == b"content-encoding":
            encoding = value
    text = encoding.decode("latin-1").strip().lower()
    return kind.decode("latin-1").strip().lower(), "" if text == "identity" else text
