"""Several worker processes behind one listening socket, and the one that watches over them.

The workers are forked off a process that has imported everything and runs no loop, so that what they have in common is
in memory once. A worker that dies is replaced; one that dies again and again is given more and more time. SIGTERM and
SIGINT go on to all of them; what they share lies in files: budgets, buckets of limits, counters of metrics.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)
PATIENCE = 0.5  # seconds before a dead worker is replaced, doubled while it dies young
LONGEST = 15.0
YOUNG = 10.0  # seconds
BACKLOG = 4096

Serve = Callable[[int, socket.socket], None]


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(BACKLOG)
        found.setblocking(False)
    except BaseException:
        found.close()
        raise
    return found


class Workers:
    """`serve(index, socket)` runs in each of them until it is told to stop."""

    def __init__(self, count: int, listening: socket.socket, serve: Serve) -> None:
        self._count, self._listening, self._serve = count, listening, serve
        self._running: dict[int, tuple[int, float]] = {}  # process -> index, since when
        self._due: dict[int, float] = {}  # index -> when to start it
        self._pause: dict[int, float] = {}
        self._stopping = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT, and until all workers have ended."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._pass_on)
        gc.freeze()
        self._due = dict.fromkeys(range(self._count), 0.0)
        while self._running or not self._stopping:
            self._start_due()
            self._bury()
            time.sleep(0.05)

    def _pass_on(self, name: int, _: object) -> None:
        self._stopping = True
        for process in self._running:
            os.kill(process, name)

    def _start_due(self) -> None:
        now = time.monotonic()
        for index in [one for one, at in self._due.items() if at <= now]:
            if self._stopping:
                return
            del self._due[index]
            process = os.fork()
            if process == 0:
                self._be(index)
            self._running[process] = (index, now)

    def _be(self, index: int) -> None:
        """In the worker."""
        code = 1
        try:
            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, signal.SIG_DFL)
            self._serve(index, self._listening)
            code = 0
        except BaseException:
            log.exception("worker %s failed", index)
        finally:
            logging.shutdown()
            os._exit(code)

    def _bury(self) -> None:
        for process in list(self._running):
            done, status = os.waitpid(process, os.WNOHANG)
            if not done:
                continue
            index, since = self._running.pop(process)
            if self._stopping:
                continue
            now = time.monotonic()
            young = now - since < YOUNG
            pause = min(self._pause.get(index, PATIENCE) * (2 if young else 1), LONGEST) if young else PATIENCE
            self._pause[index], self._due[index] = pause, now + pause
            log.error("worker %s ended with %s; another one starts in %.1f s", index, _how(status), pause)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"status {os.WEXITSTATUS(status)}"


def spool_of(folder: Path, index: int) -> Path:
    """Where a worker's telemetry waits; the first one's place is the one of a gateway without workers."""
    return folder / "spool" if index == 0 else folder / "spool" / f"worker-{index}"


def gather_spools(folder: Path, count: int) -> None:
    """What workers that are no more have left goes to the first one."""
    for left in (folder / "spool").glob("worker-*"):
        if int(left.name.removeprefix("worker-")) >= count:
            for file in left.glob("*.pb"):
                file.rename(folder / "spool" / file.name)
