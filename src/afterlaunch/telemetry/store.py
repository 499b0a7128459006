"""The telemetry store: what a commit does, on whichever engine keeps it.

A commit takes any number of normalised tables and 1. drops spans already stored (resends); 2. turns those that are
calls into rows of `calls`, merged with what other instrumentations said of the same call; 3. adds what they add to the
rollups, and negative increments for calls that a merge replaced; 4. counts what the spans tell of their senders'
conventions; 5. writes all of it as one change.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.ground.errors import Unavailable
from afterlaunch.ground.settings import settings
from afterlaunch.telemetry import aggregates, callrows, lineage, memory, merging, origins, rollups, sum_checks, tally
from afterlaunch.telemetry.apart import FAULTS
from afterlaunch.telemetry.calls import apart_ns
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.engines import Changes, Contested, Engine
from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.engines.duck_summed import put_together
from afterlaunch.telemetry.reconcile import reconcile
from afterlaunch.telemetry.remembered import of_ids
from afterlaunch.telemetry.rollups import Increments, SeriesIds
from afterlaunch.telemetry.tables import CALLS, COUNT_TABLE, DEAD_LETTERS, HOUR_NS, TABLES, Table
from afterlaunch.telemetry.times import within

log = logging.getLogger(__name__)
LATELY_NS = 600 * 10**9  # so long ago may what is told now have ended; so far ahead may its clock be
TRIES = 8
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # as malloc.h names them
ARENAS, LARGE = 3, 2**24
SWITCH_SECONDS = 0.001  # Python's own 0.005 has who reads, who commits and who answers wait for each other
LEARNED_SECONDS, MOST_SENDERS = 10.0, 50_000


@dataclass(frozen=True)
class _Change:
    """`look` tells which rows of `calls` come and go as things stand; `spans` are new."""

    name: str
    look: Callable[[], merging.Merged]
    spans: Any = field(default_factory=SPANS.empty_table)

    def token(self, merged: merging.Merged) -> str:
        """Of new spans their own, whoever else is at it; else what is changed."""
        if self.spans.num_rows:
            return _token(self.spans)
        return f"{self.name}-{_token(merged.added)}-{_token(merged.gone)}"


class Store:
    """`read_only`: nothing but questions works."""

    def __init__(self, engine: Engine, read_only: bool = False) -> None:
        self.engine = engine
        self._write = threading.Lock()
        self._ids = SeriesIds()
        self._unsure = False
        self._needed: dict[int, int] = {}
        self._learned: dict[str, float] = {}
        if not read_only:
            engine.prepare(TABLES)
        self._recalling = memory.Recalling(engine, read_only)

    @property
    def _memory(self) -> memory.Memory:
        """Waits until what was stored is recalled. Raises what the engine raises."""
        return self._recalling.memory()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time. After a write that broke, all that is remembered is read again from what is durable,
        so that what the sender sends again is known where it had landed. Raises Unavailable."""
        with self._write:
            try:
                if self._unsure:
                    self._go_on()
                yield
            except self.engine.broken as problem:
                self._unsure = True
                raise Unavailable("The telemetry store cannot be written now.", "Is its disk full?", 10) from problem

    def _go_on(self) -> None:
        self._recalling.wait()
        self.engine.reopen()
        self._ids, self._recalling = SeriesIds(), memory.Recalling(self.engine)
        self._recalling.memory()
        self._unsure = False

    def take_out(self, table: Table, condition: str, parameters: Sequence[Any] = ()) -> int:
        """Delete rows for good; how many these were."""
        with self._writing():
            return self.engine.delete(table, condition, parameters)

    def blank(self, table: Table, columns: Sequence[str], condition: str, parameters: Sequence[Any] = ()) -> int:
        """Empty columns for good; of how many rows."""
        with self._writing():
            return self.engine.blank(table, columns, condition, parameters)

    def rename_tenant(self, client: str, old: str, new: str) -> int:
        """Its sums count under another name from now on; how many series these were."""
        with self._writing():
            told = self.engine.arrow("select * from series where client = ? and tenant = ?", [client, old])
            if not told.num_rows:
                return 0
            place = told.column_names.index("tenant")
            other = told.set_column(place, "tenant", pa.array([new] * told.num_rows))
            ids, series = self._ids.of(other)
            self.engine.restate(dict(zip(told["id"].to_pylist(), ids.tolist(), strict=True)), series)
            return int(told.num_rows)

    @property
    def unwritable(self) -> tuple[type[Exception], ...]:
        """What `commit` raises for rows that can never be stored."""
        return (*FAULTS, pa.ArrowCapacityError, *self.engine.unwritable)

    def close(self) -> None:
        with self._write:
            self._recalling.wait()  # it reads what is closed now
            self.engine.close()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        return self.engine.query(sql, parameters)

    def commit(self, tables: list[Any]) -> tuple[int, int]:
        """Returns (stored, duplicates). When it returns, the spans are durable."""
        batch = pa.concat_tables([_in_schema(one) for one in tables]).combine_chunks()
        if not batch.num_rows:
            return 0, 0
        with self._writing():
            told = batch.num_rows
            self.engine.finish(batch["span_id"])
            batch = self._not_yet_stored(batch)
            if batch.num_rows:
                self._commit(batch)
            return batch.num_rows, told - batch.num_rows

    def _commit(self, batch: Any) -> None:
        batch = lineage.inherited(batch)
        rows = callrows.of_spans(batch)
        if self.engine.shared and rows.num_rows:
            self._learn(rows)
        untouched = merging.Merged(rows, CALLS.empty_table())
        change = (lambda: self._merged(rows, batch)) if rows.num_rows else lambda: untouched
        self._write_when_agreed(_Change("", change, batch))
        self._memory.spans.add(batch["start_ns"].to_numpy(), of_ids(batch["span_id"]))
        if rows.num_rows:
            self._memory.suspects.remember(rows)

    def _write_when_agreed(self, meant: _Change) -> int:
        """Write it; look again while another process changes the same calls. How many rows of `calls` it was. Raises
        Unavailable."""
        spans = meant.spans
        more = {"spans": spans, "attribute_counts": tally.of_spans(spans)} if spans.num_rows else {}
        for turn in range(TRIES):
            merged = meant.look()
            increments = rollups.of_commit(merged.added, merged.gone, spans, self._ids)
            try:
                if more or merged.number:
                    self._write_down(meant.token(merged), increments, merged, **more)
                return merged.number
            except Contested:
                time.sleep(random.uniform(0.02, 0.1) * (turn + 1))  # noqa: S311 - so that two do not meet again
        raise Unavailable("Other processes change the same calls all the time.", "Send again later.", 1)

    def _learn(self, rows: Any) -> None:
        """Under which scopes other processes of ours were told calls by the same senders."""
        senders = set(rows["instance"].to_pylist()) - {None}
        now = time.monotonic()
        asked = sorted(one for one in senders if now - self._learned.get(one, -LEARNED_SECONDS) >= LEARNED_SECONDS)
        if not asked:
            return
        when, bounds = within("start_ns", rows["start_ns"].to_numpy(), apart_ns())
        found = self.engine.query(
            "select distinct client, instance, model_requested, unnest(scopes) as scope from calls"
            f" where {when} and instance in (select unnest(?)) and model_requested is not null",
            [*bounds, asked],
        )
        names = ("client", "instance", "model_requested", "scope")
        self._memory.suspects.processes.note(tuple(row[name] for name in names) for row in found if row["scope"])
        if len(self._learned) > MOST_SENDERS:
            self._learned.clear()
        self._learned |= dict.fromkeys(asked, now)

    def _write_down(self, token: str, more: Increments, merged: merging.Merged, **added: Any) -> None:
        tables = {**added, "calls": merged.added, "series": more.series}
        tables |= {"sums_minute": more.sums, "profile_minute": more.profile}
        self.engine.write(Changes(token, tables, merging.as_gone(merged.gone)))

    def _not_yet_stored(self, batch: Any) -> Any:
        """The spans that no earlier commit stored, each once."""
        keys, starts = of_ids(batch["span_id"]), batch["start_ns"].to_numpy()
        suspicious = np.ones(len(keys), bool)
        if not self.engine.shared:
            suspicious = self._memory.spans.may_hold(starts, starts, keys)
        if len(np.unique(keys)) == len(keys) and not suspicious.any():
            return batch
        looked = batch.filter(pa.array(suspicious))
        stored = self._stored(looked) if looked.num_rows else set()
        if not stored and len(np.unique(keys)) == len(keys):
            return batch
        kept, seen = [], stored
        columns = zip(*(batch[name].to_pylist() for name in ("client", "trace_id", "span_id")), strict=True)
        for place, key in enumerate(columns):
            if key not in seen:
                seen.add(key)
                kept.append(place)
        return batch.take(pa.array(kept, pa.int64())).combine_chunks()

    def _stored(self, batch: Any) -> set[tuple[str, bytes, bytes]]:
        when, bounds = within("start_ns", batch["start_ns"].to_numpy())
        found = self.engine.query(
            f"select client, trace_id, span_id from spans where {when} and span_id in (select unhex(unnest(?)))",
            [*bounds, callrows.hex_of(batch["span_id"]).to_pylist()],
        )
        return {(row["client"], row["trace_id"], row["span_id"]) for row in found}

    def _merged(self, rows: Any, batch: Any) -> merging.Merged:
        """The new rows with what is stored already of the same calls."""
        meant = self._memory.suspects.among(rows)
        ask = self._memory.suspects.ask(rows, apart_ns())
        near = []
        if ask.any():
            mixed = self._memory.suspects.in_mixed_processes(rows)[ask]
            near = merging.neighbours(self.engine, rows.filter(pa.array(ask)), mixed)
        return merging.merged(self.engine, rows, meant, near, batch)

    def settle(self, now_ns: int) -> int:
        """Count usage that was told in sum only (`aggregates`), give calls what late ancestors tell (`lineage`), make
        one call of what several writers stored of it (`reconcile`), find where failures began (`origins`) and which
        sums are not those of their calls (`sum_checks`); returns how many rows changed."""
        changed = 0
        for name, change in (
            ("settle", lambda: aggregates.settle(self.engine, now_ns)),
            ("reconcile", lambda: reconcile(self.engine, self.engine.lately())),
        ):
            with self._writing():
                if name == "settle" or self.engine.shared:
                    changed += self._write_when_agreed(_Change(f"{name}-{now_ns}", change))
        changed += self._noted(lambda: sum_checks.look(self.engine, now_ns))
        changed += self.inherit(now_ns - LATELY_NS, now_ns + LATELY_NS)
        return changed + self.trace_failures(now_ns - LATELY_NS, now_ns + LATELY_NS)

    def inherit(self, first_ns: int, last_ns: int) -> int:
        """What ancestors tell that ended in this time, however long ago; returns how many rows changed."""
        changed = 0
        for since in range(first_ns, last_ns + 1, HOUR_NS):
            for number, traces in enumerate(lineage.candidates(self.engine, since, since + HOUR_NS)):
                look = partial(lineage.late, self.engine, since, traces)
                with self._writing():  # for each, so that commits have their turn
                    changed += self._write_when_agreed(_Change(f"inherit-{since}-{number}", look))
        return changed

    def trace_failures(self, first_ns: int, last_ns: int) -> int:
        """Note where the failures began whose traces hold a span that ended in this time, and which of them were made
        good (`origins`); of how many spans that is news."""
        changed = 0
        for since in range(first_ns, last_ns + 1, HOUR_NS):
            for traces in origins.candidates(self.engine, since, min(since + HOUR_NS, last_ns + 1)):
                changed += self._noted(partial(origins.look, self.engine, since, traces, self._ids))
        return changed

    def _noted(self, look: Callable[[], Changes | None]) -> int:
        """In the writer's turn, so that commits have theirs between. Of how many rows it is news."""
        with self._writing():
            change = look()
            if change is None:
                return 0
            self.engine.write(change)
            return max(int(rows.num_rows) for rows in change.added.values())

    def replace_calls(self, name: str, look: Callable[[], merging.Merged]) -> int:
        """Rows of `calls` come and go as `look` tells, with what that adds to the rollups; how many came."""
        with self._writing():
            return self._write_when_agreed(_Change(name, look)) // 2

    def adopt(self, calls: Any) -> None:
        """Add rows of `calls` (schema CALLS) as they are, with what they add to the rollups."""
        with self._write:
            merged = merging.Merged(calls, CALLS.empty_table())
            increments = rollups.of_commit(calls, merged.gone, SPANS.empty_table(), self._ids)
            self._write_down(_token(calls), increments, merged)

    def upkeep(self, now_ns: int) -> None:
        """Whatever makes later questions cheaper; safe to repeat."""
        with self._writing():
            self.engine.upkeep(now_ns)
            if isinstance(self.engine, Duck):
                put_together(self.engine, COUNT_TABLE, now_ns, self._needed)

    def land(self, table: Table, rows: Any) -> int:
        """Add the rows whose keys are not stored yet; how many these were."""
        with self._writing():
            return self.engine.land(table, rows, _token_of(rows, table.keys))

    def bury(self, at_ns: int, client: str, why: str, body: bytes) -> None:
        """Keep what could not be stored, with the reason; a nanosecond later for each that its client has of then."""
        with self._writing():
            while self.engine.query("select 1 from dead_letter where at_ns = ? and client = ?", [at_ns, client]):
                at_ns += 1
            row = pa.table([pa.array([value]) for value in (at_ns, client, why, body)], schema=DEAD_LETTERS)
            self.engine.write(Changes(f"dead-{at_ns}-{client}", {"dead_letter": row}))


