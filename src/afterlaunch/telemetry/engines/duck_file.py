"""The file of an embedded store: opened, read, written by one at a time; what it may take of memory and disk."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from afterlaunch.ground.errors import Unavailable
from afterlaunch.telemetry.tables import ROW_GROUP

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
MEMORY, ONCE = "104MB", "2GB"  # at work; for what breaks the store where it lacks memory
MOST_REPLACED = 500_000
"""Rows: each that is deleted or altered takes some 25 bytes of memory until the next checkpoint, and nothing else can
have them."""
MERGES = 100
"""Pairs of row groups and more that such a checkpoint makes one of. Others make none: rows of long texts would be read,
2,048 at once, and written anew again and again."""
LONG_ROW, LONG_BYTES = 16 * 2**10, 32 * 2**20
"""Rows of so many bytes are long; so much of them is written to its place at once."""
FOR_LONG = "512MB"  # more would only be kept for later, and 2 GB are a server's whole memory
LIMIT_SECONDS = 10.0
WAL = "64MB"  # so much is read again after a crash; larger: fewer checkpoints, longer start


def _escaped(file: Path) -> str:
    return str(file).replace("'", "''")


class Reopening(Unavailable):
    """A write broke the file; the next one opens it again."""


class DuckFile:
    """`threads`: half of the cores by default, so that ingest keeps the others. Unless `read_only`, it belongs to this
    process alone. Raises Unavailable."""

    unwritable: tuple[type[Exception], ...] = (duckdb.DataError, duckdb.InvalidInputException, duckdb.NotSupportedError)
    broken: tuple[type[Exception], ...] = (
        duckdb.IOException,
        duckdb.TransactionException,
        duckdb.FatalException,
        Reopening,
    )

    def __init__(self, file: Path, read_only: bool = False, threads: int | None = None) -> None:
        self.file = file
        if not read_only:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        threads = threads or max(1, (os.cpu_count() or 2) // 2)
        spilled = file.with_name(file.name + ".tmp")
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY,
            "threads": threads,
            "checkpoint_threshold": WAL,
            "max_vacuum_tasks": 0,
            "write_buffer_row_group_count": 1,  # a full group is written at once, not held for others
            "temp_directory": str(spilled),  # beside the store, within its disk budget, and not where we were started
        }
        how = "read_only" if read_only else f"row_group_size {ROW_GROUP}"
        self._connection = duckdb.connect(":memory:", config=config)
        self._room, self._need_room = threading.Lock(), 0
        self._opened, self._reopening = 0, False
        self._long_bytes = 0  # of long rows since their last checkpoint
        self._attach = f"attach '{_escaped(file)}' as kept ({how})"
        with self._roomy():
            try:
                self._connection.execute(self._attach)
            except duckdb.IOException as problem:
                raise Unavailable(
                    f"The telemetry store cannot be opened: {problem}", "Is another server running on it?"
                ) from None
            if not read_only:
                self._settle()
        if not read_only:  # nobody else has it open: what lies there is of a process that was killed
            shutil.rmtree(spilled, ignore_errors=True)
        self._write = threading.Lock()
        self._writer = self._connection.cursor()
        self._writer.execute("use kept")
        self._local = threading.local()

    @contextmanager
    def _roomy(self, limit: str = ONCE) -> Iterator[None]:
        """For what changes many rows, its checkpoint, the log when it is read again, new columns, and questions to
        very long texts. The last one who needs it takes it back."""
        with self._room:
            if limit == ONCE or not self._need_room:
                self._raise_limit(limit)
            self._need_room += 1
        try:
            yield
        finally:
            with self._room:
                self._need_room -= 1
                try:
                    if not self._need_room:
                        self._connection.execute(f"set memory_limit = '{MEMORY}'")
                except duckdb.OutOfMemoryException:
                    log.info("a question holds more than %s; the next change of the limit takes it back", MEMORY)

    def _raise_limit(self, limit: str) -> None:
        """To say so takes memory, too: what holds more than the limit is over soon."""
        until = time.monotonic() + LIMIT_SECONDS
        while True:
            try:
                self._connection.execute(f"set memory_limit = '{limit}'")
                return
            except duckdb.OutOfMemoryException:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    @contextmanager
    def _room_for(self, rows: int, size: int) -> Iterator[None]:
        """For a commit of so many rows and bytes. Long rows, and whatever comes before their checkpoint, need more
        memory than there is at work, and their checkpoint comes before the log is long."""
        self._long_bytes += size if rows and size // rows >= LONG_ROW else 0
        if not self._long_bytes:
            yield
            return
        with self._roomy(FOR_LONG):
            yield
            if self._long_bytes >= LONG_BYTES:
                with self._write:
                    self._writer.execute("checkpoint kept")
                self._long_bytes = 0

    def _settle(self) -> None:
        """What a long log held, or a change of the schema, takes memory until a checkpoint. Without need there is none:
        on a full disk it would break what can still be read."""
        held = "select 1 from duckdb_memory() having sum(memory_usage_bytes) * 2 > parse_formatted_bytes(?)"
        if self._connection.execute(held, [MEMORY]).fetchall():
            self._connection.execute("checkpoint kept")
        self._replaced = self._long_bytes = 0

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        return self._asked(lambda: self._query(sql, parameters))

    def _query(self, sql: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
        found = self._cursor().execute(sql, list(parameters))
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        return self._asked(lambda: self._cursor().sql(sql, params=list(parameters)).to_arrow_table())

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        """Texts of 100 kB each make a block of them larger than the memory at work: it is asked again with more. Raises
        Reopening while the file is broken or opened again."""
        opened = self._opened
        try:
            try:
                return ask()
            except duckdb.OutOfMemoryException:
                with self._roomy():
                    return ask()
        except duckdb.Error as problem:
            if isinstance(problem, duckdb.FatalException) or self._opened != opened or self._reopening:
                told = "The telemetry store is opened again after a write that broke."
                raise Reopening(told, "Ask again in a moment.", 1) from problem
            raise

    def _cursor(self) -> Any:
        """A cursor of the calling thread: reads run beside the one writer."""
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._connection.cursor()
            cursor.execute("use kept")
            self._local.cursor = cursor
        return cursor

    def lighten(self, replaced: int) -> None:
        """After a transaction that deleted or altered so many rows."""
        self._replaced += replaced
        if self._replaced >= MOST_REPLACED:
            with self._write, self._roomy():
                self._merge()
            self._replaced = 0

    def _merge(self) -> None:
        """A checkpoint that gives back what deleted rows took, and makes one of small row groups."""
        self._writer.execute(f"set global max_vacuum_tasks = {MERGES}")
        try:
            self._writer.execute("checkpoint kept")
        finally:
            self._writer.execute("set global max_vacuum_tasks = 0")

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor of the one writer; all or nothing."""
        with self._write:
            self._writer.execute("begin")
            try:
                yield self._writer
                self._writer.execute("commit")
            except BaseException:
                with suppress(duckdb.Error):  # what broke has ended it
                    self._writer.execute("rollback")
                raise

    @contextmanager
    def _changing(self) -> Iterator[Any]:
        """A transaction that may delete or alter many rows."""
        with self._roomy(), self.transaction() as cursor:
            yield cursor

    def reopen(self) -> None:
        """Cursors of other threads go on with it. What a failed checkpoint left undone is in the write-ahead log. Where
        it fails, as on a disk that is still full, the file is not open until the next try."""
        self._reopening = True
        self._reopen()
        self._opened += 1
        self._reopening = False

    def _reopen(self) -> None:
        with self._write, self._roomy():
            try:
                self._connection.execute("detach kept")
            except duckdb.Error as problem:
                log.info("the telemetry store was let go without a checkpoint: %s", problem)
            if not self._connection.execute("select 1 from duckdb_databases() where database_name = 'kept'").fetchall():
                self._connection.execute(self._attach)
            self._settle()
            self._writer = self._connection.cursor()
            self._writer.execute("use kept")
            self._reopened(self._writer)

    def _reopened(self, cursor: Any) -> None:
        """Of what is remembered of the file, read anew what may have changed."""

    def disk_left(self) -> int:
        return shutil.disk_usage(self.file.parent).free

    def bytes_free(self) -> int:
        (row,) = self.query("select block_size, free_blocks from pragma_database_size() where database_name = 'kept'")
        return int(row["block_size"] * row["free_blocks"])

    def bytes_by_table(self) -> dict[str, int]:
        names = [row["table_name"] for row in self.query("select table_name from duckdb_tables()")]
        (size,) = self.query("select block_size from pragma_database_size() where database_name = 'kept'")
        held = {}
        for name in names:
            (row,) = self.query(f"select count(distinct block_id) as blocks from pragma_storage_info('{name}')")
            held[name] = int(row["blocks"] * size["block_size"])
        return held

    def bytes_used(self) -> int:
        return sum(
            one.stat().st_size for one in (self.file, self.file.with_name(self.file.name + ".wal")) if one.exists()
        )

    @contextmanager
    def beside(self, file: Path) -> Iterator[str]:
        """The name under which another store's file can be read meanwhile."""
        self._connection.execute(f"attach '{_escaped(file)}' as other (read_only)")
        try:
            yield "other"
        finally:
            self._connection.execute("detach other")

    def close(self) -> None:
        with self._write:
            self._connection.close()
