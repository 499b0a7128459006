"""DuckDB: one file, owned by one process; every commit is one transaction.

Beside the tables it keeps 1. `seq`, the order in which spans came, and for every block of spans a Bloom filter of its
traces, so that a trace is found without reading the whole table; 2. hours and days of the rollups that are added up
(`rolled`): a commit that touches one makes it stale, `upkeep` adds it up anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.telemetry.engines import Changes
from afterlaunch.telemetry.engines.blocks import Blocks
from afterlaunch.telemetry.engines.duck_file import DuckFile
from afterlaunch.telemetry.tables import TIERS, Table
from afterlaunch.telemetry.tiers import Stretch, plan, shorter

MOST_SERIES = 200_000  # remembered; others are looked up
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


def column_type(kind: Any) -> str:
    """The DuckDB type that keeps an Arrow type. Raises KeyError."""
    if pa.types.is_fixed_size_binary(kind):
        return "blob"
    if pa.types.is_map(kind):
        return "map(varchar, varchar)"
    if pa.types.is_list(kind):
        return column_type(kind.value_type) + "[]"
    return _TYPES[kind]


class Duck(DuckFile):
    """The tables of telemetry in a file."""

    shared = False

    def __init__(self, file: Path, read_only: bool = False, threads: int | None = None) -> None:
        super().__init__(file, read_only, threads)
        self._series: set[int] = set()
        self.to_rebuild = False  # an old layout: only its spans can be relied on
        self._blocks = Blocks()
        self._rolled: dict[str, set[int]] = {tier: set() for tier in _COARSE}
        self._oldest: int | None = None  # minute of the rollups, or one after it; asked for anew after a deletion
        if read_only:
            self._read_rolled()

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

    def finish(self, spans: Any) -> None:
        """A transaction leaves nothing half done."""

    def write(self, changes: Changes) -> None:
        spans = changes.added.get("spans")
        with self._room_for(*((spans.num_rows, spans.nbytes) if spans is not None else (0, 0))):
            self._write_down(changes)

    def _write_down(self, changes: Changes) -> None:
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
        self._replaced += len(changes.gone)
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
        self.lighten(gone)
        return gone

    def stretches(self, first: int, last: int, grain: int) -> list[Stretch]:
        hours, days = self._rolled["hour"], self._rolled["day"]
        found = plan(first, last, grain, hours, days)
        if grain or not any(one.tier == "day" for one in found) or not self.whole_since(first):
            return found
        return shorter(found, hours, days)

    def whole_since(self, minute: int) -> bool:
        """Whether all minutes from that one's day on are kept, and hours with them: none was forgotten."""
        if self._oldest is None:
            (row,) = self.query("select min(minute) as oldest from sums_minute")
            self._oldest = row["oldest"]
        if self._oldest is None:
            return False
        if not self._rolled["hour"]:
            return True
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
            self.lighten(replaced)
            for tier, minutes in stale.items():
                self._rolled[tier] |= set(minutes)

    def _reopened(self, cursor: Any) -> None:
        self._series.clear()
        self._blocks = Blocks.read(cursor)
        self._rolled = {tier: set() for tier in _COARSE}
        self._read_rolled()

    def blank(self, table: Table, columns: Sequence[str], condition: str, parameters: Sequence[Any] = ()) -> int:
        emptied = ", ".join(f'"{name}" = null' for name in columns)
        with self._changing() as cursor:
            told = f"update {table.name} set {emptied} where {condition}"
            altered = int(cursor.execute(told, list(parameters)).fetchone()[0])
        self.lighten(altered)
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
        self.lighten(altered)