def _in_schema(rows: Any) -> Any:
    """Rows of the schema SPANS; an older version of the product put down columns that were there then."""
    if rows.schema == SPANS:
        return rows
    there = set(rows.column_names)
    if not there >= {"client", "trace_id", "span_id", "start_ns"}:
        raise pa.ArrowInvalid("These rows are no spans.")
    columns = [rows[one.name] if one.name in there else pa.nulls(rows.num_rows, one.type) for one in SPANS]
    return pa.table(columns, names=SPANS.names).cast(SPANS)


def _token(batch: Any) -> str:
    return _token_of(batch, ("client", "trace_id", "span_id"))


def _token_of(rows: Any, keys: Sequence[str]) -> str:
    """The same for the same rows in the same order."""
    digest = hashlib.blake2b(digest_size=16)
    for name in keys:
        for buffer in rows[name].combine_chunks().buffers():
            if buffer is not None:
                digest.update(buffer)
    return digest.hexdigest()


_stores: dict[str, Store] = {}


def place() -> Path | str:
    """Where the settings put the store: a DuckDB file of the data folder, or a ClickHouse URL."""
    return settings().text("TELEMETRY_URL") or settings().data / "telemetry.duckdb"


def engine_at(where: Path | str, read_only: bool = False) -> Engine:
    """Raises Unavailable, WrongSetting."""
    if isinstance(where, Path):
        return Duck(where, read_only)
    from afterlaunch.telemetry.engines.clickhouse import ClickHouse
    from afterlaunch.telemetry.engines.clickhouse_clients import address

    return ClickHouse(address(where))


