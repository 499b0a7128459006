"""One connection to a provider: an HTTP/1.1 request out, its answer in. llhttp reads it strictly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from afterlaunch.gateway.flushing import Flusher, Writer

HELD = 256 << 10  # bytes of an answer that wait for a slow caller before the provider is slowed down
LONGEST_HEAD = 256 << 10
INTERIM = 16  # 1xx answers before the real one


class Broken(Exception):
    """`kind`: unreachable, address-refused, busy (nothing was sent), timeout, cut (the connection was lost), garbled
    (no valid HTTP/1.1). `unanswered`: it was lost before a byte of the answer came."""

    def __init__(self, kind: str, said: str, unanswered: bool = False) -> None:
        super().__init__(said)
        self.kind = kind
        self.unanswered = unanswered


class Head:
    """Status and headers (names in lower case) of an answer, and what has come of its body."""

    __slots__ = ("_forward", "_problem", "_waiter", "connection", "ended", "headers", "parts", "size", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], connection: Connection) -> None:
        self.status, self.headers = status, headers
        self.connection: Connection | None = connection  # None once the answer is whole or lost
        self.ended = False
        self.parts: list[bytes] = []  # that wait
        self.size = 0  # of them together, bytes
        self._problem: Broken | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._forward: Callable[[bytes], bool] | None = None

    def unread(self, read: bytes) -> None:
        """The next read begins with it again."""
        self.parts.insert(0, read)
        self.size += len(read)

    def wake(self) -> None:
        """What has come goes on at once where somebody pumps; else, and with its end, it waits for who reads."""
        parts = self.parts
        if self._forward is not None and parts and self.connection is not None:
            self.parts, self.size = [], 0
            try:
                if self._forward(parts[0] if len(parts) == 1 else b"".join(parts)):
                    return
            except Exception as problem:  # noqa: BLE001 - whoever waits raises it
                self._forward = None
                if self._waiter is not None and not self._waiter.done():
                    self._waiter.set_exception(problem)
                return
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def finish(self, problem: Broken | None) -> None:
        self.connection, self._problem, self.ended = None, problem, problem is None
        self.wake()

    async def read(self) -> bytes:
        """What has come, at least one byte; b"" at the end. Raises Broken after the last byte that came."""
        while not self.parts and self.connection is not None:
            self._waiter = self.connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.take()

    async def pump(self, forward: Callable[[bytes], bool]) -> None:
        """Where a read would wait: each one that comes goes to `forward` in the same turn of the loop, until that says
        that it has enough, or the end has come: then what is left can be taken."""
        if self.parts or self.connection is None:
            return
        self._forward, self._waiter = forward, self.connection.loop.create_future()
        try:
            await self._waiter
        finally:
            self._forward = self._waiter = None

    def take(self) -> bytes:
        """Like `read`, where something has come or nothing will. Raises Broken."""
        parts = self.parts
        if not parts:
            if self._problem is not None:
                raise self._problem
            return b""
        self.parts, self.size = [], 0
        if self.connection is not None:
            self.connection.resume()
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Connection(asyncio.Protocol):
    """`freed` is called when an answer is whole and the connection may serve again, `lost` when it has ended."""

    def __init__(
        self, freed: Callable[[Connection], None], lost: Callable[[Connection], None], flusher: Flusher
    ) -> None:
        self._freed, self._lost, self._flusher = freed, lost, flusher
        self.loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._feed, self._time = self._parser.feed_data, self.loop.time
        self._head: Head | None = None
        self._waiter: asyncio.Future[Head] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._method, self._seconds = "", 0.0
        self._interim = self._head_bytes = 0
        self._paused = self._whole = self._spoiled = False
        self._answered = self._measured = self._chunked = False
        self.ended = False
        self.heard = 0.0  # loop time of the last byte, or of the last request

    # ---- the client's side

    def send(self, request: bytes, body: bytes, method: str, seconds: float) -> asyncio.Future[Head]:
        """`seconds` bound the time to the head, and each silence after it. The future fails with Broken."""
        self._method, self._seconds = method, seconds
        self._answered = self._measured = self._chunked = False
        self._interim = self._head_bytes = 0
        self._whole = False
        self.heard = self.loop.time()
        self._waiter = waiter = self.loop.create_future()
        self._look_at(self.heard + seconds)
        if len(body) <= HELD:
            self._writer.write(request + body)
        else:
            self._writer.writelines((request, body))
        return waiter

    @property
    def usable(self) -> bool:
        return not self._transport.is_closing() and not self._spoiled

    def patience(self, seconds: float) -> None:
        """From now on a silence may last so long."""
        self._seconds = seconds
        self._look_at(self.loop.time() + seconds)

    def expire(self) -> None:
        """Its time is over, silent or not."""
        self._fail(Broken("timeout", "the call's time is over"))

    def resume(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self.heard = self.loop.time()  # the silence was ours
            self._transport.resume_reading()

    def abort(self) -> None:
        """At once: the provider stops working for nobody."""
        self._spoiled = True
        self._writer.abort()

    def close(self) -> None:
        self._spoiled = True
        self._writer.close()

    # ---- the transport's events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._writer = Writer(self._transport, self._flusher)

    def data_received(self, data: bytes) -> None:
        self.heard = self._time()
        if self._waiter is None and self._head is None:
            self.abort()  # nobody asked
            return
        self._answered = True
        try:
            self._feed(data)
        except httptools.HttpParserError as problem:
            self._spoiled = True
            if not self._whole:
                self._fail(Broken("garbled", f"no valid HTTP/1.1 answer: {problem}"))
                return
        head = self._head
        if self._whole:
            self._end()
        elif head is not None:
            head.wake()
            if head.size > HELD and not self._paused and not self._transport.is_closing():
                self._paused = True
                self._transport.pause_reading()
        else:
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_HEAD or self._interim > INTERIM:
                self._fail(Broken("garbled", "the head of the answer does not end"))

    def connection_lost(self, problem: Exception | None) -> None:
        self._spoiled = self.ended = True
        self._stop_timer()
        if self._head is not None and problem is None and not self._measured and not self._chunked:
            self._end()  # RFC 9112 §6.3: without a length the body ends with the connection
        else:
            why = type(problem).__name__ if problem else "closed"
            self._fail(Broken("cut", why, unanswered=not self._answered))
        self._lost(self)

    # ---- the parser's events

    def on_message_begin(self) -> None:
        self._headers = []
        if self._whole:
            self._spoiled = True  # more than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:  # later ones are trailers
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._whole or self._waiter is None or (status < 200 and status != 101):
            self._interim += 1
            return
        told = dict(self._headers)
        self._measured = b"content-length" in told
        if b"transfer-encoding" in told:
            self._chunked = True
            codings = [value.strip().lower() for name, value in self._headers if name == b"transfer-encoding"]
            if status == 101 or any(coding != b"chunked" for coding in codings):
                self._fail(Broken("garbled", "a transfer coding that nobody asked for"))
                return
        if status == 101:
            self._fail(Broken("garbled", "a change of protocol that nobody asked for"))
            return
        self._head = Head(status, self._headers, self)
        waiter, self._waiter = self._waiter, None
        if not waiter.done():
            waiter.set_result(self._head)
        if self._method == "HEAD":
            self._whole = self._spoiled = True  # the parser would wait for a body

    def on_body(self, part: bytes) -> None:
        head = self._head
        if head is not None and not self._whole:
            head.parts.append(part)
            head.size += len(part)

    def on_message_complete(self) -> None:
        if self._head is not None and not self._whole:
            self._whole = True
            if not self._parser.should_keep_alive():
                self._spoiled = True

    # ---- the end of an answer

    def _look_at(self, when: float) -> None:
        """Look at the clock at this time or before. A timer costs more than most of a call, so one that runs already
        serves the next request too: it looks, and goes on waiting."""
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(when, self._check)

    def _check(self) -> None:
        """Time may have passed since the last byte, while we held the provider back, or while nobody asked."""
        self._timer = None
        if self._head is None and self._waiter is None:
            return
        now = self.loop.time()
        until = (now if self._paused else self.heard) + self._seconds
        if now < until:
            self._look_at(until)
        else:
            self._fail(Broken("timeout", f"silent for {self._seconds:g} s"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        head, self._head = self._head, None
        if self._paused:
            self.resume()
        if self._writer.unsent:
            self._spoiled = True  # it answered before it had read all
        if self._spoiled:
            self._writer.close()
        else:
            self._freed(self)
        if head is not None:
            head.finish(None)

    def _fail(self, problem: Broken) -> None:
        head, waiter = self._head, self._waiter
        self._head = self._waiter = None
        if not self._transport.is_closing():
            self.abort()
        if head is not None:
            head.finish(problem)
        if waiter is not None and not waiter.done():
            waiter.set_exception(problem)
