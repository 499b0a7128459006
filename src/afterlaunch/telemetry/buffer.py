"""Group commit: requests wait together for one transaction, and are answered when they are durable."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import pyarrow as pa

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid, Overloaded
from afterlaunch.telemetry.apart import apart, halves_of_rows
from afterlaunch.telemetry.conventions import HOUSE
from afterlaunch.telemetry.journal import Journal, Position
from afterlaunch.telemetry.tables import ROW_GROUP

log = logging.getLogger(__name__)
COMPANY_SECONDS = 0.05
LINGER_SECONDS = 0.003
GROUP = ROW_GROUP
"""Rows that DuckDB writes straight to their place; what is less goes to its log first. While so many wait for others to
be committed, their senders wait, too."""
MAX_ROWS = 2 * GROUP
"""Of a commit: of so many spans the calls, too, are about a group."""
COMMIT_BYTES = 2**26
"""Of the bodies of a commit: of spans with very long texts it takes few."""
MOST_BYTES = 2**29
"""Put into one piece: no column comes near what Arrow can hold."""
COLLECT_SECONDS, QUIET_SECONDS = 1.5, 0.1
"""What is answered for already waits so long for a full commit, while more keeps coming."""
AGAIN_SECONDS = 1.0
PRESSED_ROWS = 4_096
"""A second: from then on senders that wait for each other's commits would keep them small."""


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
    journaled: int = 0
    failed_commits: int = 0
    buried: int = 0
    commit_seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, **more: float) -> None:
        with self.lock:
            for name, value in more.items():
                setattr(self, name, getattr(self, name) + value)


@dataclass(eq=False)
class _Waiting:
    """`position`: where the journal has it; its sender is answered already then."""

    table: Any
    size: int
    done: Future[int]
    position: Position | None = None


class Pressure:
    """Whether much comes in: rows, each forgotten at the pace of one second."""

    def __init__(self) -> None:
        self._rows, self._at = 0.0, time.monotonic()

    def _now(self) -> float:
        return self._rows * math.exp(self._at - time.monotonic())

    def came(self, rows: int) -> None:
        self._rows, self._at = self._now() + rows, time.monotonic()

    def __bool__(self) -> bool:
        return self._now() > PRESSED_ROWS


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
        self._queue: queue.Queue[_Waiting | None] = queue.Queue()
        self._held = self._decoding = 0
        self._lock = threading.Lock()
        self._turn = threading.Condition()
        self._backlog: deque[_Waiting] = deque()
        self._committing = self._closing = False
        self._pressure = Pressure()
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
        waiting = _Waiting(table, size, Future())
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
        group: list[_Waiting] = []
        for table in journal.kept():
            group.append(_Waiting(table, 0, Future(), (-1, 0)))
            if _rows(group) >= MAX_ROWS or sum(one.table.nbytes for one in group) >= COMMIT_BYTES:
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

    def _company(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """Who comes along: those that are being decoded now, for a while; a lone sender hardly waits."""
        group, rows = [first], first.table.num_rows
        until = time.monotonic() + COMPANY_SECONDS
        while rows < MAX_ROWS and (left := until - time.monotonic()) > 0:
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

    def _pass_on(self, group: list[_Waiting]) -> None:
        with self._turn:
            self._turn.wait_for(lambda: _rows(self._backlog) < (GROUP if self._committing else MAX_ROWS))
            busy = self._committing or bool(self._backlog) or bool(self._pressure)
        self._pressure.came(_rows(group))
        if busy and self._journal and not self._put_down(group, self._journal):
            return
        with self._turn:
            self._backlog.extend(group)
            self._turn.notify_all()

    def _put_down(self, group: list[_Waiting], journal: Journal) -> bool:
        """Answer the senders before the commit."""
        try:
            position = journal.append([one.table for one in group])
        except OSError as problem:
            log.error("the journal cannot be written: %s", problem)
            for one in group:
                one.done.set_exception(problem)
            return False
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
                group = _full(self._backlog)
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
            (rows := _rows(self._backlog)) < MAX_ROWS
            and _bytes(self._backlog) < COMMIT_BYTES
            and (left := until - time.monotonic()) > 0
        ):
            if self._closing or any(one.position is None for one in self._backlog):
                break
            self._turn.wait(min(left, QUIET_SECONDS))
            if _rows(self._backlog) == rows and not self._decoding:
                break

    def _commit(self, group: list[_Waiting]) -> list[_Waiting]:
        """One transaction for all; when it fails, each alone, so that one bad body harms no other. Returns what was
        answered for and must be tried again."""
        began = time.perf_counter()
        try:
            stored, duplicates = self._store.commit(_in_one_piece(group))
        except Exception as problem:  # noqa: BLE001 - whatever it is, the senders are told
            if len(group) > 1 and isinstance(problem, self._store.unwritable):
                log.warning("a commit of %d bodies failed, each is tried alone: %s", len(group), problem)
                return [left for one in group for left in self._commit([one])]
            return [one for one in group if not self._failed(one, problem)]
        self.counts.add(stored=stored, duplicates=duplicates, commits=1, commit_seconds=time.perf_counter() - began)
        self._finished(group)
        return []

    def _finished(self, group: list[_Waiting]) -> None:
        places = [one.position for one in group if one.position is not None]
        for one in group:
            if one.position is None:
                one.done.set_result(0)
            else:
                self.release(one.size)
        if places and self._journal and places[-1][0] >= 0:
            self._journal.done(places[-1])

    def _failed(self, waiting: _Waiting, problem: Exception) -> bool:
        """Whether it is done with: of what can never be stored the good rows are kept, and the others go to the dead
        letters, for good; anything else may pass."""
        self.counts.add(failed_commits=1)
        if not isinstance(problem, self._store.unwritable):
            log.error("a commit of telemetry failed", exc_info=problem)
            return self._told(waiting, problem)
        try:
            buried = self._keep_the_good(waiting.table)
        except Exception as deeper:
            log.exception("what cannot be stored could not be told from the rest, or not be kept")
            return self._told(waiting, deeper)
        if waiting.position is not None:
            self._finished([waiting])
        elif buried == waiting.table.num_rows:
            waiting.done.set_exception(Invalid("The items cannot be stored; they are kept as a dead letter."))
        else:
            waiting.done.set_result(buried)
        return True

    def _keep_the_good(self, table: Any) -> int:
        """How many rows were buried. Raises what a store raises that cannot be written."""
        found = apart(table, lambda rows: self._store.commit([rows]), halves_of_rows, self._store.unwritable)
        stored, duplicates = (sum(counts) for counts in zip(*found.done, strict=True)) if found.done else (0, 0)
        self.counts.add(stored=stored, duplicates=duplicates)
        if not found.bad:
            return 0
        rows, first = pa.concat_tables([part for part, _ in found.bad]), found.bad[0][1]
        self.bury(rows["client"][0].as_py() if "client" in rows.column_names else HOUSE, told(first), as_bytes(rows))
        self.counts.add(buried=rows.num_rows)
        return int(rows.num_rows)

    def bury(self, client: str, why: str, body: bytes) -> None:
        """Keep it as a dead letter. Raises Unavailable."""
        self._store.bury(clock.now_ns(), client, why, body)

    @staticmethod
    def _told(waiting: _Waiting, problem: Exception) -> bool:
        """Tell the sender that waits; one that was answered is not told: the rows are tried again."""
        if waiting.position is None:
            waiting.done.set_exception(problem)
        elif waiting.position[0] < 0:
            raise problem
        return waiting.position is None


