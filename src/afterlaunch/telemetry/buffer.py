"""Group commit: requests wait together for one transaction, and are answered when they are durable."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid, Overloaded
from afterlaunch.telemetry import pieces
from afterlaunch.telemetry.counts import Counts, Pressure
from afterlaunch.telemetry.journal import Journal
from afterlaunch.telemetry.lander import Lander, keep_the_good
from afterlaunch.telemetry.outages import Outage
from afterlaunch.telemetry.pieces import Waiting, bytes_of, full, in_one_piece, rows_of

log = logging.getLogger(__name__)
COMPANY_SECONDS = 0.05
LINGER_SECONDS = 0.003
COLLECT_SECONDS, QUIET_SECONDS = 1.5, 0.1
"""What is answered for already waits so long for a full commit, while more keeps coming."""
AGAIN_SECONDS = 1.0


class Buffer:
    """A bounded queue in front of the one writer. `admit` raises Overloaded while nothing may come in.

    While the writer is free, a sender is answered after the commit. While it is busy, or much came within the last
    second, what comes in is put down in the journal, its senders are answered, and the next commit takes all of it: the
    busier, the larger and cheaper.
    """

    def __init__(
        self, store: Lander, max_bytes: int, journal: Journal | None = None, admit: Callable[[], None] = lambda: None
    ) -> None:
        self._store, self.max_bytes, self._journal, self._admit = store, max_bytes, journal, admit
        # Not SimpleQueue: CPython 3.11's get(timeout) waits for ever when the time is up between two of its steps.
        self._queue: queue.Queue[Waiting | None] = queue.Queue()
        self._held = self._decoding = 0
        self._lock = threading.Lock()
        self._turn = threading.Condition()
        self._backlog: deque[Waiting] = deque()
        self._committing = self._closing = False
        self._pressure = Pressure()
        self._store_outage = Outage("telemetry cannot be stored")
        self._journal_outage = Outage("telemetry cannot be put down in the journal")
        self.counts = Counts()
        if journal:
            self._recover(journal)
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for run, name in ((self._gather, "telemetry-gather"), (self._write, "telemetry-commit"))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def held_bytes(self) -> int:
        return self._held

    def reserve(self, size: int) -> None:
        """Take room for a body before it is decoded. Raises Overloaded when there is none."""
        self._admit()
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

    def put(self, table: Any, size: int) -> Future[int]:
        """The future ends when the rows are durable; with how many of them went to the dead letters."""
        waiting = Waiting(table, size, Future())
        self._queue.put(waiting)
        return waiting.done

    def close(self) -> None:
        """Commit what waits, then end. What cannot be committed stays in the journal."""
        self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout=30)
        if self._journal:
            self._journal.close()

    def _recover(self, journal: Journal) -> None:
        """Commit what an earlier process had answered for. Raises what the store raises."""
        group: list[Waiting] = []
        for table in journal.kept():
            group.append(Waiting(table, 0, Future(), (-1, 0)))
            if rows_of(group) >= pieces.MAX_ROWS or sum(one.table.nbytes for one in group) >= pieces.COMMIT_BYTES:
                self._commit(group)
                group = []
        if group:
            self._commit(group)
        journal.clear()

    def _gather(self) -> None:
        while (first := self._queue.get()) is not None:
            group, last = self._company(first)
            self._pass_on(group)
            if last:
                break
        with self._turn:
            self._closing = True
            self._turn.notify_all()

    def _company(self, first: Waiting) -> tuple[list[Waiting], bool]:
        """Who comes along: those that are being decoded now, for a while; a lone sender hardly waits."""
        group, rows = [first], first.table.num_rows
        until = time.monotonic() + COMPANY_SECONDS
        while rows < pieces.MAX_ROWS and (left := until - time.monotonic()) > 0:
            if (self._committing or self._pressure) and self._queue.empty():
                break  # the journal costs little: nobody needs to wait for company
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

    def _pass_on(self, group: list[Waiting]) -> None:
        with self._turn:
            self._turn.wait_for(self._has_room)
            busy = self._committing or bool(self._backlog) or bool(self._pressure)
        self._pressure.came(rows_of(group))
        if busy and self._journal and not self._put_down(group, self._journal):
            return
        with self._turn:
            self._backlog.extend(group)
            self._turn.notify_all()

    def _has_room(self) -> bool:
        return rows_of(self._backlog) < pieces.BACKLOG_ROWS

    def _put_down(self, group: list[Waiting], journal: Journal) -> bool:
        """Answer the senders before the commit."""
        try:
            position = journal.append([one.table for one in group])
        except OSError as problem:
            self._journal_outage.failed(problem, len(group))
            for one in group:
                one.done.set_exception(problem)
            return False
        self._journal_outage.works()
        with self._lock:
            self._held += sum(one.size for one in group)  # the room is given back when they are committed
        self.counts.add(journaled=len(group))
        for one in group:
            one.position = position
            one.done.set_result(0)
        return True

    def _write(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._backlog or self._closing)
                if not self._backlog:
                    return
                self._collect()
                group = full(self._backlog)
                self._committing = True
                self._turn.notify_all()
            left = self._commit(group)
            with self._turn:
                self._committing = False
                self._backlog.extendleft(reversed(left))
                if left and self._closing:
                    log.error("%d bodies stay in the journal until the next start", len(self._backlog))
                    return
            if left:
                time.sleep(AGAIN_SECONDS)

    def _collect(self) -> None:
        """Let the backlog grow to a full commit, as long as nobody waits for it and more keeps coming."""
        until = time.monotonic() + COLLECT_SECONDS
        while (
            (rows := rows_of(self._backlog)) < pieces.MAX_ROWS
            and bytes_of(self._backlog) < pieces.COMMIT_BYTES
            and (left := until - time.monotonic()) > 0
        ):
            if self._closing or any(one.position is None for one in self._backlog):
                break
            self._turn.wait(min(left, QUIET_SECONDS))
            if rows_of(self._backlog) == rows and not self._decoding:
                break

    def _commit(self, group: list[Waiting]) -> list[Waiting]:
        """Returns what was answered for and must be tried again: nothing is tried any more after what failed because
        of the store as a whole, and not of its rows."""
        left = deque(group)
        try:
            self._land(left)
        except Exception as problem:  # noqa: BLE001 - whatever it is, the senders are told
            self.counts.add(failed_commits=len(left))
            self._store_outage.failed(problem, len(left))
            return [one for one in left if not self._told(one, problem)]
        self._store_outage.works()
        return []

    def _land(self, group: deque[Waiting]) -> None:
        """One transaction for all; when their rows cannot be stored, each alone, so that one bad body harms no other.
        Takes out what is done with. Raises what the store raises."""
        began = time.perf_counter()
        try:
            stored, duplicates = self._store.commit(in_one_piece(group))
        except self._store.unwritable as problem:
            log.warning("a commit of %d bodies failed, each is tried alone: %s", len(group), problem)
            while group:
                self._land_the_good(group[0])
                group.popleft()
            return
        self.counts.add(stored=stored, duplicates=duplicates, commits=1, commit_seconds=time.perf_counter() - began)
        self._finished(group)
        group.clear()

    def _finished(self, group: Sequence[Waiting]) -> None:
        places = [one.position for one in group if one.position is not None]
        for one in group:
            if one.position is None:
                one.done.set_result(0)
            else:
                self.release(one.size)
        if places and self._journal and places[-1][0] >= 0:
            self._journal.done(places[-1])

    def _land_the_good(self, waiting: Waiting) -> None:
        """What can never be stored goes to the dead letters, for good. Raises what the store raises."""
        kept = keep_the_good(self._store, waiting.table)
        failed = 1 if kept.buried else 0
        self.counts.add(stored=kept.stored, duplicates=kept.duplicates, buried=kept.buried, failed_commits=failed)
        if waiting.position is not None:
            self._finished([waiting])
        elif kept.buried == waiting.table.num_rows:
            waiting.done.set_exception(Invalid("The items cannot be stored; they are kept as a dead letter."))
        else:
            waiting.done.set_result(kept.buried)

    def bury(self, client: str, why: str, body: bytes) -> None:
        """Keep it as a dead letter. Raises Unavailable."""
        self._store.bury(clock.now_ns(), client, why, body)

    @staticmethod
    def _told(waiting: Waiting, problem: Exception) -> bool:
        """Tell the sender that waits; one that was answered is not told: the rows are tried again."""
        if waiting.position is None:
            waiting.done.set_exception(problem)
        elif waiting.position[0] < 0:
            raise problem
        return waiting.position is None
