"""One answer on its way to a caller: its head, the framing of its body, its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

from afterlaunch.gateway.flushing import Writer
from afterlaunch.gateway.request import RequestHead

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Reply:
    """A whole answer of the gateway's own; `headers` without a length."""

    status: int
    headers: Headers
    body: bytes


class Drain(Protocol):
    """`full`: whether more waits for the caller than should."""

    full: bool

    async def drain(self) -> None: ...


_LINE = b": ".join
_SIZES = [b"%x\r\n" % size for size in range(2048)]  # of chunks: most events of a stream are shorter


@lru_cache(maxsize=256)
def _first_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode()


class Answer:
    """`start`, `write` any number of times, `end`. With a length of the provider's the body passes as it is; without
    one it goes in chunks, to HTTP/1.0 until the connection closes. The head waits for the first part of the body, since
    each write is a call of the system and the dearest thing that a call does; `flush` sends it alone."""

    __slots__ = ("_bodiless", "_chunked", "_drain", "_held", "_old", "_writer", "ended", "keep_alive", "started")

    def __init__(self, writer: Writer, drain: Drain, head: RequestHead, keep_alive: bool) -> None:
        self._writer, self._drain = writer, drain
        self._bodiless = head.method == "HEAD"
        self._old = head.version == "1.0"
        self._chunked = False
        self._held = b""
        self.keep_alive = keep_alive
        self.started = self.ended = False

    def start(self, status: int, headers: Headers) -> None:
        self.started = True
        lines = [_first_line(status), *map(_LINE, headers)]
        self._bodiless = self._bodiless or status in (204, 304)
        if not self._bodiless and b"content-length" not in dict(headers):
            if self._old:
                self.keep_alive = False
            else:
                self._chunked = True
                lines.append(b"transfer-encoding: chunked")
        if not self.keep_alive:
            lines.append(b"connection: close")
        elif self._old:
            lines.append(b"connection: keep-alive")
        lines.append(b"\r\n")
        self._held = b"\r\n".join(lines)

    def flush(self) -> None:
        if self._held:
            self._writer.write(self._held)
            self._held = b""

    def write(self, part: bytes) -> None:
        """An empty part says nothing."""
        if part and not self._bodiless:
            self._writer.write(self._framed(part) if self._chunked else self._held + part)
            self._held = b""

    def pipe(self, feed: Callable[[bytes], None]) -> Callable[[bytes], bool]:
        """Sends a part, then has it read. It says False when the caller is slow."""
        self.flush()
        send, drain, whole = self._writer.write, self._drain, self.write
        chunked = self._chunked and not self._bodiless

        def forward(part: bytes) -> bool:
            if chunked:
                send(b"%x\r\n%b\r\n" % (len(part), part))
            else:
                whole(part)
            feed(part)
            return not drain.full

        return forward

    def _framed(self, part: bytes, after: bytes = b"") -> bytes:
        """A chunk, after what is held."""
        size = len(part)
        return b"".join((self._held, _SIZES[size] if size < 2048 else b"%x\r\n" % size, part, b"\r\n", after))

    @property
    def full(self) -> bool:
        """Whether the caller is slow: then `drain` before more is written."""
        return self._drain.full

    async def drain(self) -> None:
        await self._drain.drain()

    def end(self, part: bytes = b"") -> None:
        """With the last part, if there is one."""
        self.ended = True
        if self._chunked:
            last = b"0\r\n\r\n"
            self._writer.write(self._framed(part, last) if part else self._held + last)
            self._held = b""
        elif out := self._held if self._bodiless else self._held + part:
            self._writer.write(out)
            self._held = b""

    def whole(self, reply: Reply) -> None:
        self.start(reply.status, [*reply.headers, (b"content-length", b"%d" % len(reply.body))])
        self.end(reply.body)

    def cut(self) -> None:
        """End the connection so that nobody takes the part for the whole: no last chunk; where only the end of the
        connection would tell, a reset."""
        self.flush()
        if self.started and self._old:
            self._writer.abort()
        else:
            self._writer.close()
