"""OTLP/HTTP: a raw ASGI application for each signal. 200 only after the commit."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from asgiref.sync import sync_to_async
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from afterlaunch.accounts.actions import actor_of_token
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import (
    AfterlaunchError,
    Invalid,
    NotAllowed,
    NotSignedIn,
    Overloaded,
    TooLarge,
    Unsupported,
)
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.conventions import HOUSE, normalise

log = logging.getLogger(__name__)
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 12, 503: 14, 500: 13}
READ_SECONDS = 30.0
TOKEN_SECONDS = 5.0
LOOPBACK = ("127.0.0.1", "::1")
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class Made(Protocol):
    """What a body became: rows to commit, and what can never be stored."""

    @property
    def table(self) -> Any: ...
    @property
    def rejected(self) -> int: ...
    @property
    def messages(self) -> list[str]: ...


@dataclass(frozen=True)
class Signal:
    """One kind of telemetry. `decode(body, content type, client, received_ns)` raises Invalid or Unsupported;
    `rejected` is the field of the response's partial success."""

    name: str
    decode: Callable[[bytes, str, str | None, int], Made]
    response: Any
    rejected: str


@dataclass(frozen=True)
class Door:
    """`open`: the server listens on loopback only, so a loopback sender needs no token. Without one it writes for the
    house, whatever client its resource names, unless `trust_names`."""

    open: bool
    trust_names: bool = False


TRACES = Signal("spans", normalise, ExportTraceServiceResponse, "rejected_spans")


class Ingest:
    """One signal's receiver."""

    def __init__(self, buffer: Buffer, max_body: int, door: Door, signal: Signal = TRACES) -> None:
        self._buffer, self._max, self._signal = buffer, max_body, signal
        self._open, self._trust = door.open, door.trust_names
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="otlp-decode")
        self._known: dict[str, tuple[float, str | None]] = {}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        json = headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
        try:
            if scope["method"] != "POST":
                await _status(send, json, 405, "Only POST is taken here.", [(b"allow", b"POST")])
                return
            said = await self._take(scope, headers, receive)
        except AfterlaunchError as problem:
            retry = getattr(problem, "retry_after", None)
            extra = [(b"retry-after", str(retry).encode())] if retry else []
            await _status(send, json, problem.status, " ".join((problem.message, problem.hint)).strip(), extra)
        except Exception:
            # By the protocol a 500 is not sent again: what may pass by itself must be a 503.
            log.exception("telemetry could not be stored")
            said_so = f"The {self._signal.name} could not be stored; send them again."
            await _status(send, json, 503, said_so, [(b"retry-after", b"2")])
        else:
            await _success(send, json, said, self._signal)

    async def _take(self, scope: MutableMapping[str, Any], headers: dict[str, str], receive: Receive) -> Made:
        client = await self._sender(scope, headers)
        body = await asyncio.wait_for(self._read(headers, receive), READ_SECONDS)
        size = max(len(body), 1)
        self._buffer.reserve(size)
        try:
            loop = asyncio.get_running_loop()
            kind, now = headers.get("content-type", ""), clock.now_ns()
            try:
                made = await loop.run_in_executor(self._pool, self._signal.decode, body, kind, client, now)
            finally:
                self._buffer.decoded()
            self._buffer.counts.add(requests=1, received=made.table.num_rows + made.rejected, rejected=made.rejected)
            if made.table.num_rows:
                await asyncio.wrap_future(self._buffer.put(made.table, size))
        finally:
            self._buffer.release(size)
        return made

    async def _sender(self, scope: MutableMapping[str, Any], headers: dict[str, str]) -> str | None:
        """Slug of the client that the sender may write for; None: any, the resource names it."""
        header = headers.get("authorization", "")
        if not header:
            peer = (scope.get("client") or ("", 0))[0]
            # A proxy on this machine also comes from loopback: whom it forwards is a stranger.
            if self._open and peer in LOOPBACK and not any(name in headers for name in FORWARDED):
                return None if self._trust else HOUSE
            raise NotSignedIn("Send a token with the role ingest.", "Authorization: Bearer TOKEN")
        kept = self._known.get(header)
        if kept and kept[0] > time.monotonic():
            return kept[1]
        client = await sync_to_async(_client_of, thread_sensitive=False)(header)
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[header] = (time.monotonic() + TOKEN_SECONDS, client)
        return client

    async def _read(self, headers: dict[str, str], receive: Receive) -> bytes:
        """The body, inflated while it is counted: a small one can't grow past the limit."""
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip"):
            raise Unsupported(f"Content-Encoding {encoding} is not taken.", "gzip or none")
        if headers.get("content-length", "0").isdigit() and int(headers.get("content-length", "0")) > self._max:
            raise TooLarge(f"The body is over {self._max // 2**20} MiB.", "Send smaller batches.")
        inflate = zlib.decompressobj(31) if encoding == "gzip" else None
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Invalid("The sender left before the body was complete.")
            part, more = message.get("body", b""), message.get("more_body", False)
            if inflate:
                part = self._inflate(inflate, part, self._max - size + 1)
            size += len(part)
            if size > self._max:
                raise TooLarge(f"The body is over {self._max // 2**20} MiB.", "Send smaller batches.")
            parts.append(part)
        if inflate and not inflate.eof:
            raise Invalid("The gzip body is cut short.")
        return b"".join(parts)

    @staticmethod
    def _inflate(inflate: Any, part: bytes, room: int) -> bytes:
        try:
            return bytes(inflate.decompress(part, room))
        except zlib.error as problem:
            raise Invalid(f"The body is no gzip: {problem}") from None


def _client_of(header: str) -> str | None:
    from django.db import OperationalError

    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer":
        raise NotSignedIn("The Authorization header is not a bearer token.")
    try:
        actor = actor_of_token(secret.strip())
    except OperationalError:
        raise Overloaded("The token cannot be checked now.") from None
    held = [one for one in actor.roles if one.role in (Role.INGEST, Role.ADMIN)]
    if not held:
        raise NotAllowed("This token may not send telemetry.", "It needs the role ingest.")
    return None if any(one.client is None for one in held) else held[0].client


async def _answer(send: Send, status: int, json: bool, body: bytes, extra: list[tuple[bytes, bytes]]) -> None:
    kind = b"application/json" if json else b"application/x-protobuf"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _status(send: Send, json: bool, status: int, message: str, extra: list[tuple[bytes, bytes]]) -> None:
    """A google.rpc.Status in the request's encoding."""
    code = CODES.get(status, 2)
    body = (
        orjson.dumps({"code": code, "message": message})
        if json
        else Status(code=code, message=message).SerializeToString()
    )
    await _answer(send, status, json, body, extra)


async def _success(send: Send, json: bool, made: Made, signal: Signal) -> None:
    message = "; ".join(made.messages)
    if json:
        first, *rest = signal.rejected.split("_")
        name = first + "".join(word.capitalize() for word in rest)
        partial = {name: str(made.rejected), "errorMessage": message}
        body = orjson.dumps({"partialSuccess": partial} if made.rejected else {})
    else:
        response = signal.response()
        if made.rejected:
            setattr(response.partial_success, signal.rejected, made.rejected)
            response.partial_success.error_message = message
        body = response.SerializeToString()
    await _answer(send, 200, json, body, [])
