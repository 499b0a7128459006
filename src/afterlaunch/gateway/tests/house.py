"""A gateway, a provider that says what it is told, and a server that keeps configuration and spans, on loopback."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from afterlaunch.contracts.budgets import PriceCard
from afterlaunch.contracts.snapshot import Arm, Key, Route, Snapshot, Upstream, key_digest, seal
from afterlaunch.gateway.application import Gateway
from afterlaunch.gateway.serve import Front, loop_factory
from afterlaunch.gateway.server_link import Link

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
SHARED = b"shared key of tests"
KEY = "al_k1_secret"
OTHER_KEY = "al_k2_secret"


def until(true: Callable[[], object], seconds: float = 10.0) -> float:
    """Wait until it is true; the seconds it took. Fails after `seconds`."""
    began = time.perf_counter()
    while not true():
        assert time.perf_counter() - began < seconds, "it did not happen in time"
        time.sleep(0.01)
    return time.perf_counter() - began


@contextmanager
def running(application: Any) -> Iterator[str]:
    """Serve in a thread on a port of the system's choice, bound before anybody else can take it; gives the base URL."""
    made = uvicorn.Config(application, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(made)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
        thread.start()
        until(lambda: server.started, 30)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(15)


@dataclass
class Canned:
    """What the provider answers: chunks as they are written, a pause between them, or a connection cut after them."""

    chunks: list[bytes]
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=lambda: [(b"content-type", b"application/json")])
    pause: float = 0.0
    cut: bool = False


