"""The gateway's process: it listens, and on SIGTERM or SIGINT it drains.

1. Stop accepting; idle connections end, answers that begin now tell their callers to come back elsewhere. 2. Calls
under way may finish for the drain's seconds. 3. What then still runs is cut, visibly, and logged. 4. Own telemetry is
sent or spooled. A second SIGINT ends the wait at once.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import signal
import socket
from collections.abc import Callable

from afterlaunch.gateway.application import Gateway
from afterlaunch.gateway.callers import Caller
from afterlaunch.gateway.server_link import link_from
from afterlaunch.gateway.workers import Workers, gather_spools, listen
from afterlaunch.ground import clock
from afterlaunch.ground.redaction import Masking
from afterlaunch.ground.settings import settings

log = logging.getLogger(__name__)
BACKLOG = 4096
CHECK_SECONDS = 1.0
FILES = 65_536
COLLECT_AFTER = 20_000  # objects; the data path makes no circles, so looking for them often finds nothing


class Front:
    """The gateway behind a listening socket, in the running loop."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._connections: set[Caller] = set()
        self._hurry = asyncio.Event()

    async def start(self, host: str, port: int, listening: socket.socket | None = None) -> None:
        """On the socket that is given, else on host and port. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        where = {"sock": listening} if listening else {"host": host, "port": port}
        await self._gateway.start()
        self._server = await self._loop.create_server(
            lambda: Caller(self._gateway, self._connections, self._gateway.flusher),
            backlog=BACKLOG,
            **where,
        )
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check)

    def _check(self) -> None:
        now = self._loop.time()
        for connection in list(self._connections):
            connection.check(now)
        self._gateway.sweep(now)
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check)

    def hurry(self) -> None:
        """Wait no longer for calls under way."""
        self._hurry.set()

    async def stop(self, seconds: float) -> int:
        """Drain; the number of calls that had to be cut."""
        self._server.close()
        for connection in list(self._connections):
            connection.stop()
        if busy := self._busy():
            log.info("stopping: %s calls may finish within %g s", busy, seconds)
        until = self._loop.time() + seconds
        while self._busy() and self._loop.time() < until and not self._hurry.is_set():
            await asyncio.sleep(0.05)
        cut = await self._cut()
        self._timer.cancel()
        await self._gateway.stop()
        return cut

    def _busy(self) -> int:
        return sum(connection.busy for connection in self._connections)

    async def _cut(self) -> int:
        tasks = [task for connection in list(self._connections) if (task := connection.cut())]
        if tasks:
            log.warning("stopping: %s calls were cut", len(tasks))
            await asyncio.wait(tasks, timeout=5)
        return len(tasks)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def allow_files() -> None:
    """As many open files as the system lets a process have, up to FILES: a call holds two."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _run(gateway: Gateway, host: str, port: int, drain: float, listening: socket.socket | None = None) -> None:
    front, stop = Front(gateway), asyncio.Event()

    def on(name: int) -> None:
        if stop.is_set() and name == signal.SIGINT:
            front.hurry()
        stop.set()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(name, on, name)
        except NotImplementedError:  # Windows
            signal.signal(name, lambda number, _: loop.call_soon_threadsafe(on, number))
    await front.start(host, port, listening)
    gc.freeze()  # what stands now stays: the collector need not look at it again
    gc.set_threshold(COLLECT_AFTER, 20, 50)
    await stop.wait()
    await front.stop(drain)


def main(host: str, port: int, workers: int = 1) -> None:
    """Serve until SIGINT or SIGTERM."""
    chosen = settings()
    lines = logging.StreamHandler()
    lines.setFormatter(Masking("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=chosen.text("LOG_LEVEL"), handlers=[lines])
    clock.use(clock.from_setting(chosen.text("CLOCK")))
    allow_files()
    link, folder, drain = link_from(chosen), chosen.data / "gateway", float(chosen["GATEWAY_DRAIN_SECONDS"])
    gather_spools(folder, workers)

    def serve(index: int | None, listening: socket.socket | None) -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_run(Gateway(link, folder, index), host, port, drain, listening))

    if workers == 1:
        serve(None, None)
        return
    if not hasattr(os, "fork"):
        raise SystemExit("Several workers need a system that can fork; on this one run a single worker.")
    shutil.rmtree(folder / "workers", ignore_errors=True)
    (folder / "workers").mkdir(parents=True, mode=0o700)
    Workers(workers, listen(host, port), serve).run()