def told(problem: Exception) -> str:
    """Why rows cannot be stored, as their dead letter says it."""
    return f"{type(problem).__name__}: {problem}"[:2000]


def _in_one_piece(group: list[_Waiting]) -> list[Any]:
    """The rows of all. Each keeps its part of the whole; what it came with goes column by column, so that hardly more
    than one column is in memory twice. Rows that an older version put down stay apart. Where it fails, each has all of
    its columns as before. Raises MemoryError, ArrowCapacityError."""
    schema = group[0].table.schema
    if len(group) == 1 or any(one.table.schema != schema for one in group):
        return [one.table for one in group]
    if sum(one.size or one.table.nbytes for one in group) > MOST_BYTES:
        return [one.table for one in group]
    sizes = [one.table.num_rows for one in group]
    own = [one.table.columns for one in group]
    for one in group:
        one.table = None
    columns: list[Any] = []
    nothing = partial(_nothing, sum(sizes), {})
    try:
        while len(columns) < len(schema):
            columns.append(_joined([parts[len(columns)] for parts in own], nothing))
            for parts in own:
                parts[len(columns) - 1] = None
    except BaseException:
        _give_back(group, sizes, columns, own, schema)
        raise
    whole, at = pa.table(columns, schema=schema), 0
    for one, size in zip(group, sizes, strict=True):
        one.table = whole.slice(at, size)
        at += size
    return [whole]


def _joined(parts: Sequence[Any], nothing: Callable[[Any], Any]) -> Any:
    kind = parts[0].type
    if all(column.null_count == len(column) for column in parts):
        return pa.chunked_array([nothing(kind)])
    return pa.chunked_array([part for column in parts for part in column.chunks], kind).combine_chunks()


def _nothing(count: int, made: dict[Any, Any], kind: Any) -> Any:
    """NULLs; columns without a value share them."""
    return made[kind] if kind in made else made.setdefault(kind, pa.nulls(count, kind))


def _give_back(
    group: Sequence[_Waiting], sizes: Sequence[int], columns: Sequence[Any], own: Sequence[Sequence[Any]], schema: Any
) -> None:
    """Of what was put together its part to each, before what it still has of its own."""
    at = 0
    for one, size, parts in zip(group, sizes, own, strict=True):
        given = [column.slice(at, size) for column in columns]
        one.table = pa.table([*given, *parts[len(columns) :]], schema=schema)
        at += size


def _rows(waiting: Iterable[_Waiting]) -> int:
    return sum(one.table.num_rows for one in waiting)


def _bytes(waiting: Iterable[_Waiting]) -> int:
    return sum(one.size for one in waiting)


def _full(backlog: deque[_Waiting]) -> list[_Waiting]:
    """Take from the left what one commit holds, whole groups if there are any. A body that was answered for may be cut
    in two."""
    rows = _rows(backlog)
    most = MAX_ROWS if rows < GROUP else min(rows, MAX_ROWS) // GROUP * GROUP
    group = [backlog.popleft()]
    room, left = most - group[0].table.num_rows, COMMIT_BYTES - group[0].size
    while backlog and backlog[0].table.num_rows <= room and backlog[0].size <= left:
        group.append(backlog.popleft())
        room, left = room - group[-1].table.num_rows, left - group[-1].size
    before = group[-1].position
    if backlog and room > 0 and backlog[0].size <= left and before is not None and backlog[0].position is not None:
        cut = backlog.popleft()
        # Its place in the journal is told with the second part; the first stands where the body before it ends.
        group.append(_Waiting(cut.table.slice(0, room), 0, cut.done, before))
        backlog.appendleft(_Waiting(cut.table.slice(room), cut.size, cut.done, cut.position))
    return group


def as_bytes(table: Any) -> bytes:
    """The rows as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())
