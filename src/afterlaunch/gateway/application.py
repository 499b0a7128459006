"""The gateway: who is let in, what it says of itself, and what runs beside the calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs

import aiohttp
import orjson

from afterlaunch.gateway.admission import Admission
from afterlaunch.gateway.answer import Reply
from afterlaunch.gateway.call import Call
from afterlaunch.gateway.configuration import Configuration, Holder, refuse_expired
from afterlaunch.gateway.estimates import Estimator
from afterlaunch.gateway.exporter import Exporter
from afterlaunch.gateway.flushing import Flusher
from afterlaunch.gateway.guarding.asking import People, Services
from afterlaunch.gateway.guarding.judging import Guarding
from afterlaunch.gateway.guarding.tally import Tally, Teller
from afterlaunch.gateway.limits import Buckets
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import OPAQUE, Refusal
from afterlaunch.gateway.request import Asked, RequestHead, assign, read_headers, read_request, split_target
from afterlaunch.gateway.server_link import Link, Poller
from afterlaunch.gateway.shadowing.lanes import Shadows
from afterlaunch.gateway.shadowing.sending import Means
from afterlaunch.gateway.spending.budgets import Budgets
from afterlaunch.gateway.spending.counters import Counters
from afterlaunch.gateway.spending.daybook import Daybook
from afterlaunch.gateway.spending.days import Days
from afterlaunch.gateway.spending.prices import Prices
from afterlaunch.gateway.spending.shares import Shares
from afterlaunch.gateway.spending.store import Store
from afterlaunch.gateway.stack import Stack
from afterlaunch.gateway.telling import identity
from afterlaunch.gateway.upstream import Client
from afterlaunch.gateway.workers import spool_of
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
ASSIGNMENT = "/afterlaunch/v1/assignment"
JSON = b"application/json"


class Gateway:
    """One worker. `start` and `stop` are called by whoever serves it, in the loop that serves it."""

    def __init__(self, link: Link, folder: Path, index: int | None = None) -> None:
        """`index`: of this worker among several, which share what lies in the folder; None: it is the only one."""
        self._link, self._index = link, index
        self._folder = folder
        self.holder = Holder(folder / "snapshots", link.key)
        self.budgets_file = folder / "budgets.sqlite3"
        self.metrics = Metrics(None if index is None else folder / "workers" / f"{index}.json")
        self.flusher = Flusher()
        self._tasks: list[asyncio.Task[None]] = []
        self._own: dict[bytes, Callable[[], Reply]] = {
            b"/healthz": self._health,
            b"/readyz": self._ready,
            b"/metrics": self._metrics_text,
        }

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        name = identity(self._folder)
        self.holder.shares = Shares(self._link, self._session, name)
        self.holder.start()
        self._client = Client(self.flusher)
        spool = spool_of(self._folder, self._index or 0)
        self._exporter = Exporter(self._link, self._session, spool, self.metrics)
        self._poller = Poller(self._link, self.holder, self._session)
        self._buckets = Buckets(None if self._index is None else self._folder / "workers" / "buckets")
        self._store = Store(self.budgets_file)
        self._prices = Prices(self._link, self._session, self._folder / "prices.json")
        estimator = Estimator()
        self._budgets = Budgets(self._store, self._prices, estimator, self.metrics)
        self._tally = Tally(self._folder / "guard" / f"{self._index or 0}.json")
        people = People(self._link, self._session)
        self._guarding = Guarding(self._tally, Services(), people, self.metrics)
        apart = Estimator()
        budgets = Budgets(self._store, self._prices, apart, self.metrics)
        means = Means(Client(self.flusher), self._exporter, self.metrics, budgets, apart)
        self._shadows = Shadows(means, lambda: self.holder.current)
        self._stack = Stack(
            self._client,
            self._exporter,
            self.metrics,
            self._buckets,
            self._budgets,
            self._guarding,
            self._shadows,
            estimator=estimator,
        )
        counters = Counters(self._link, self._session, self._store, name)
        self._tasks = [
            self._guarded("poller", self._poller.run),
            self._guarded("exporter", self._exporter.run),
            self._guarded("holds", people.run),
            self._guarded("guard counts", Teller(self._link, self._session, self._tally).run),
        ]
        if not self._index:
            self._tasks.append(self._guarded("counters", counters.run))
            book = Daybook(self.budgets_file, self._folder / "days.sqlite3")
            days = Days(self._link, self._session, book, name)
            self._tasks.append(self._guarded("days", days.run))

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
        for drain in list(self._stack.drains):
            drain.cancel()
        if beside := self._stack.drains | self._stack.later:
            await asyncio.wait(beside, timeout=5)
        for late in list(self._stack.later):
            late.cancel()
        await self._shadows.stop()
        await self._exporter.close()
        await self._client.close()
        self._buckets.close()
        self._budgets.flush()
        self._store.close()
        self._guarding.services.close()
        self._tally.sweep()
        await self._session.close()

    def sweep(self, now: float) -> None:
        """Called about once a second."""
        self._client.sweep(now)
        self._budgets.tend(clock.real())
        self._shadows.tend(now)
        self._tally.sweep()
        self.metrics.share()

    def admit(self, head: RequestHead) -> Call | Reply:
        """By the head alone: a request without a valid key costs no memory for its body."""
        own = self._own.get(head.target)
        if own:
            return own()
        try:
            if head.target.startswith(b"/afterlaunch/"):
                return _reply(200, self._assignment(head))
            asked = read_request(head)
            configuration = self._configuration()
            key = configuration.authenticate(asked.token)
            admission = Admission(configuration, asked, key, configuration.route(key, asked.route))
            return Call(self._stack, admission)
        except Refusal as refusal:
            return self.refused(refusal, head)

    def again(self, admission: object, head: RequestHead) -> Call | Reply:
        """A request whose head is the one of a call that was admitted."""
        assert isinstance(admission, Admission)
        if admission.configuration is not self.holder.current:
            return self.admit(head)
        try:
            refuse_expired(admission.key)
            return Call(self._stack, admission)
        except Refusal as refusal:
            return self.refused(refusal, head)

    def refused(self, refusal: Refusal, head: RequestHead | None) -> Reply:
        """In the shape of errors of the protocol that was spoken, as far as it is known."""
        self.metrics.add("refusals_total", reason=refusal.reason)
        family = "anthropic" if head is not None and b"/v1/messages" in head.target else "openai"
        return Reply(refusal.status, refusal.headers(), refusal.body(family))

    def _configuration(self) -> Configuration:
        current = self.holder.current
        if current is None:
            raise Refusal(503, "no-configuration", "The gateway has no verified configuration yet.", retry_after=2)
        return current

    def _assignment(self, head: RequestHead) -> bytes:
        """Which arm a unit would get now, so that the application can choose its prompt by it."""
        path, text = split_target(head.target)
        if path != ASSIGNMENT:
            raise Refusal(404, "path-unknown", f"Of its own the gateway serves {ASSIGNMENT}.")
        query = parse_qs(text)
        asked = Asked(head.method, ASSIGNMENT, "", OPAQUE, query.get("route", [None])[0])
        read_headers(asked, head.headers)
        configuration = self._configuration()
        key = configuration.authenticate(asked.token)
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

    def _health(self) -> Reply:
        return _reply(200, b'{"status":"alive"}')

    def _ready(self) -> Reply:
        current = self.holder.current
        body = {
            "status": "ready" if current else "starting",
            "epoch": self.holder.epoch,
            "server": "silent: " + self._poller.problem if self._poller.problem else "answers",
            "last_refusal": self.holder.last_refusal or None,
            "missing_credentials": current.missing_credentials() if current else [],
            "upstreams_resting": self._stack.health.resting(asyncio.get_running_loop().time()),
        }
        return _reply(200 if current else 503, orjson.dumps(body))

    def _metrics_text(self) -> Reply:
        silent = self._poller.silent_since
        gauges = {
            "snapshot_epoch": self.holder.epoch,
            "snapshots_refused": sum(self.holder.refused.values()),
            "server_silent_seconds": 0.0 if silent is None else asyncio.get_running_loop().time() - silent,
            "spool_bytes": self._exporter.spool_bytes,
            "upstream_connections": self._client.connections,
            "upstreams_resting": len(self._stack.health.resting(asyncio.get_running_loop().time())),
            "remembered_bytes": self._stack.answers.size,
            "drains": len(self._stack.drains),
            "shadow_in_flight": self._shadows.in_flight,
            "shadow_waiting": self._shadows.waiting,
            "shadow_bytes": self._shadows.held_bytes,
            "holds_waiting": self._guarding.people.waiting,
        }
        return _reply(200, self.metrics.text(gauges), b"text/plain; version=0.0.4")


def _reply(status: int, body: bytes, kind: bytes = JSON) -> Reply:
    return Reply(status, ((b"content-type", kind),), body)
