"""The client towards providers, behind four operations: open, read, abort, close."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from afterlaunch.gateway.addresses import AddressRefused, Resolver
from afterlaunch.gateway.flushing import Flusher
from afterlaunch.gateway.upstream_connection import Broken, Connection, Head

__all__ = ["Broken", "Client", "Head", "Origin"]
CONNECT_SECONDS = 10.0
CONNECTIONS = 8_000  # per origin
IDLE_SECONDS = 30.0
REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS"))
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))


class Origin(NamedTuple):
    """Where connections go; those of one origin serve each other's requests."""

    secure: bool
    host: str
    port: int


@lru_cache(maxsize=1024)
def host_header(origin: Origin) -> bytes:
    """The port only where it is not the scheme's own."""
    name = f"[{origin.host}]".encode() if ":" in origin.host else origin.host.encode("idna")
    usual = origin.port == (443 if origin.secure else 80)
    return name if usual else b"%b:%d" % (name, origin.port)


def request_head(origin: Origin, method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Of a request, up to where its length is told."""
    first = b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (method.encode(), target, host_header(origin))
    return first + b"".join([b"%b: %b\r\n" % pair for pair in headers])


class Client:
    """One per worker. No cookies, no redirects, no decompression, no proxy of the environment. `now`: loop time."""

    def __init__(self, flusher: Flusher) -> None:
        self._flusher = flusher
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._resolver = Resolver()
        self._secure: ssl.SSLContext | None = None
        self._idle: dict[Origin, list[Connection]] = {}
        self._all: dict[Connection, Origin] = {}
        self._open: Counter[Origin] = Counter()

    async def open(
        self,
        origin: Origin,
        method: str,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        seconds: float,
    ) -> Head:
        """Send the request and wait for the head. Raises Broken.

        A kept connection may end just as it is used again. Whether the provider has begun to work on the request then
        nobody knows, so only methods that change nothing are sent once more; a call that costs money is not.
        """
        return await self.ask(origin, method, request_head(origin, method, target, headers), body, seconds)

    async def ask(self, origin: Origin, method: str, head: bytes, body: bytes, seconds: float) -> Head:
        """Like `open`, with what `request_head` made."""
        request = head + (b"content-length: %d\r\n\r\n" % len(body) if body or method in _WITH_BODY else b"\r\n")
        connection = self._kept(origin)
        if connection is not None:
            try:
                return await connection.send(request, body, method, seconds)
            except asyncio.CancelledError:
                connection.abort()
                raise
            except Broken as problem:
                if not problem.unanswered or method not in REPEATABLE:
                    raise
        connection = await self._connect(origin, min(CONNECT_SECONDS, seconds))
        return await self._ask(connection, request, body, method, seconds)

    read = staticmethod(Head.read)
    pump = staticmethod(Head.pump)
    take = staticmethod(Head.take)
    unread = staticmethod(Head.unread)

    @staticmethod
    def waits(head: Head) -> bool:
        """Whether a read would wait."""
        return head.connection is not None and not head.size

    @staticmethod
    def ended(head: Head) -> bool:
        """Whether everything has been read, so that the last read can be sent as the last one."""
        return head.ended and not head.size

    @staticmethod
    def patience(head: Head, seconds: float) -> None:
        """How long a silence may last from now on."""
        if head.connection is not None:
            head.connection.patience(seconds)

    @staticmethod
    def expire(head: Head) -> None:
        """Its time is over: reading it fails with a time-out."""
        if head.connection is not None:
            head.connection.expire()

    @staticmethod
    def abort(head: Head) -> None:
        """Close the connection at once."""
        if head.connection is not None:
            head.connection.abort()

    async def close(self) -> None:
        for connection in list(self._all):
            connection.abort()
        while self._all:
            await asyncio.sleep(0.01)

    def sweep(self, now: float) -> None:
        """Called about once a second: connections that nobody has used for a while end."""
        for connections in self._idle.values():
            for connection in [one for one in connections if now - one.heard > IDLE_SECONDS]:
                connection.close()
                connections.remove(connection)

    @property
    def connections(self) -> int:
        return len(self._all)

    def _kept(self, origin: Origin) -> Connection | None:
        """The one used last, so that the others can go."""
        connections = self._idle.get(origin)
        while connections:
            connection = connections.pop()
            if connection.usable:
                return connection
        return None

    @staticmethod
    async def _ask(connection: Connection, request: bytes, body: bytes, method: str, seconds: float) -> Head:
        try:
            return await connection.send(request, body, method, seconds)
        except asyncio.CancelledError:
            connection.abort()
            raise

    async def _connect(self, origin: Origin, seconds: float) -> Connection:
        if self._open[origin] >= CONNECTIONS:
            raise Broken("busy", f"{CONNECTIONS} connections are in use")
        self._open[origin] += 1
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connected(origin)
            if connection.ended:
                raise ConnectionResetError
        except BaseException as problem:
            self._open[origin] -= 1
            if isinstance(problem, AddressRefused):
                raise Broken("address-refused", str(problem)) from problem
            if isinstance(problem, OSError | TimeoutError | UnicodeError):
                raise Broken("unreachable", type(problem).__name__) from problem
            raise
        self._all[connection] = origin
        return connection

    async def _connected(self, origin: Origin) -> Connection:
        """TLS verifies the certificate for the name, whatever address it led to."""
        socket = await self._resolver.connect(origin.host, origin.port)
        secure = self._context() if origin.secure else None
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._freed, self._lost, self._flusher),
                sock=socket,
                ssl=secure,
                server_hostname=origin.host if secure else None,
            )
        except BaseException:
            socket.close()
            raise
        return connection

    def _context(self) -> ssl.SSLContext:
        """The trusted authorities are read when first needed: that takes milliseconds."""
        if self._secure is None:
            self._secure = ssl.create_default_context()
            self._secure.set_alpn_protocols(["http/1.1"])
        return self._secure

    def _freed(self, connection: Connection) -> None:
        self._idle.setdefault(self._all[connection], []).append(connection)

    def _lost(self, connection: Connection) -> None:
        origin = self._all.pop(connection, None)
        if origin is not None:
            self._open[origin] -= 1
            if connection in (kept := self._idle.get(origin, [])):
                kept.remove(connection)
