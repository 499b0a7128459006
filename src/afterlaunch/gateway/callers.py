"""The callers' side: one object for each of their HTTP/1.1 connections.

1. llhttp reads strictly: both lengths, two lengths, folded lines and bare line feeds are errors. What it lets pass and
a proxy must not is refused by `framing_of`. 2. At the end of its head a request is admitted or refused, before its body
has cost memory. 3. Requests on one connection are answered in order; while one waits behind another, nothing more is
read. 4. After an error of framing nothing that follows on the connection is believed: it is answered and closed.
5. A connection that ends while its call runs ends the call. The end of the sending side alone counts too, as with
nginx: TCP does not tell a caller who has left from one who only has nothing more to say.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Protocol, cast

import httptools

from afterlaunch.gateway.answer import Answer, Reply
from afterlaunch.gateway.flushing import Flusher, Writer
from afterlaunch.gateway.known_heads import Known, body_of, known_of
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.request import LARGEST_HEAD, RequestHead, framing_of

log = logging.getLogger(__name__)
LARGEST_BODY = 64 << 20
UNSENT = 256 << 10  # bytes that may wait for a slow caller before its upstream is slowed down
HEAD_SECONDS = 20.0  # for a whole head, so that a drip of bytes holds no connection
BODY_SECONDS = 30.0  # between two reads of a body
IDLE_SECONDS = 75.0  # between two requests
STALLED_SECONDS = 120.0  # a caller that takes nothing of its answer
MISSES = 8  # heads in a row that are not the one before, until a connection's heads are not remembered any more
LINGER_SECONDS = 2.0  # for a caller that is still sending to read why it is refused


class Visit(Protocol):
    """An admitted call. Either `run` or `left` is called, once."""

    @property
    def admission(self) -> object:
        """What its head decided; the door knows it again."""

    @property
    def largest_request(self) -> int:
        """Bytes of its body."""

    async def run(self, body: bytes, answer: Answer) -> None:
        """Raises Refusal while nothing has been sent. Returning before the answer has ended cuts it visibly."""

    def left(self) -> None:
        """The request never came whole."""

    def caller_gone(self) -> None:
        """The connection was lost while it runs; its task is cancelled right after."""


class Door(Protocol):
    """What a connection asks of the gateway."""

    def admit(self, head: RequestHead) -> Visit | Reply:
        """At the end of a head."""

    def again(self, admission: object, head: RequestHead) -> Visit | Reply:
        """At the end of a head that is byte for byte the one of a call that was admitted, its length aside."""

    def refused(self, refusal: Refusal, head: RequestHead | None) -> Reply:
        """The answer to what is no request of the gateway's, counted."""


class Incoming:
    """A request on its way in."""

    __slots__ = ("body", "head", "keep_alive", "most", "size", "upgrade", "visit")

    def __init__(self) -> None:
        self.head = RequestHead()
        self.visit: Visit | Reply | None = None  # None until the head is whole
        self.body: list[bytes] = []
        self.size, self.most = 0, LARGEST_BODY
        self.upgrade = False
        self.keep_alive = False


