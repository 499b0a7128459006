"""One signal's way in, whatever carried it here: who sends, is there room, decode, commit. Then the sender is told."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, Protocol

import pyarrow as pa
from asgiref.sync import sync_to_async
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from afterlaunch.accounts.actions import actor_of_token
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import (
    AfterlaunchError,
    Invalid,
    NotAllowed,
    NotSignedIn,
    Overloaded,
    RateLimited,
    TimedOut,
    Unavailable,
)
from afterlaunch.telemetry.apart import FAULTS, apart, halves_of_message, why
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.conventions import HOUSE, normalise, normalise_all
from afterlaunch.telemetry.decoding import WORKERS, Body, Decoding
from afterlaunch.telemetry.encodings import request_of
from afterlaunch.telemetry.sent import as_sent

log = logging.getLogger(__name__)
COMMIT_SECONDS = 30.0
TOKEN_SECONDS = 5.0
AT_ONCE = 64
PROTOBUF = "application/x-protobuf"
UNREADABLE: tuple[type[Exception], ...] = (*FAULTS, RuntimeError)
BURIED = "cannot be stored; they are kept as a dead letter"
LOOPBACK = ("127.0.0.1", "::1")
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class Made(Protocol):
    """What a body became: rows to commit, and what can never be stored. Messages without a rejected item are
    warnings."""

    @property
    def table(self) -> Any: ...
    @property
    def rejected(self) -> int: ...
    @property
    def messages(self) -> list[str]: ...


@dataclass(frozen=True)
class Rows:
    """What several parts of a body became."""

    table: Any
    rejected: int
    messages: list[str]


@dataclass(frozen=True)
class Request:
    """The protocol's own reading of a body: `read(body, content type)` raises Invalid; `path` leads down repeated
    fields to its items, which `items` counts as the protocol does; `kept(message, client)` is what may be kept of one
    that cannot be mapped."""

    read: Callable[[bytes, str], Message]
    path: tuple[str, ...]
    items: Callable[[Any], int]
    kept: Callable[[Message, str | None], bytes] = lambda message, client: message.SerializeToString()


@dataclass(frozen=True)
class Signal:
    """One kind of telemetry. `decode(body, content type, client, received_ns)` raises Invalid or Unsupported;
    `rejected` is the field of the response's partial success. `together(protobuf bodies, client, received_ns)` gives
    what all become, and how many items each has; where it raises or rejects anything, they are decoded one by one."""

    name: str
    decode: Callable[[bytes, str, str | None, int], Made]
    response: Any
    rejected: str
    request: Request
    together: Callable[[Sequence[bytes], str | None, int], tuple[Made, list[int]]] | None = None

    def answer(self, made: Made) -> Any:
        """The Export…ServiceResponse; its partial success is set only where there is something to tell."""
        response = self.response()
        if made.rejected or made.messages:
            setattr(response.partial_success, self.rejected, made.rejected)
            response.partial_success.error_message = "; ".join(made.messages)
        return response


@dataclass(frozen=True)
class Door:
    """`open`: the server listens on loopback only, so a loopback sender needs no token. Without one it writes for the
    house, whatever client its resource names, unless `trust_names`. `at_once`: requests that one token may have under
    way."""

    open: bool
    trust_names: bool = False
    at_once: int = AT_ONCE


@dataclass(frozen=True)
class Sender:
    """`client`: slug of the client that it may write for; None: any, the resource names it. `credential`: what tells
    it from others; empty without one."""

    client: str | None
    credential: str = ""


def _spans(request: ExportTraceServiceRequest) -> int:
    return sum(len(scope.spans) for group in request.resource_spans for scope in group.scope_spans)


TRACES = Signal(
    "spans",
    normalise,
    ExportTraceServiceResponse,
    "rejected_spans",
    Request(partial(request_of, ExportTraceServiceRequest), ("resource_spans", "scope_spans", "spans"), _spans),
    normalise_all,
)


class Pace:
    """How fast bodies become durable, so that who is turned away comes back when there may be room, and not together
    with all the others."""

    LONGEST = 30

    def __init__(self) -> None:
        self._landed: deque[tuple[float, int]] = deque(maxlen=1_000)

    def landed(self, size: int) -> None:
        self._landed.append((time.monotonic(), size))

    def wait(self, held: int) -> int:
        """Whole seconds, 1 to 30."""
        now = time.monotonic()
        lately = [(at, size) for at, size in list(self._landed) if now - at <= 10]
        seconds = now - lately[0][0] if lately else 0.0
        needed = held * seconds / sum(size for _, size in lately) if seconds else 1.0
        spread = random.uniform(0.5, 1.5)  # noqa: S311 - no secret: only that they do not all come at once
        return max(1, min(self.LONGEST, round(1 + needed * spread)))


class Intake:
    """Safe to use from several event loops."""

    def __init__(self, buffer: Buffer, max_body: int, door: Door, signal: Signal = TRACES) -> None:
        self.buffer, self.max_body, self.signal, self._door = buffer, max_body, signal, door
        self.pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="otlp-decode")
        self.pace = Pace()
        self._decoding = Decoding(self.pool, self._made, self._made_together)
        self._known: dict[str, tuple[float, str | None]] = {}
        self._under_way: dict[str, int] = {}
        self._lock = threading.Lock()

    async def sender(self, headers: Mapping[str, str], peer: str) -> Sender:
        """`peer`: its address. Raises NotSignedIn, NotAllowed, Overloaded."""
        header = headers.get("authorization", "")
        if not header:
            # A proxy on this machine also comes from loopback: whom it forwards is a stranger.
            if self._door.open and peer in LOOPBACK and not any(name in headers for name in FORWARDED):
                return Sender(None if self._door.trust_names else HOUSE)
            raise NotSignedIn("Send a token with the role ingest.", "Authorization: Bearer TOKEN")
        kept = self._known.get(header)
        if kept and kept[0] > time.monotonic():
            return Sender(kept[1], header)
        try:
            client = await sync_to_async(_client_of, thread_sensitive=False)(header)
        except AfterlaunchError:
            raise
        except Exception:
            log.exception("a token could not be checked")
            raise Unavailable("The token cannot be checked now.") from None
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[header] = (time.monotonic() + TOKEN_SECONDS, client)
        return Sender(client, header)

    @contextmanager
    def turn(self, sender: Sender) -> Iterator[None]:
        """Holds one of a token's places. Raises RateLimited when it has none left."""
        key = sender.credential
        if not key:
            yield
            return
        with self._lock:
            busy = self._under_way.get(key, 0)
            if busy >= self._door.at_once:
                said = f"This token has {busy} requests under way already."
                raise RateLimited(said, "Send larger batches over fewer connections.", self.pace.wait(0))
            self._under_way[key] = busy + 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[key] -= 1
                if not self._under_way[key]:
                    del self._under_way[key]

    async def take(self, sender: Sender, body: bytes, content_type: str) -> Made:
        """Returns when what can be stored is durable. Raises AfterlaunchError, each with what the sender may do."""
        with self._decoding.sender():
            return await self._taken(sender, body, content_type)

    async def _taken(self, sender: Sender, body: bytes, content_type: str) -> Made:
        size = max(len(body), 1)
        try:
            self.buffer.reserve(size)
        except Overloaded as problem:
            problem.retry_after = max(problem.retry_after, self.pace.wait(self.buffer.held_bytes))
            raise
        landing: Future[int] | None = None
        try:
            made = await self._decoded(body, content_type, sender.client)
            self.buffer.counts.add(requests=1, received=made.table.num_rows + made.rejected, rejected=made.rejected)
            if made.table.num_rows:
                landing = self.buffer.put(made.table, size)
        finally:
            if landing is None:
                self.buffer.release(size)
        buried = 0 if landing is None else await self._landed(landing, size)
        if not buried:
            return made
        return Rows(made.table, made.rejected + buried, [*made.messages, f"{buried} {self.signal.name} {BURIED}"])

    async def _decoded(self, body: bytes, content_type: str, client: str | None) -> Made:
        try:
            return await asyncio.wrap_future(self._decoding.read(Body(body, content_type, client, clock.now_ns())))
        except AfterlaunchError:
            raise
        except Exception as problem:  # noqa: BLE001 - its own words may hold what the sender wrote
            log.error("%s could not be read: %s", self.signal.name, why(problem))
            raise Unavailable(f"The {self.signal.name} could not be read now.", "", self.pace.wait(0)) from None
        finally:
            self.buffer.decoded()

    def _made(self, body: Body) -> Made:
        try:
            return self.signal.decode(body.data, body.content_type, body.client, body.received_ns)
        except UNREADABLE as problem:
            log.error("%s could not be read, each is tried alone: %s", self.signal.name, why(problem))
        return self._made_apart(body)

    def _made_together(self, bodies: Sequence[Body]) -> list[Made] | None:
        """None where anything is wrong with one of them."""
        first = bodies[0]
        if self.signal.together is None or first.content_type != PROTOBUF:
            return None
        try:
            made, sizes = self.signal.together([one.data for one in bodies], first.client, first.received_ns)
        except Exception as problem:  # noqa: BLE001 - each is read alone, and its sender told
            log.info("%d bodies are read one by one: %s", len(bodies), why(problem))
            return None
        if made.rejected or made.messages:
            return None
        starts = accumulate(sizes, initial=0)
        return [Rows(made.table.slice(start, size), 0, []) for start, size in zip(starts, sizes, strict=False)]

    def _made_apart(self, body: Body) -> Made:
        """Keep the good; the bad goes to the dead letters, as it was sent. Raises Invalid when that is all of it."""
        request, client, now = self.signal.request, body.client, body.received_ns

        def made(part: Message) -> Made:
            return self.signal.decode(part.SerializeToString(), PROTOBUF, client, now)

        found = apart(
            request.read(body.data, body.content_type),
            made,
            partial(halves_of_message, path=request.path),
            (*UNREADABLE, Invalid),
        )
        messages = [message for one in found.done for message in one.messages]
        rejected = sum(one.rejected for one in found.done)
        if found.bad:
            whole = type(found.bad[0][0])()
            for part, _ in found.bad:
                whole.MergeFrom(part)
            count = request.items(whole)
            said = f"{count} {self.signal.name} cannot be read: {why(found.bad[0][1])}"
            self.buffer.bury(client or HOUSE, said, as_sent(self.signal.name, request.kept(whole, client), client, now))
            if not found.done:
                raise Invalid(f"The {self.signal.name} {BURIED}.")
            messages, rejected = [*messages, f"{count} {self.signal.name} {BURIED}"], rejected + count
        return Rows(pa.concat_tables([one.table for one in found.done]), rejected, messages)

    async def _landed(self, landing: Future[int], size: int) -> int:
        """Wait for the commit; how many rows went to the dead letters. A sender that hangs up, or waits no longer,
        takes nothing out of the queue: the room is given back when the rows are done with."""
        landing.add_done_callback(lambda _: self.buffer.release(size))
        try:
            buried = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(landing)), COMMIT_SECONDS)
        except TimeoutError:
            wait = self.pace.wait(self.buffer.held_bytes)
            raise TimedOut("The commit takes too long.", "Sending it again changes nothing twice.", wait) from None
        except AfterlaunchError:
            raise
        except Exception:  # noqa: BLE001 - the buffer has told the log, once for all of its senders
            said = f"The {self.signal.name} could not be stored; send them again."
            raise Unavailable(said, "", self.pace.wait(self.buffer.held_bytes)) from None
        self.pace.landed(size)
        return buried


def _client_of(header: str) -> str | None:
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer":
        raise NotSignedIn("The Authorization header is not a bearer token.")
    actor = actor_of_token(secret.strip())
    held = [one for one in actor.roles if one.role in (Role.INGEST, Role.ADMIN)]
    if not held:
        raise NotAllowed("This token may not send telemetry.", "It needs the role ingest.")
    return None if any(one.client is None for one in held) else held[0].client