@dataclass
class Received:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Provider:
    """Answers with `answer(request)`; remembers requests and the streams that were left early."""

    def __init__(self) -> None:
        self.answer: Callable[[Received], Canned] = lambda _: Canned([b"{}"])
        self.requests: list[Received] = []
        self.aborted = 0
        self.sent = 0  # bytes of bodies that the gateway's connection has taken
        self.held: threading.Event | None = None  # after their first chunk answers wait for it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        asked = Received(scope["method"], scope["raw_path"].decode(), scope["query_string"].decode(), headers, body)
        self.requests.append(asked)
        canned = self.answer(asked)
        await send({"type": "http.response.start", "status": canned.status, "headers": canned.headers})
        gone = asyncio.create_task(self._left(receive))
        for chunk in canned.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            self.sent += len(chunk)
            await asyncio.sleep(canned.pause)
            while self.held is not None and not self.held.is_set() and not gone.done():
                await asyncio.sleep(0.2)
            if gone.done():
                self.aborted += 1
                return
        gone.cancel()
        if not canned.cut:
            await send({"type": "http.response.body", "body": b""})

    async def _left(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


class Server:
    """The server's two paths that a gateway uses."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.sealed: bytes | None = None
        self.spans: list[tuple[dict[str, str], Span]] = []
        self.trace_status = 200
        self.refusals = 0
        self.cards: dict[str, PriceCard] = {}
        self.counters: list[dict[str, Any]] = []
        self.days: list[dict[str, Any]] = []
        self.pot = 0  # what is left of a limit that gateways share
        self.shares: dict[str, int] = {}  # by gateway
        self.policies: dict[tuple[str, str, int], dict[str, Any]] = {}  # what gateways counted of them
        self.holds: list[dict[str, Any]] = []

    def publish(self, snapshot: Snapshot) -> None:
        self.snapshot, self.sealed = snapshot, seal(snapshot, SHARED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        assert dict(scope["headers"])[b"authorization"] == b"Bearer gateway-token"
        if scope["path"] == "/v1/traces":
            status, answer = self._traces(body)
        elif scope["path"].endswith("/gateway/prices"):
            status, answer = self._price(scope["query_string"].decode())
        elif scope["path"].endswith("/gateway/budgets"):
            self.counters += orjson.loads(body)["counters"]
            status, answer = 200, b"{}"
        elif scope["path"].endswith("/gateway/days"):
            self.days += orjson.loads(body)["days"]
            status, answer = 200, b"{}"
        elif scope["path"].endswith("/gateway/shares"):
            status, answer = self._share(orjson.loads(body))
        elif "/gateway/guard/" in scope["path"]:
            status, answer = self._guard(scope["path"], orjson.loads(body) if body else {})
        else:
            status, answer = self._configuration(scope)
        headers = [(b"retry-after", b"1")] if status == 503 else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _share(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        """A tenth of what is left, at least 1,000."""
        part = min(self.pot, max(self.pot // 10, 1_000))
        self.pot -= part
        gateway = asked["gateway"]
        self.shares[gateway] = self.shares.get(gateway, 0) + part
        return 200, orjson.dumps({"shares": [{"share": self.shares[gateway]}]})

    def _configuration(self, scope: Scope) -> tuple[int, bytes]:
        after = int(scope["query_string"].decode().removeprefix("after="))
        if self.sealed is None or (self.snapshot and self.snapshot.epoch <= after):
            return 204, b""
        return 200, self.sealed

    def _guard(self, path: str, told: dict[str, Any]) -> tuple[int, bytes]:
        if path.endswith("/counts"):
            for one in told["counts"]:
                self.policies[told["gateway"], one["policy"], one["slot"]] = one
            return 200, b"{}"
        if path.endswith("/take"):
            mine = [one for one in self.holds if one["id"] in told["ids"] and not one.get("taken")]
            for one in mine:
                one["taken"] = True
            return 200, orjson.dumps({"taken": len(mine) == len(told["ids"])})
        if told:
            same = [one for one in self.holds if one["digest"] == told["digest"] and not one.get("taken")]
            if not same:
                fresh = {"id": str(len(self.holds) + 1), "state": "waiting", "fallback": "deny", "reason": "", **told}
                self.holds.append(fresh)
                same = [fresh]
            return 200, orjson.dumps(same[0])
        return 200, orjson.dumps({"holds": self.holds})

    def counted(self, policy: str, what: str) -> int:
        """Over all stretches."""
        return sum(one[what] for one in self.policies.values() if one["policy"] == policy)

    def _price(self, query: str) -> tuple[int, bytes]:
        card = self.cards.get(parse_qs(query)["model"][0])
        return (404, b"{}") if card is None else (200, orjson.dumps(card))

    def _traces(self, body: bytes) -> tuple[int, bytes]:
        if self.trace_status != 200:
            self.refusals += 1
            return self.trace_status, b""
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {pair.key: pair.value.string_value for pair in group.resource.attributes}
            self.spans += [(about, span) for scope in group.scope_spans for span in scope.spans]
        return 200, b""

    def attempts(self) -> list[dict[str, object]]:
        """Attributes of the client spans, in order of arrival."""
        return [attributes(span) for _, span in self.spans if span.kind == Span.SPAN_KIND_CLIENT]


def attributes(span: Span) -> dict[str, object]:
    return {pair.key: _value(pair.value) for pair in span.attributes}


def _value(value: object) -> object:
    kind = value.WhichOneof("value")  # type: ignore[attr-defined]
    held = getattr(value, kind)
    return [item.string_value for item in held.values] if kind == "array_value" else held


def snapshot_of(upstream: str, epoch: int = 1, share: int = 0, **arm: str) -> Snapshot:
    """One OpenAI-shaped and one Anthropic-shaped route to the same address; a candidate on the first."""
    return Snapshot(
        epoch=epoch,
        created_at="2026-01-01T00:00:00+00:00",
        upstreams=(
            Upstream("open", upstream, "openai", "env:PROVIDER_SECRET", timeout_seconds=5),
            Upstream("anthro", upstream, "anthropic", "env:PROVIDER_SECRET", timeout_seconds=5),
        ),
        routes=(
            Route(
                "answers",
                "acme",
                "helpdesk",
                "prod",
                (
                    Arm("baseline", "open", arm.get("baseline_model"), "p1"),
                    Arm("candidate", "open", arm.get("candidate_model"), "p2", change=7),
                ),
                share=share,
                salt="s1",
                unit=("session", "user", "tenant"),
                inject_usage=arm.get("inject", "yes") == "yes",
            ),
            Route("letters", "acme", "helpdesk", "prod", (Arm("baseline", "anthro"),)),
            Route("secret", "umbrella", "lab", "prod", (Arm("baseline", "open"),)),
        ),
        keys=(
            Key("k1", key_digest("secret", SHARED), "acme", ("answers", "letters")),
            Key("k2", key_digest("secret", SHARED), "umbrella", ("secret",), tenant="u1"),
        ),
    )


@dataclass
class House:
    url: str
    provider: Provider
    provider_url: str
    server: Server
    gateway: Gateway

    def publish(self, **values: str | int) -> int:
        """A new epoch; waits until it is in force."""
        epoch = self.gateway.holder.epoch + 1
        self.server.publish(snapshot_of(self.provider_url, epoch=epoch, **values))  # type: ignore[arg-type]
        until(lambda: self.gateway.holder.epoch == epoch)
        return epoch


@contextmanager
def gateway_at(server_url: str, folder: Path, drain: float = 5.0) -> Iterator[tuple[str, Gateway]]:
    """As its process runs it, in a thread; on leaving it drains for `drain` seconds."""
    gateway = Gateway(Link(server_url, folder, "gateway-token", SHARED.decode()), folder)
    started, stop = threading.Event(), asyncio.Event()

    async def serve(listening: socket.socket) -> None:
        front = Front(gateway)
        await front.start("", 0, listening)
        gateway.loop = asyncio.get_running_loop()  # type: ignore[attr-defined]
        started.set()
        await stop.wait()
        await front.stop(drain)

    def run(listening: socket.socket) -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve(listening))

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=run, args=(listening,), daemon=True)
        thread.start()
        assert started.wait(30)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", gateway
        finally:
            gateway.loop.call_soon_threadsafe(stop.set)  # type: ignore[attr-defined]
            thread.join(drain + 10)
            assert not thread.is_alive()


@contextmanager
def house(folder: Path) -> Iterator[House]:
    provider, server = Provider(), Server()
    with running(provider) as provider_url, running(server) as server_url:
        server.publish(snapshot_of(provider_url))
        with gateway_at(server_url, folder) as (url, gateway):
            until(lambda: gateway.holder.epoch == 1)
            yield House(url, provider, provider_url, server, gateway)


def zipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)
