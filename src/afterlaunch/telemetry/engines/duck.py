"""DuckDB: one file, owned by one process; every commit is one transaction.

Beside the tables it keeps 1. `seq`, the order in which spans came, and for every block of spans a Bloom filter of its
traces, so that a trace is found without reading the whole table; 2. hours and days of the rollups that are added up
(`rolled`): a commit that touches one makes it stale, `upkeep` adds it up anew.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from afterlaunch.ground.errors import Unavailable
from afterlaunch.telemetry.engines import Changes
from afterlaunch.telemetry.engines.blocks import Blocks
from afterlaunch.telemetry.tables import TIERS, Table
from afterlaunch.telemetry.tiers import Stretch, plan, shorter

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
MEMORY, ONCE = "128MB", "2GB"  # at work; for what breaks the store where it lacks memory
MOST_REPLACED = 500_000
"""Rows: each that is deleted or altered takes some 25 bytes of memory until the next checkpoint, and nothing else can
have them."""
WAL = "64MB"  # so much is read again after a crash; larger: fewer checkpoints, longer start
MOST_SERIES = 200_000  # remembered; others are looked up
ROWS_A_GROUP = 16_384  # a checkpoint writes the last group anew, and a narrow question reads whole groups
_TYPES = {
    pa.string(): "varchar",
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.binary(): "blob",
}
_COARSE = [tier for tier in TIERS if tier != "minute"]


def _escaped(file: Path) -> str:
    return str(file).replace("'", "''")


def column_type(kind: Any) -> str:
    """The DuckDB type that keeps an Arrow type. Raises KeyError."""
    if pa.types.is_fixed_size_binary(kind):
        return "blob"
    if pa.types.is_map(kind):
        return "map(varchar, varchar)"
    if pa.types.is_list(kind):
        return column_type(kind.value_type) + "[]"
    return _TYPES[kind]


class Duck:
    """`threads`: half of the cores by default, so that ingest keeps the others."""

    shared = False
    unwritable: tuple[type[Exception], ...] = (duckdb.DataError, duckdb.InvalidInputException, duckdb.NotSupportedError)
    broken: tuple[type[Exception], ...] = (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException)

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
            "write_buffer_row_group_count": 1,  # a full group is written at once, not held for others
            "temp_directory": str(spilled),  # beside the store, within its disk budget, and not where we were started
        }
        how = "read_only" if read_only else f"row_group_size {ROWS_A_GROUP}"
        self._connection = duckdb.connect(":memory:", config=config)
        self._room, self._need_room = threading.Lock(), 0
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
        self._series: set[int] = set()
        self.to_rebuild = False  # an old layout: only its spans can be relied on
        self._blocks = Blocks()
        self._rolled: dict[str, set[int]] = {tier: set() for tier in _COARSE}
        self._oldest: int | None = None  # minute of the rollups, or one after it; asked for anew after a deletion
        if read_only:
            self._read_rolled()

    @contextmanager
    def _roomy(self) -> Iterator[None]:
        """For what changes many rows, its checkpoint, the log when it is read again, new columns, and questions to
        very long texts. The last one who needs it takes it back."""
        with self._room:
            self._need_room += 1
            self._connection.execute(f"set memory_limit = '{ONCE}'")
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

    def _settle(self) -> None:
        """What a long log held, or a change of the schema, takes memory until a checkpoint. Without need there is none:
        on a full disk it would break what can still be read."""
        held = "select 1 from duckdb_memory() having sum(memory_usage_bytes) * 2 > parse_formatted_bytes(?)"
        if self._connection.execute(held, [MEMORY]).fetchall():
            self._connection.execute("checkpoint kept")
        self._replaced = 0

    def prepare(self, tables: Sequence[Table]) -> None:
        from afterlaunch.telemetry.engines.duck_upgrades import upgrade

        with self._roomy():
            self._prepare(tables, upgrade)
            self._settle()

    def _prepare(self, tables: Sequence[Table], upgrade: Callable[[Any], bool]) -> None:
        with self.transaction() as cursor:
            self.to_rebuild |= upgrade(cursor)
            for table in tables:
                columns = ", ".join(f'"{field.name}" {column_type(field.type)}' for field in table.schema)
                more = ", seq bigint" if table.name == "spans" else ""
                cursor.execute(f"create table if not exists {table.name} ({columns}{more})")
                held = {row[0] for row in cursor.execute(f"describe {table.name}").fetchall()}
                for field in table.schema:
                    if field.name not in held:
                        kind = column_type(field.type)
                        kind += " default 0" if table.summed else ""
                        cursor.execute(f'alter table {table.name} add column "{field.name}" {kind}')
            cursor.execute("create table if not exists rolled (tier varchar, minute integer)")
            cursor.execute("create table if not exists trace_blocks (first bigint, last bigint, bits blob)")
            self._blocks = Blocks.read(cursor)
        self._names = {table.name: [field.name for field in table.schema] for table in tables}
        self._read_rolled()

    def _read_rolled(self) -> None:
        cursor = self._cursor()
        if cursor.execute("select 1 from duckdb_tables() where table_name = 'rolled'").fetchall():
            for tier, minute in cursor.execute("select tier, minute from rolled").fetchall():
                self._rolled[tier].add(minute)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        return self._asked(lambda: self._query(sql, parameters))

    def _query(self, sql: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
        found = self._cursor().execute(sql, list(parameters))
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        return self._asked(lambda: self._cursor().sql(sql, params=list(parameters)).to_arrow_table())

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        """Texts of 100 kB each make a block of them larger than the memory at work: it is asked again with more."""
        try:
            return ask()
        except duckdb.OutOfMemoryException:
            with self._roomy():
                return ask()

    def _cursor(self) -> Any:
        """A cursor of the calling thread: reads run beside the one writer."""
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._connection.cursor()
            cursor.execute("use kept")
        return cursor

    def _lighten(self, replaced: int) -> None:
        """After a transaction that deleted or altered so many rows."""
        self._replaced += replaced
        if self._replaced >= MOST_REPLACED:
            with self._write, self._roomy():
                self._writer.execute("checkpoint kept")
            self._replaced = 0

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

    def finish(self, spans: Any) -> None:
        """A transaction leaves nothing half done."""

    def write(self, changes: Changes) -> None:
        stale = self._touched(changes)
        with self.transaction() as cursor:
            if changes.gone:
                keys = {
                    "client": pa.array([one.client for one in changes.gone]),
                    "start_ns": pa.array([one.start_ns for one in changes.gone], pa.int64()),
                    "span_id": pa.array([one.span_id for one in changes.gone], pa.binary()),
                }
                cursor.register("gone", pa.table(keys))
                bounds = [min(one.start_ns for one in changes.gone), max(one.start_ns for one in changes.gone)]
                cursor.execute(
                    "delete from calls where start_ns between ? and ?"
                    " and (client, start_ns, span_id) in (select client, start_ns, span_id from gone)",
                    bounds,
                )
            block, known = self._blocks, list[int]()
            for name, rows in changes.added.items():
                if not rows.num_rows:
                    continue
                if name == "spans":
                    numbers = np.arange(block.next, block.next + rows.num_rows, dtype=np.int64)
                    cursor.register("batch", rows.append_column("seq", pa.array(numbers)))
                    block = block.with_traces(rows["trace_id"])
                    cursor.execute("insert into spans by name select * from batch")
                elif name == "series":
                    rows = self._unknown(rows)
                    cursor.register("batch", rows)
                    if rows.num_rows:
                        cursor.execute("insert into series select * from batch where id not in (select id from series)")
                        known += rows["id"].to_pylist()
                else:
                    cursor.register("batch", rows)
                    cursor.execute(f"insert into {name} by name select * from batch")
            block = block.written(cursor)
            whole = {
                tier: np.unique(rows["minute"].to_numpy()).tolist()
                for tier in _COARSE
                if (rows := changes.added.get(f"sums_{tier}")) is not None and rows.num_rows
            }
            for tier, minute in [*stale, *((tier, one) for tier, minutes in whole.items() for one in minutes)]:
                cursor.execute("delete from rolled where tier = ? and minute = ?", [tier, minute])
            for tier, minutes in whole.items():
                cursor.executemany("insert into rolled values (?, ?)", [[tier, minute] for minute in minutes])
        self._blocks = block
        self._series.update(known)
        for tier, minute in stale:
            self._rolled[tier].discard(minute)
        for tier, minutes in whole.items():
            self._rolled[tier] |= set(minutes)

    def _unknown(self, rows: Any) -> Any:
        """Those series that are not known to be stored."""
        if len(self._series) > MOST_SERIES:
            self._series.clear()
        return rows.filter(pa.array([one not in self._series for one in rows["id"].to_pylist()], pa.bool_()))

    def _touched(self, changes: Changes) -> list[tuple[str, int]]:
        """Hours and days whose sums a commit makes stale."""
        told = [changes.added[name] for name in ("sums_minute", "profile_minute") if name in changes.added]
        rows = [one["minute"].to_numpy() for one in told if one.num_rows]
        if not rows or not any(self._rolled.values()):
            return []
        minutes = np.unique(np.concatenate(rows))
        out: list[tuple[str, int]] = []
        for tier in _COARSE:
            starts = set((np.unique(minutes // TIERS[tier]) * TIERS[tier]).tolist())
            out += [(tier, start) for start in starts & self._rolled[tier]]
        return out

    def land(self, table: Table, rows: Any, token: str) -> int:
        same = " and ".join(f"s.{key} = b.{key}" for key in table.keys)
        with self.transaction() as cursor:
            cursor.register("batch", rows)
            new = f"""insert into {table.name} by name select * from batch b where not exists (
                select 1 from {table.name} s where {same} and s.{table.instant} between
                    (select min({table.instant}) from batch) and (select max({table.instant}) from batch))
                qualify row_number() over (partition by {", ".join(table.keys)}) = 1"""
            return int(cursor.execute(new).fetchone()[0])

    def delete(self, table: Table, condition: str, parameters: Sequence[Any] = ()) -> int:
        with self._changing() as cursor:
            told = f"delete from {table.name} where {condition}"
            gone = int(cursor.execute(told, list(parameters)).fetchone()[0])
        self._oldest = None
        self._lighten(gone)
        return gone

    def stretches(self, first: int, last: int, grain: int) -> list[Stretch]:
        hours, days = self._rolled["hour"], self._rolled["day"]
        found = plan(first, last, grain, hours, days)
        if grain or not any(one.tier == "day" for one in found) or not self._whole_since(first):
            return found
        return shorter(found, hours, days)

    def _whole_since(self, minute: int) -> bool:
        """Whether all minutes from that one's day on are kept, and hours with them: none was forgotten."""
        if self._oldest is None:
            (row,) = self.query("select min(minute) as oldest from sums_minute")
            self._oldest = row["oldest"]
        if self._oldest is None:
            return False
        day, hour = minute // TIERS["day"] * TIERS["day"], min(self._rolled["hour"])
        return self._oldest < day or self._oldest < hour + TIERS["hour"]

    def holding(self, trace_id: bytes) -> tuple[str, list[Any]]:
        return self._blocks.holding(self._cursor(), trace_id)

    def lately(self) -> str:
        """There are none."""
        return "false"

    def keep(self, days: Mapping[str, int]) -> None:
        """A file forgets nothing by itself."""

    def upkeep(self, now_ns: int) -> None:
        """Add up the hours and days that are over."""
        from afterlaunch.telemetry.engines.duck_rolling import due, roll

        while stale := due(self._cursor(), self._rolled, now_ns):
            with self._changing() as cursor:
                replaced = roll(cursor, stale)
            self._lighten(replaced)
            for tier, minutes in stale.items():
                self._rolled[tier] |= set(minutes)

    def reopen(self) -> None:
        """Cursors of other threads go on with it. What a failed checkpoint left undone is in the write-ahead log."""
        with self._write, self._roomy():
            try:
                self._connection.execute("detach kept")
            except duckdb.Error as problem:
                log.warning("the telemetry store was let go without a checkpoint: %s", problem)
            if not self._connection.execute("select 1 from duckdb_databases() where database_name = 'kept'").fetchall():
                self._connection.execute(self._attach)
            self._settle()
            self._writer = self._connection.cursor()
            self._writer.execute("use kept")
            self._series.clear()
            self._blocks = Blocks.read(self._writer)
            self._rolled = {tier: set() for tier in _COARSE}
            self._read_rolled()

    def blank(self, table: Table, columns: Sequence[str], condition: str, parameters: Sequence[Any] = ()) -> int:
        emptied = ", ".join(f'"{name}" = null' for name in columns)
        with self._changing() as cursor:
            told = f"update {table.name} set {emptied} where {condition}"
            altered = int(cursor.execute(told, list(parameters)).fetchone()[0])
        self._lighten(altered)
        return altered

    def restate(self, ids: Mapping[int, int], series: Any) -> None:
        altered = 0
        with self._changing() as cursor:
            renamed = {"old": pa.array(list(ids), pa.int64()), "new": pa.array(list(ids.values()), pa.int64())}
            cursor.register("renamed", pa.table(renamed))
            for tier in TIERS:
                for kind in ("sums", "profile"):
                    told = f"update {kind}_{tier} set series = renamed.new from renamed where series = renamed.old"
                    altered += int(cursor.execute(told).fetchone()[0])
            cursor.execute("update failures set series = renamed.new from renamed where series = renamed.old")
            cursor.execute("delete from series where id in (select old from renamed)")
            cursor.register("batch", series)
            cursor.execute("insert into series select * from batch where id not in (select id from series)")
        self._series -= set(ids)
        self._lighten(altered)

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
