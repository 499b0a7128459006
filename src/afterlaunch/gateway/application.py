"""The gateway's ASGI application: data path, health, metrics, assignment."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs

import aiohttp
import orjson

from afterlaunch.contracts.snapshot import Key
from afterlaunch.gateway.call import Call, Stack
from afterlaunch.gateway.configuration import Configuration, Holder
from afterlaunch.gateway.exporter import Exporter
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import OPAQUE, Refusal
from afterlaunch.gateway.request import (
    Asked,
    Receive,
    Scope,
    Send,
    assign,
    read_body,
    read_headers,
    read_request,
)
from afterlaunch.gateway.server_link import Link, Poller
from afterlaunch.gateway.upstream import Client

log = logging.getLogger(__name__)
LARGEST_BODY = 64 << 20
CALLS_PER_KEY = 1_000  # at the same time
ASSIGNMENT = "/afterlaunch/v1/assignment"


class Gateway:
    """One worker. `start` and `stop` are called by the server's lifespan; tests call them too."""

    def __init__(self, link: Link, folder: Path) -> None:
        self._link = link
        self._folder = folder
        self.holder = Holder(folder / "snapshots", link.key)
        self.metrics = Metrics()
        self._busy: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []
        self._own: dict[str, Callable[[], tuple[int, bytes, bytes]]] = {
            "/healthz": self._health,
            "/readyz": self._ready,
            "/metrics": self._metrics_text,
        }

    async def start(self) -> None:
        self.holder.start()
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        self._client = Client()
        self._exporter = Exporter(self._link, self._session, self._folder / "spool", self.metrics)
        self._poller = Poller(self._link, self.holder, self._session)
        self._stack = Stack(self._client, self._exporter, self.metrics, set())
        self._tasks = [self._guarded("poller", self._poller.run), self._guarded("exporter", self._exporter.run)]

    def _guarded(self, name: str, run: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """A loop that must not die: an unforeseen error is logged, counted, and the loop goes on."""

        async def forever() -> None:
            while True:
                try:
                    await run()
                except Exception:
                    log.exception("the %s failed and starts again", name)
                    self.metrics.add("task_failures_total", task=name)
                await asyncio.sleep(1)

        return asyncio.create_task(forever(), name=f"gateway-{name}")

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._exporter.close()
        await self._client.close()
        await self._session.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = self._own.get(scope["path"])
        if own:
            await _answer(send, *own())
            return
        family = "anthropic" if "/v1/messages" in scope["path"] else "openai"
        try:
            if scope["path"] == ASSIGNMENT:
                await _answer(send, 200, b"application/json", self._assignment(scope))
            else:
                await self._data(scope, receive, send)
        except Refusal as refusal:
            self.metrics.add("refusals_total", reason=refusal.reason)
            body = refusal.body(family)
            await send({"type": "http.response.start", "status": refusal.status, "headers": refusal.headers(len(body))})
            await send({"type": "http.response.body", "body": body})

    def _configuration(self) -> Configuration:
        current = self.holder.current
        if current is None:
            raise Refusal(503, "no-configuration", "The gateway has no verified configuration yet.", retry_after=2)
        return current

    async def _data(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = read_request(scope)
        configuration = self._configuration()
        key = configuration.authenticate(asked.token)
        call = Call(self._stack, configuration, asked, key, configuration.route(key, asked.route))
        if self._busy[key.id] >= CALLS_PER_KEY:
            raise Refusal(429, "key-concurrency", "Too many calls of this key are under way.", retry_after=1)
        self._busy[key.id] += 1
        self.metrics.in_flight += 1
        try:
            body = await read_body(receive, LARGEST_BODY)
            if body is None:
                self.metrics.add("left_while_sending_total")
                return
            await call.run(body, receive, send)
        finally:
            self._busy[key.id] -= 1
            self.metrics.in_flight -= 1

    def _assignment(self, scope: Scope) -> bytes:
        """Which arm a unit would get now, so that the application can choose its prompt by it."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        asked = Asked(scope["method"], ASSIGNMENT, "", OPAQUE, query.get("route", [None])[0])
        read_headers(asked, scope["headers"])
        configuration = self._configuration()
        key: Key = configuration.authenticate(asked.token)
        route = configuration.route(key, asked.route)
        given = assign(route, key, asked, query.get("unit", [None])[0])
        return orjson.dumps(
            {
                "route": route.name,
                "arm": given.arm.name,
                "prompt_version": given.arm.prompt_version,
                "model": given.arm.model,
                "change": given.arm.change,
                "reason": given.reason,
                "epoch": configuration.epoch,
            }
        )

    def _health(self) -> tuple[int, bytes, bytes]:
        return 200, b"application/json", b'{"status":"alive"}'

    def _ready(self) -> tuple[int, bytes, bytes]:
        current = self.holder.current
        body = {
            "status": "ready" if current else "starting",
            "epoch": self.holder.epoch,
            "server": "silent: " + self._poller.problem if self._poller.problem else "answers",
            "last_refusal": self.holder.last_refusal or None,
            "missing_credentials": current.missing_credentials() if current else [],
        }
        return 200 if current else 503, b"application/json", orjson.dumps(body)

    def _metrics_text(self) -> tuple[int, bytes, bytes]:
        silent = self._poller.silent_since
        gauges = {
            "snapshot_epoch": self.holder.epoch,
            "snapshots_refused": sum(self.holder.refused.values()),
            "server_silent_seconds": 0.0 if silent is None else asyncio.get_running_loop().time() - silent,
            "spool_bytes": self._exporter.spool_bytes,
        }
        return 200, b"text/plain; version=0.0.4", self.metrics.text(gauges)


async def _answer(send: Send, status: int, kind: bytes, body: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
