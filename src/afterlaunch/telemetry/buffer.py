"""Group commit: requests wait together for one transaction, and are answered after it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid, Overloaded
from afterlaunch.telemetry.conventions import HOUSE

log = logging.getLogger(__name__)
COMPANY_SECONDS = 0.05
LINGER_SECONDS = 0.003
MAX_ROWS = 16_384


class Lander(Protocol):
    """Where batches of one signal land: the store itself for spans."""

    @property
    def unwritable(self) -> tuple[type[Exception], ...]:
        """What `commit` raises for rows that can never be stored."""
        ...

    def commit(self, tables: list[Any]) -> tuple[int, int]:
        """Returns (stored, duplicates). When it returns, the rows are durable."""
        ...

    def bury(self, at_ns: int, client: str, why: str, body: bytes) -> None: ...


@dataclass
class Counts:
    """What the receiver did since it started; shown by /metrics."""

    requests: int = 0
    received: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    refused_full: int = 0
    commits: int = 0
    failed_commits: int = 0
    buried: int = 0
    commit_seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, **more: float) -> None:
        with self.lock:
            for name, value in more.items():
                setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class _Waiting:
    table: Any
    size: int
    done: Future[None]


class Buffer:
    """A bounded queue in front of the one writer."""

    def __init__(self, store: Lander, max_bytes: int) -> None:
        self._store, self.max_bytes = store, max_bytes
        # Not SimpleQueue: CPython 3.11's get(timeout) waits for ever when the time is up between two of its steps.
        self._queue: queue.Queue[_Waiting | None] = queue.Queue()
        self._held = self._decoding = 0
        self._lock = threading.Lock()
        self.counts = Counts()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    @property
    def held_bytes(self) -> int:
        return self._held

    def reserve(self, size: int) -> None:
        """Take room for a body before it is decoded. Raises Overloaded when there is none."""
        with self._lock:
            if self._held + size > self.max_bytes and self._held:
                self.counts.add(refused_full=1)
                raise Overloaded(
                    "The telemetry buffer is full.", "Send again later; nothing of this body was stored.", 1
                )
            self._held += size
            self._decoding += 1

    def release(self, size: int) -> None:
        with self._lock:
            self._held -= size

    def decoded(self) -> None:
        """A body that had room is decoded, or never will be: nobody needs to wait for it."""
        with self._lock:
            self._decoding -= 1

    def put(self, table: Any, size: int) -> Future[None]:
        """The future ends when the rows are durable."""
        waiting = _Waiting(table, size, Future())
        self._queue.put(waiting)
        return waiting.done

    def close(self) -> None:
        """Commit what waits, then end."""
        self._queue.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group, last = self._company(first)
            self._commit(group)
            if last:
                return

    def _company(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """Who comes along: those that are being decoded now, for a while; a lone sender hardly waits."""
        group, rows = [first], first.table.num_rows
        until = time.monotonic() + COMPANY_SECONDS
        while rows < MAX_ROWS and (left := until - time.monotonic()) > 0:
            try:
                another = self._queue.get(timeout=min(left, LINGER_SECONDS))
            except queue.Empty:
                if self._decoding > 0:
                    continue
                break
            if another is None:
                return group, True
            group.append(another)
            rows += another.table.num_rows
        return group, False

    def _commit(self, group: list[_Waiting]) -> None:
        """One transaction for all; when it fails, each alone, so that one bad body harms no other."""
        began = time.perf_counter()
        try:
            stored, duplicates = self._store.commit([waiting.table for waiting in group])
        except Exception as problem:  # noqa: BLE001 - whatever it is, the senders are told
            if len(group) > 1:
                log.warning("a commit of %d bodies failed, each is tried alone: %s", len(group), problem)
                for waiting in group:
                    self._commit([waiting])
                return
            self._failed(group[0], problem)
            return
        self.counts.add(stored=stored, duplicates=duplicates, commits=1, commit_seconds=time.perf_counter() - began)
        for waiting in group:
            waiting.done.set_result(None)

    def _failed(self, waiting: _Waiting, problem: Exception) -> None:
        """What can never be stored goes to the dead letters and is refused for good; anything else may pass."""
        self.counts.add(failed_commits=1)
        if not isinstance(problem, self._store.unwritable):
            log.error("a commit of telemetry failed", exc_info=problem)
            waiting.done.set_exception(problem)
            return
        client = waiting.table["client"][0].as_py() if "client" in waiting.table.column_names else HOUSE
        try:
            self._store.bury(clock.now_ns(), client, str(problem)[:2000], _as_bytes(waiting.table))
        except Exception as deeper:
            log.exception("a dead letter could not be kept")
            waiting.done.set_exception(deeper)
            return
        self.counts.add(buried=waiting.table.num_rows)
        waiting.done.set_exception(Invalid("The items cannot be stored; they are kept as a dead letter."))


def _as_bytes(table: Any) -> bytes:
    """The rows as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())
