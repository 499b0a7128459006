"""The receivers as a raw ASGI application: a body is counted while it comes, and few wait at once.

Above the limits a sender is told 503 and when to come again, never 429 and never 200: Alertmanager throws away what is
answered 4xx. What was answered 2xx is committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from django.db import close_old_connections

from afterlaunch.ground.errors import AfterlaunchError, Invalid, Overloaded, TooLarge, Unavailable, Unsupported
from afterlaunch.receivers import doors
from afterlaunch.receivers.wire import Answer, Request, refusal

log = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
READ_SECONDS = 15.0
AT_ONCE = 4  # bodies that are worked on: one writer at a time is all that SQLite has
WAITING = 200  # bodies that wait or are worked on
WAITING_BYTES = 64 * 2**20
LET_GO = 64 * 2**20  # bytes of a refused body that are read and dropped


class Receivers:
    """`max_body` in bytes; `setting` names what raises it. `handle` turns a request into its answer, on a thread."""

    def __init__(
        self,
        max_body: int,
        handle: Callable[[Request], Answer] = doors.answer,
        waiting: int = WAITING,
        setting: str = "AFTERLAUNCH_RECEIVERS_MAX_BODY_KB",
    ) -> None:
        self._max_body, self._handle, self._most, self._setting = max_body, handle, waiting, setting
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="receivers")
        self._waiting, self._bytes = 0, 0

    def close(self) -> None:
        """Waits for what was begun."""
        self._pool.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        held = 0
        self._waiting += 1
        try:
            body = await self._body(headers, receive)
            held = len(body)
            self._bytes += held
            query = scope.get("query_string", b"").decode("latin-1")
            request = Request(scope["method"], scope["path"], headers, body, query)
            answer = await asyncio.get_running_loop().run_in_executor(self._pool, self._work, request)
        except TimeoutError:
            answer = refusal(Unavailable(f"The body did not arrive within {READ_SECONDS:g} s.", "Send it again."))
        except AfterlaunchError as problem:
            answer = refusal(problem)
        finally:
            self._waiting -= 1
            self._bytes -= held
        await _send(send, answer, scope["method"] == "HEAD")

    def _require_room(self, headers: dict[str, str]) -> None:
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length[:15]) > self._max_body:
            raise self._too_large()
        if self._waiting > self._most or self._bytes > WAITING_BYTES:
            raise Overloaded("Too many bodies wait.", "Send it again.", 5)
        if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise Unsupported("The body must not be compressed.")

    def _too_large(self) -> TooLarge:
        mib = self._max_body / 2**20
        return TooLarge(f"The body is larger than {mib:g} MiB.", f"Split it, or raise {self._setting}.")

    async def _body(self, headers: dict[str, str], receive: Receive) -> bytes:
        try:
            self._require_room(headers)
        except (TooLarge, Unsupported):
            if "expect" not in headers:  # who waits for 100 Continue has sent nothing
                await _let_go(receive)
            raise
        body, more = await asyncio.wait_for(self._read(headers, receive), READ_SECONDS)
        if body is None:
            if more:
                await _let_go(receive)
            raise self._too_large()
        return body

    async def _read(self, headers: dict[str, str], receive: Receive) -> tuple[bytes | None, bool]:
        """The body, None as soon as it is too large, and whether more of it comes."""
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Invalid("The sender left before the body was complete.")
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size > self._max_body:
                return None, more
            parts.append(part)
        return b"".join(parts), False

    def _work(self, request: Request) -> Answer:
        close_old_connections()
        try:
            return self._handle(request)
        except Exception:
            log.exception("a receiver failed")  # a fault of ours: the sender keeps it and tries again
            return refusal(Unavailable("Something went wrong on our side.", "Send it again.", 10))
        finally:
            close_old_connections()


async def _let_go(receive: Receive) -> None:
    """Read on and keep nothing: a sender whose connection is closed while it sends never sees the answer."""
    left = LET_GO
    with suppress(TimeoutError):
        async with asyncio.timeout(READ_SECONDS):
            while left > 0:
                message = await receive()
                if not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))


async def _send(send: Send, answer: Answer, head: bool) -> None:
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers]
    headers += [(b"content-length", str(len(answer.body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
