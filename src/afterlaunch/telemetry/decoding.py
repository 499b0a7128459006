"""Where bodies wait to be read. Those of one sender that wait at the same time are read together, as most of the work
is done once for all of them: the busier, the cheaper.

1. A lone sender's body is read at once. Where several send, the first waits a moment for the others: answered together,
they come back together. 2. While one reads, others wait; then the first of them is taken, with those behind it that may
come along. 3. A second worker helps when more waits than comes along at once. 4. When
reading together fails, or refuses anything, each is read alone, so that every sender gets the answer to its own body.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

log = logging.getLogger(__name__)
MOST_BODIES, MOST_BYTES, WORKERS = 8, 4 * 2**20, 2
LINGER_SECONDS, LATELY_SECONDS = 0.01, 0.5
R = TypeVar("R")


@dataclass(frozen=True)
class Body:
    """`client`: as whose it counts; `received_ns`: when it came."""

    data: bytes
    content_type: str
    client: str | None
    received_ns: int

    def goes_with(self, other: Body) -> bool:
        return (self.content_type, self.client) == (other.content_type, other.client)


@dataclass(frozen=True)
class _Waiting(Generic[R]):
    body: Body
    done: Future[R]


class Decoding(Generic[R]):
    """`alone` reads one body and may raise what its sender is told; `together` reads several that go with each other,
    one answer for each, or None where they must be read alone."""

    def __init__(
        self, pool: Executor, alone: Callable[[Body], R], together: Callable[[Sequence[Body]], list[R] | None]
    ) -> None:
        self._pool, self._alone, self._together = pool, alone, together
        self._waiting: deque[_Waiting[R]] = deque()
        self._lock = threading.Condition()
        self._workers = self._bytes = self._present = self._crowd = 0
        self._crowded_at = 0.0

    @contextmanager
    def sender(self) -> Iterator[None]:
        """Around all that is done for one body: how many are here at once tells how many may be waited for."""
        now = time.monotonic()
        with self._lock:
            self._present += 1
            if self._present >= self._crowd or now - self._crowded_at > LATELY_SECONDS:
                self._crowd, self._crowded_at = self._present, now
        try:
            yield
        finally:
            with self._lock:
                self._present -= 1

    def read(self, body: Body) -> Future[R]:
        waiting: _Waiting[R] = _Waiting(body, Future())
        with self._lock:
            self._waiting.append(waiting)
            self._bytes += len(body.data)
            more = len(self._waiting) > MOST_BODIES or self._bytes > MOST_BYTES
            start = not self._workers or (more and self._workers < WORKERS)
            self._workers += start
            self._lock.notify_all()
        if start:
            self._pool.submit(self._work)
        return waiting.done

    def _work(self) -> None:
        """One group; then whoever else waits for the pool has its turn."""
        self._linger()
        self._answer([one for one in self._group() if one.done.set_running_or_notify_cancel()])
        with self._lock:
            more = bool(self._waiting)
            self._workers -= not more
        if more:
            self._pool.submit(self._work)

    def _linger(self) -> None:
        until = time.monotonic() + LINGER_SECONDS
        with self._lock:
            while 0 < len(self._waiting) < min(self._crowd, MOST_BODIES) and self._bytes < MOST_BYTES:
                if (left := until - time.monotonic()) <= 0:
                    break
                self._lock.wait(left)

    def _group(self) -> list[_Waiting[R]]:
        """The first that waits and those that come along; another worker may have taken all."""
        with self._lock:
            if not self._waiting:
                return []
            group = [self._waiting.popleft()]
            size = len(group[0].body.data)
            left: deque[_Waiting[R]] = deque()
            for one in self._waiting:
                fits = len(group) < MOST_BODIES and size + len(one.body.data) <= MOST_BYTES
                if fits and one.body.goes_with(group[0].body):
                    group.append(one)
                    size += len(one.body.data)
                else:
                    left.append(one)
            self._waiting, self._bytes = left, self._bytes - size
        return group

    def _answer(self, group: list[_Waiting[R]]) -> None:
        made = None
        if len(group) > 1:
            try:
                made = self._together([one.body for one in group])
            except BaseException as problem:  # noqa: BLE001 - whatever it is, those beside it must not wait for ever
                log.error("%d bodies are read one by one: %s", len(group), type(problem).__name__)
        for number, one in enumerate(group):
            try:
                one.done.set_result(made[number] if made else self._alone(one.body))
            except BaseException as problem:  # noqa: BLE001 - its sender is told
                one.done.set_exception(problem)