class Caller(asyncio.Protocol):
    def __init__(self, door: Door, connections: set[Caller], flusher: Flusher) -> None:
        self._door, self._connections, self._flusher = door, connections, flusher
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._incoming: Incoming | None = None
        self._waiting: deque[Incoming] = deque()
        self._task: asyncio.Task[None] | None = None
        self._visit: Visit | None = None
        self._writable: asyncio.Future[None] | None = None
        self.full = False
        self._deaf = False  # nothing that still comes is read
        self._paused = False  # reading is
        self._closing = False
        self._known: Known | None = None
        self._misses = 0
        self._head_bytes = self._unsent = 0
        self._heard = self._began = self._loop.time()
        self._stalled = self._lingers = 0.0  # since when

    # ---- the transport's events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=UNSENT)
        self._writer = Writer(self._transport, self._flusher)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._deaf:
            return
        between = self._incoming is None and self._task is None and not self._waiting
        if between and (known := self._known) is not None and (body := body_of(data, known)) is not None:
            self._misses = 0
            self._begin(self._door.again(known.admission, known.head), known.head, body, keep_alive=True)
            return
        self._head_bytes += len(data)
        self._feed(data)
        incoming = self._incoming
        if between and incoming is None and self._misses < MISSES and len(self._waiting) == 1:
            self._learn(data, self._waiting[0])
        if incoming is not None:
            if incoming.visit is None and self._head_bytes > LARGEST_HEAD:
                self._refuse(_too_long())
            elif isinstance(incoming.visit, Reply):
                self._end_with(incoming.visit)  # refused: what is left of it is not waited for
        self._advance()

    def connection_lost(self, problem: Exception | None) -> None:
        self._connections.discard(self)
        self._deaf = True
        self._abandon()
        for waiting in self._waiting:
            _leave(waiting)
        self._waiting.clear()
        self.resume_writing()
        if self._task is not None and self._visit is not None:
            self._visit.caller_gone()
            self._task.cancel()

    def pause_writing(self) -> None:
        self._stalled = self._loop.time()
        self._writable = self._loop.create_future()
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if self._writable is not None:
            if not self._writable.done():
                self._writable.set_result(None)
            self._writable = None

    async def drain(self) -> None:
        """Waits for a slow caller."""
        if self._writable is not None:
            await self._writable

    # ---- the parser's events

    def on_message_begin(self) -> None:
        if not self._deaf:
            self._incoming = Incoming()
            self._began, self._head_bytes = self._heard, 0

    def on_url(self, part: bytes) -> None:
        if self._incoming is not None:
            self._incoming.head.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        incoming = self._incoming
        if incoming is not None and incoming.visit is None:  # later ones are trailers: not forwarded, not believed
            incoming.head.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        incoming = self._incoming
        if incoming is None:
            return
        head = incoming.head
        head.method = self._parser.get_method().decode("ascii")
        head.version = self._parser.get_http_version()
        incoming.upgrade = self._parser.should_upgrade() and head.method != "CONNECT"
        if incoming.upgrade:
            return
        try:
            framing = framing_of(head)
            if framing.length > LARGEST_BODY:
                raise _too_large(LARGEST_BODY)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        incoming.visit = visit = self._door.admit(head)
        if not isinstance(visit, Reply):
            incoming.most = min(LARGEST_BODY, visit.largest_request)
            if framing.length > incoming.most:
                self._refuse(_too_large(incoming.most))
                return
        if framing.expects and not isinstance(incoming.visit, Reply) and self._task is None and not self._waiting:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        incoming = self._incoming
        if incoming is None or isinstance(incoming.visit, Reply):
            return
        incoming.size += len(part)
        if incoming.size > incoming.most:
            self._refuse(_too_large(incoming.most))
        else:
            incoming.body.append(part)

    def on_message_complete(self) -> None:
        incoming = self._incoming
        if incoming is not None and not incoming.upgrade:
            incoming.keep_alive = self._parser.should_keep_alive()
            self._incoming = None
            self._waiting.append(incoming)

    # ---- heads that repeat

    def _learn(self, data: bytes, incoming: Incoming) -> None:
        """Of a read that was one whole request. A connection whose heads never repeat is given up."""
        self._known, self._misses = None, self._misses + 1
        visit = incoming.visit
        if visit is not None and not isinstance(visit, Reply) and incoming.keep_alive:
            self._known = known_of(data, incoming.head, incoming.size, visit.admission, incoming.most)

    # ---- requests

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as reached:
            self._without_upgrade(data[reached.args[0] :])
        except httptools.HttpParserError as problem:
            self._refuse(Refusal(400, "malformed-request", f"This is no valid HTTP/1.1 request: {problem}."))

    def _without_upgrade(self, rest: bytes) -> None:
        """An offer of another protocol is passed over (RFC 9110 §7.8). llhttp stops at the head then and would take a
        body for the next request, so the head is read once more without the offer."""
        incoming, self._incoming = self._incoming, None
        if incoming is None:
            return
        head = incoming.head
        kept = [pair for pair in head.headers if pair[0] not in (b"upgrade", b"connection", b"http2-settings")]
        lines = b"".join(b"%b: %b\r\n" % pair for pair in kept)
        self._parser = httptools.HttpRequestParser(self)
        self._feed(b"%b %b HTTP/%b\r\n" % (head.method.encode(), head.target, head.version.encode()) + lines + b"\r\n")
        if rest and not self._deaf:
            self._feed(rest)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in order, then believe nothing more of this connection."""
        if self._deaf:
            return
        head = self._incoming.head if self._incoming else None
        self._abandon()
        self._end_with(self._door.refused(refusal, head))

    def _end_with(self, reply: Reply) -> None:
        last = Incoming()
        last.visit = reply
        if self._incoming is not None:
            last.head = self._incoming.head
        self._incoming, self._deaf = None, True
        self._waiting.append(last)

    def _abandon(self) -> None:
        if self._incoming is not None:
            _leave(self._incoming)
            self._incoming = None

    def _advance(self) -> None:
        """Answer what is complete, one after the other."""
        while self._waiting and self._task is None and not self._transport.is_closing():
            incoming = self._waiting.popleft()
            if incoming.visit is not None:
                body = incoming.body[0] if len(incoming.body) == 1 else b"".join(incoming.body)
                self._begin(incoming.visit, incoming.head, body, incoming.keep_alive)
        behind = self._task is not None and (bool(self._waiting) or self._incoming is not None)
        if behind != self._paused and not self._transport.is_closing():
            self._paused = behind
            (self._transport.pause_reading if behind else self._transport.resume_reading)()

    def _begin(self, visit: Visit | Reply, head: RequestHead, body: bytes, keep_alive: bool) -> None:
        answer = Answer(self._writer, self, head, keep_alive and not self._closing)
        if isinstance(visit, Reply):
            answer.whole(visit)
            self._finished(answer)
        else:
            self._visit = visit
            self._task = self._loop.create_task(self._serve(visit, head, body, answer))

    async def _serve(self, visit: Visit, head: RequestHead, body: bytes, answer: Answer) -> None:
        self._flusher.calls += 1
        try:
            await visit.run(body, answer)
        except Refusal as refusal:
            answer.whole(self._door.refused(refusal, head))
        except Exception:
            log.exception("a call failed in the gateway")
            if not answer.started:
                said = "The gateway failed on this call; its log says why."
                answer.whole(self._door.refused(Refusal(500, "gateway-error", said), head))
        finally:
            self._flusher.calls -= 1
            self._task = self._visit = None
            self._heard = self._loop.time()
            self._finished(answer)
            if self._waiting or self._paused:
                self._advance()

    def _finished(self, answer: Answer) -> None:
        if not answer.ended:
            answer.cut()
        elif self._deaf and not self._waiting and not self._transport.is_closing():
            self._lingers = self._loop.time()
            self._writer.write_eof()
        elif not answer.keep_alive or self._closing:
            self._writer.close()

    # ---- time and the end

    def check(self, now: float) -> None:
        """Called about once a second: what takes too long ends here."""
        if self._lingers:
            if now - self._lingers > LINGER_SECONDS:
                self._writer.abort()
        elif self._writable is not None:
            unsent = self._writer.unsent
            if unsent < self._unsent:
                self._stalled = now
            elif now - self._stalled > STALLED_SECONDS:
                self._writer.abort()
            self._unsent = unsent
        elif self._task is None:
            self._check_request(now)

    def _check_request(self, now: float) -> None:
        incoming = self._incoming
        if incoming is None:
            if now - self._heard > IDLE_SECONDS:
                self._writer.close()
        elif now - (self._began if incoming.visit is None else self._heard) > (
            HEAD_SECONDS if incoming.visit is None else BODY_SECONDS
        ):
            self._refuse(Refusal(408, "request-timeout", "The request did not come whole in time."))
            self._advance()

    def stop(self) -> None:
        """No further request: what runs may end, an idle connection ends now."""
        self._closing = True
        if self._task is None and not self._waiting and not self._lingers:
            self._writer.close()

    @property
    def busy(self) -> bool:
        return self._task is not None

    def cut(self) -> asyncio.Task[None] | None:
        """End what runs; its task, to be waited for."""
        task = self._task
        if task is not None:
            task.cancel()
        else:
            self._writer.abort()
        return task


def _leave(incoming: Incoming) -> None:
    if incoming.visit is not None and not isinstance(incoming.visit, Reply):
        incoming.visit.left()


def _too_large(most: int) -> Refusal:
    return Refusal(413, "request-too-large", f"The request is longer than {most} bytes.")


def _too_long() -> Refusal:
    return Refusal(431, "headers-too-large", f"The head of the request is longer than {LARGEST_HEAD >> 10} KiB.")