def _hold_little() -> None:
    """What a commit frees is the next one's. Arrow's own pool keeps 150 MiB of a server under load; glibc keeps some
    for each of its arenas, of which it would make eight a core. What it gave back would be fetched anew, a page fault
    for each 4 KiB: giving back 1 MiB at once cost 3 to 5 µs a span."""
    pa.set_memory_pool(pa.system_memory_pool())
    if tune := getattr(ctypes.CDLL(None), "mallopt", None):
        tune(M_ARENA_MAX, ARENAS)
        tune(M_MMAP_THRESHOLD, LARGE)
        tune(M_TRIM_THRESHOLD, LARGE)


def open_store(where: Path | str, read_only: bool = False) -> Store:
    """Open the process's store; `current` gives it to everybody else. Raises Unavailable, WrongSetting."""
    _hold_little()
    sys.setswitchinterval(SWITCH_SECONDS)
    engine = engine_at(where, read_only)
    store = Store(engine, read_only)
    if isinstance(engine, Duck) and engine.to_rebuild:
        from afterlaunch.telemetry.rebuild import renew

        store.close()
        renew(engine.file)
        store = Store(Duck(engine.file))
    _stores["current"] = store
    return store


def close_store() -> None:
    if store := _stores.pop("current", None):
        store.close()


def current() -> Store:
    """The open store. Raises Unavailable in a process that owns none."""
    if "current" not in _stores:
        raise Unavailable("The telemetry store belongs to the running server.", "Ask it through the API.")
    return _stores["current"]
