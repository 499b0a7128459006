"""The embedded telemetry store: one DuckDB file, owned by one process.

A commit takes any number of normalised tables and, in one transaction: 1. drops spans already stored (resends);
2. appends the new spans; 3. turns those that are calls into rows of `calls`, merged with what other instrumentations
said of the same call; 4. adds the rollup increments, and negative ones for calls that a merge replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from afterlaunch.ground.errors import Unavailable
from afterlaunch.telemetry import aggregates, merging, schema
from afterlaunch.telemetry.calls import Row, group
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.seen import Processes, Seen, keys

MEMORY = "256MB"
NOT_YET_STORED = """create or replace temp table incoming as
    select * from batch b where not exists (
        select 1 from spans s where s.span_id = b.span_id and s.trace_id = b.trace_id and s.client = b.client
        and s.start_ns between (select min(start_ns) from batch) and (select max(start_ns) from batch))
    qualify row_number() over (partition by client, trace_id, span_id) = 1"""


def column_type(field: Any) -> str:
    """The DuckDB type that keeps an Arrow field."""
    if pa.types.is_fixed_size_binary(field.type) or pa.types.is_binary(field.type):
        return "blob"
    if pa.types.is_map(field.type):
        return "map(varchar, varchar)"
    if pa.types.is_list(field.type):
        return column_type(field.type.value_field) + "[]"
    if pa.types.is_float64(field.type):
        return "double"
    names = {pa.string(): "varchar", pa.bool_(): "boolean", pa.int8(): "tinyint", pa.int16(): "smallint"}
    return names.get(field.type, "bigint")


class Store:
    """Reads run on cursors of their own, beside the one writer. `read_only`: nothing but `query` works."""

    def __init__(self, file: Path, read_only: bool = False) -> None:
        self.file = file
        if not read_only:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._connection = duckdb.connect(
                str(file), read_only=read_only, config={"memory_limit": MEMORY, "threads": 2}
            )
        except duckdb.IOException as problem:
            raise Unavailable(
                f"The telemetry store cannot be opened: {problem}", "Is another server running on it?"
            ) from None
        self._write = threading.Lock()
        self._local = threading.local()
        if not read_only:
            self._prepare()

    def _prepare(self) -> None:
        columns = ", ".join(f'"{field.name}" {column_type(field)}' for field in SPANS)
        for statement in (
            f"create table if not exists spans ({columns})",
            schema.CALLS,
            schema.ROLLUP,
            schema.DEAD_LETTER,
            *schema.UPGRADES,
        ):
            self._connection.execute(statement)
        self._processes = Processes(
            self._connection.execute(
                "select distinct client, instance, unnest(scopes) from calls where instance is not null"
                " and minute > (select max(minute) from calls) - ?",
                [merging.near_minutes()],
            ).fetchall()
        )
        self._seen = Seen()
        for batch in self._connection.sql("select span_id from spans").to_arrow_reader(100_000):
            self._seen.add(keys(batch.column(0)))

    def close(self) -> None:
        with self._write:
            self._connection.close()

    def query(self, sql: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
        """Rows as dicts, on a cursor of the calling thread."""
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._connection.cursor()
        found = cursor.execute(sql, parameters or [])
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def commit(self, tables: list[Any]) -> tuple[int, int]:
        """Returns (stored, duplicates). When it returns, the spans are durable."""
        batch = pa.concat_tables(tables)
        if not batch.num_rows:
            return 0, 0
        ids = keys(batch["span_id"])
        with self.transaction() as cursor:
            cursor.register("batch", batch)
            stored = self._store(cursor, self._seen.may_repeat(ids))
        self._seen.add(ids)
        return stored, batch.num_rows - stored

    def settle(self, now_ns: int) -> int:
        """Count usage that was told in sum only (`aggregates`); returns how many rows changed."""
        with self.transaction() as cursor:
            return aggregates.settle(cursor, now_ns)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor of the one writer; all or nothing."""
        with self._write:
            cursor = self._connection.cursor()
            cursor.execute(f"set variable near_minutes = {merging.near_minutes()}")
            cursor.execute("begin")
            try:
                yield cursor
                cursor.execute("commit")
            except BaseException:
                cursor.execute("rollback")
                raise
            finally:
                cursor.close()

    def _store(self, cursor: Any, may_repeat: bool) -> int:
        source = "batch"
        if may_repeat:
            source = "incoming"
            cursor.execute(NOT_YET_STORED)
        stored: int = cursor.execute(f"insert into spans select * from {source}").fetchone()[0]
        cursor.execute(f"create or replace temp table fresh as {schema.calls_from(source)}")
        self._merge(cursor)
        cursor.execute("insert into calls by name select * from fresh")
        cursor.execute(schema.roll_up("fresh", 1))
        return stored

    def _merge(self, cursor: Any) -> None:
        """Regroup what may be told twice."""
        told = cursor.execute(
            "select distinct client, instance, scope from fresh where instance is not null"
        ).fetchall()
        mixed = self._processes.with_two_scopes(told)
        if mixed:
            cursor.execute("create or replace temp table two_scopes (client varchar, instance varchar)")
            cursor.executemany("insert into two_scopes values (?, ?)", mixed)
        for statement in merging.look_around(mixed):
            cursor.execute(statement)
        if cursor.execute("select count(*) from suspect").fetchone()[0]:
            self._regroup(cursor)

    def _regroup(self, cursor: Any) -> None:
        """Take the suspects apart into one row per span, and group them anew: so late members find their place."""
        for statement in merging.TAKE_APART:
            cursor.execute(statement)
        merged = group(self._with_ancestors(cursor, _rows(cursor, "select * from atom")))
        cursor.execute(schema.roll_up("replaced", -1))
        cursor.execute(
            "delete from calls where rowid in (select place from near where (client, span_id) in (from suspect))"
        )
        cursor.execute("delete from fresh where (client, span_id) in (from suspect)")
        names = [column[0] for column in cursor.execute("select * from fresh limit 0").description]
        marks = ", ".join("?" for _ in names)
        cursor.executemany(f"insert into fresh values ({marks})", [[row[name] for name in names] for row in merged])

    def _with_ancestors(self, cursor: Any, rows: list[Row]) -> list[Row]:
        """Each row's ancestors' span ids, from the stored spans of its trace."""
        parents: dict[tuple[str, bytes, bytes], bytes] = {}
        for client, trace, span, parent in cursor.execute(
            "select client, trace_id, span_id, parent_span_id from spans where parent_span_id is not null"
            " and trace_id in (select trace_id from atom)"
        ).fetchall():
            parents[client, trace, span] = parent
        for row in rows:
            chain: set[bytes] = set()
            span = row["span_id"]
            while (above := parents.get((row["client"], row["trace_id"], span))) is not None and above not in chain:
                chain.add(above)
                span = above
            row["ancestors"] = chain
        return rows

    def bury(self, at_ns: int, client: str, why: str, body: bytes) -> None:
        """Keep what could not be stored, with the reason."""
        with self._write:
            self._connection.cursor().execute("insert into dead_letter values (?, ?, ?, ?)", [at_ns, client, why, body])


def _rows(cursor: Any, sql: str) -> list[Row]:
    found = cursor.execute(sql)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


_stores: dict[str, Store] = {}


def open_store(file: Path, read_only: bool = False) -> Store:
    """Open the process's store; `current` gives it to everybody else. Raises Unavailable while another has it."""
    _stores["current"] = Store(file, read_only)
    return _stores["current"]


def close_store() -> None:
    if store := _stores.pop("current", None):
        store.close()


def current() -> Store:
    """The open store. Raises Unavailable in a process that owns none."""
    if "current" not in _stores:
        raise Unavailable("The telemetry store belongs to the running server.", "Ask it through the API.")
    return _stores["current"]
