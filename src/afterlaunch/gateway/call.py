"""One call: from the caller's request to the last byte, and what became of it.

1. Assign the arm. 2. Edit the request where the arm or metering needs it, by the smallest splice. 3. Open the upstream;
an upstream that does not know `stream_options` is asked once more without. 4. Pass the answer on as it comes, a meter
reads along. 5. Report every attempt. A caller who leaves ends the upstream's work at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson

from afterlaunch.contracts.snapshot import Key, Route
from afterlaunch.gateway.answer import Answer
from afterlaunch.gateway.configuration import Configuration
from afterlaunch.gateway.exporter import Exporter
from afterlaunch.gateway.metering import meter_for
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import CHAT, Refusal
from afterlaunch.gateway.report import Attempt, CallReport, new_id
from afterlaunch.gateway.request import Asked, assign, credential_headers, response_headers, tenant_of
from afterlaunch.gateway.splice import ask_for_usage, set_model
from afterlaunch.gateway.sse import Withhold
from afterlaunch.gateway.upstream import Broken, Client, Head
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
COMPLAINT = 64 << 10
CALLS_PER_KEY = 1_000  # at the same time
_IDENTITY = (b"accept-encoding", b"identity")
# By kind of Broken: status and reason of our answer, error type of the attempt.
_BROKEN = {
    "unreachable": (502, "upstream-unreachable", "connection_error"),
    "address-refused": (502, "upstream-address-refused", "address_refused"),
    "busy": (503, "upstream-busy", "upstream_busy"),
    "timeout": (504, "upstream-timeout", "timeout"),
    "cut": (502, "upstream-cut", "connection_lost"),
    "garbled": (502, "upstream-garbled", "invalid_response"),
}


@dataclass
class Stack:
    """What every call uses. `without_usage`: upstreams that refused `stream_options`; `busy`: calls by key."""

    client: Client
    exporter: Exporter
    metrics: Metrics
    without_usage: set[str] = field(default_factory=set)
    busy: Counter[str] = field(default_factory=Counter)


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
    """Counted from its making until it has run, or until the caller left before it could."""

    def __init__(self, stack: Stack, configuration: Configuration, asked: Asked, key: Key, route: Route) -> None:
        """Raises Refusal."""
        self._stack, self._asked, self._key, self._route = stack, asked, key, route
        self._epoch = configuration.epoch
        self._tenant = tenant_of(key, asked)
        self._assignment = assign(route, key, asked)
        self._target = configuration.target(self._assignment.arm)
        self._id = new_id(16).hex()
        self._attempts: list[Attempt] = []
        self._head: Head | None = None
        self._gone = False
        self._streaming = False
        if stack.busy[key.id] >= CALLS_PER_KEY:
            raise Refusal(429, "key-concurrency", "Too many calls of this key are under way.", retry_after=1)
        stack.busy[key.id] += 1
        stack.metrics.in_flight += 1

    def _since(self) -> float:
        return time.perf_counter() - self._zero

    async def run(self, body: bytes, answer: Answer) -> None:
        """Raises Refusal while nothing has been sent to the caller."""
        self._start_ns, self._zero = clock.now_ns(), time.perf_counter()
        if self._assignment.reason == "unassigned":
            self._stack.metrics.add("unassigned_total", route=self._route.name)
        upstream = self._target.upstream
        inject = self._route.inject_usage and upstream.name not in self._stack.without_usage
        prepared = prepare(self._asked, body, self._assignment.arm.model, inject)
        self._streaming = prepared.streaming
        try:
            await self._serve(prepared, answer)
        except asyncio.CancelledError:
            if not self._gone:
                raise
            self._leave()
        finally:
            self._done()
            self._report()

    def left(self) -> None:
        """Before the request had come whole."""
        self._stack.metrics.add("left_while_sending_total")
        self._done()

    def caller_gone(self) -> None:
        self._gone = True

    def _done(self) -> None:
        self._stack.metrics.in_flight -= 1
        self._stack.busy[self._key.id] -= 1

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

    async def _serve(self, prepared: Prepared, answer: Answer) -> None:
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
        await self._pass(attempt, head, spent, injected, answer)

    def _attempt(self, prepared: Prepared) -> Attempt:
        attempt = Attempt(len(self._attempts) + 1, self._target, self._since(), prepared.model)
        self._attempts.append(attempt)
        return attempt

    async def _open(self, attempt: Attempt, body: bytes) -> Head:
        asked, target = self._asked, self._target
        headers = [
            *asked.forward,
            _IDENTITY,
            *credential_headers(asked, target.upstream.provider, target.passthrough, target.secret or b""),
        ]
        path = target.prefix + asked.path + ("?" + asked.query if asked.query else "")
        seconds = target.upstream.timeout_seconds
        try:
            head = await self._stack.client.open(
                target.origin, asked.method, path.encode("latin-1"), headers, body, seconds
            )
        except Broken as problem:
            raise self._refusal(attempt, problem) from problem
        self._head, attempt.status = head, head.status
        return head

    def _refusal(self, attempt: Attempt, problem: Broken) -> Refusal:
        status, reason, attempt.error = _BROKEN[problem.kind]
        attempt.ended, attempt.state = self._since(), "upstream-error"
        name = self._target.upstream.name
        log.warning("upstream %s: %s: %s", name, problem.kind, problem)
        said = f"The upstream {name} did not answer: {problem.kind.replace('-', ' ')}."
        return Refusal(status, reason, said, retry_after=1 if status == 503 else None)

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

    async def _pass(self, attempt: Attempt, head: Head, spent: bytes, injected: bool, answer: Answer) -> None:
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
        answer.start(head.status, headers)
        client, ended, read = self._stack.client, False, spent
        try:
            while not ended:
                if not read:
                    if client.waits(head):
                        answer.flush()
                    read = await client.read(head)
                ended = not read or client.ended(head)
                if attempt.first_byte is None:
                    attempt.first_byte = self._since()
                out = withhold.feed(read) if withhold else read
                if ended:
                    answer.end(out + withhold.finish() if withhold else out)
                else:
                    answer.write(out)
                meter.feed(read)
                read = b""
                await answer.drain()
        except Broken as problem:
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
            metrics.tokens(route, arm, last.tokens.input or 0, last.tokens.output or 0)
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
