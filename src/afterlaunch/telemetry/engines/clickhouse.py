"""ClickHouse: a server, a cluster, or its engine inside this process; several processes write to it.

The tables are MergeTrees (`clickhouse_tables`), questions are translated (`clickhouse_sql`), a commit lands once
(`clickhouse_commits`). A commit's tables are written in this order: spans, calls, series, profile, sums; whoever asks
in between may see a call before it is summed, never a sum of unknown series. Calls are replaced by key: of a row's
versions the newest counts, and one that is gone hides the others. Hours and days of the rollups are filled by views
from what comes into the minutes, in the same insert and under its token.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.engines import Changes, Contested, Gone
from afterlaunch.telemetry.engines import clickhouse_commits as commits
from afterlaunch.telemetry.engines.clickhouse_clients import Address
from afterlaunch.telemetry.engines.clickhouse_commits import Commit
from afterlaunch.telemetry.engines.clickhouse_database import Database
from afterlaunch.telemetry.engines.clickhouse_sql import bound, only_keys
from afterlaunch.telemetry.engines.clickhouse_tables import (
    ROW_GONE,
    ROW_VERSION,
    empty,
    filled,
    layout,
    restating,
)
from afterlaunch.telemetry.tables import CALLS, FAILURE_TABLE, PROFILE_TABLES, SERIES_TABLE, SUM_TABLES, Table
from afterlaunch.telemetry.tiers import Stretch, plan

_ORDER = ("spans", "calls", "series", "profile_minute", "sums_minute")
_KNOWN_SERIES = 200_000
SERIES_SECONDS = 600.0
"""A series is written again after so long: another process may have taken it out."""
KEYS_AT_ONCE = 50_000
LATELY_NS = 300_000_000_000


class _All:
    """Every hour and day is up to date: the views write them with the minutes."""

    def __contains__(self, minute: object) -> bool:
        return True

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


class ClickHouse(Database):
    """`keep`: as the database takes it."""

    shared = True
    unwritable: tuple[type[Exception], ...] = (pa.ArrowTypeError, pa.ArrowNotImplementedError)
    broken: tuple[type[Exception], ...] = ()

    def __init__(self, to: Address, keep: Mapping[str, int] | None = None) -> None:
        super().__init__(to, keep)
        self._series: dict[int, float] = {}

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        text, given = bound(sql, parameters, self._versioned)
        return self._rows(text, given, self._bytes_in(text))

    def _bytes_in(self, sql: str) -> list[str]:
        """Columns of bytes of any length in the tables that are asked."""
        words = set(re.findall(r"\w+", sql)) & self._tables.keys()
        fields = [field for name in words for field in self._tables[name].schema]
        return [field.name for field in fields if field.type == pa.binary()]

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        text, given = bound(sql, parameters, self._versioned)
        with self._clients.client() as client:
            found = client.query_arrow(text, parameters=given, use_strings=True)
        hidden = [name for name in (ROW_VERSION, ROW_GONE) if name in found.column_names]
        return _plain(found.drop_columns(hidden))

    def write(self, changes: Changes) -> None:
        commit = self._commit(changes)
        with self._claimed(changes):
            if len(commit.tables) > 1:
                self._insert("commits", commits.as_row(commit), commit.token)
            self._apply(commit)
            if len(commit.tables) > 1:
                self._insert("ended", pa.table({"token": [commit.token]}), commit.token)

    @contextmanager
    def _claimed(self, changes: Changes) -> Iterator[None]:
        """Nobody else replaces the same calls meanwhile, and they are what they were. Raises Contested."""
        if not changes.gone:
            yield
            return
        spans = [one.span_id for one in changes.gone]
        claim, began = f"{changes.token}#{uuid4().hex}", time.monotonic()
        self._insert("claims", commits.as_claim(claim, spans), claim)
        try:
            if self._rows(*commits.contesting(claim, spans)) or not self._as_they_were(changes.gone):
                raise Contested
            if time.monotonic() - began > commits.CLAIM_SECONDS / 2:
                raise Contested
            yield
        finally:
            self._insert("ended", pa.table({"token": [claim]}), claim)

    def _as_they_were(self, gone: Sequence[Gone]) -> bool:
        starts = [one.start_ns for one in gone]
        found = self.query(
            "select client, start_ns, span_id, members from calls where start_ns between ? and ?"
            " and span_id in (select unhex(unnest(?)))",
            [min(starts), max(starts), [one.span_id.hex() for one in gone]],
        )
        held = {(row["client"], row["start_ns"], row["span_id"]): row["members"] for row in found}
        return all(held.get((one.client, one.start_ns, one.span_id)) == list(one.members) for one in gone)

    def _commit(self, changes: Changes) -> Commit:
        """What there is to write, in order; series that this process has lately written are left out."""
        held = {name: rows for name, rows in changes.added.items() if rows.num_rows}
        if "series" in held:
            ids, now = held["series"]["id"].to_pylist(), time.monotonic()
            known = [now - self._series.get(one, -SERIES_SECONDS) < SERIES_SECONDS for one in ids]
            held["series"] = held["series"].filter(pa.array([not one for one in known]))
        calls = _calls(changes)
        held = {name: rows for name, rows in held.items() if rows.num_rows and name != "calls"}
        held |= {"calls": calls} if calls is not None else {}
        order = [*_ORDER, *sorted(held.keys() - set(_ORDER))]
        tables = {name: held[name] for name in order if name in held}
        return Commit(changes.token, tables, [one.span_id for one in changes.gone])

    def _apply(self, commit: Commit) -> None:
        for name, rows in commit.tables.items():
            self._insert(name, rows, commit.token)
        if "series" in commit.tables:
            if len(self._series) > _KNOWN_SERIES:
                self._series.clear()
            self._series |= dict.fromkeys(commit.tables["series"]["id"].to_pylist(), time.monotonic())

    def _insert(self, name: str, rows: Any, token: str) -> None:
        with self._clients.client() as client:
            client.insert_arrow(name, rows.combine_chunks(), settings={"insert_deduplication_token": f"{token}/{name}"})

    def finish(self, spans: Any) -> None:
        for row in self._rows(*commits.left_behind(spans.cast(pa.binary()).to_pylist())):
            told = {"token": row["token"]}
            found = self._rows("select payload from commits where token = {token:String}", told, ["payload"])
            self._apply(commits.unpacked(row["token"], found[0]["payload"]))
            self._insert("ended", pa.table({"token": [row["token"]]}), row["token"])

    def land(self, table: Table, rows: Any, token: str) -> int:
        first = table.keys[0]
        instants = rows[table.instant].to_numpy()
        distinct = pc.unique(rows[first]).to_pylist()
        stored = self.arrow(
            f"select distinct {', '.join(table.keys)} from {table.name}"
            f" where {table.instant} between ? and ? and {first} in (select unnest(?))",
            [int(instants.min()), int(instants.max()), distinct],
        )
        seen = set(zip(*(stored[name].to_pylist() for name in table.keys), strict=True))
        new = []
        for place, key in enumerate(zip(*(rows[name].to_pylist() for name in table.keys), strict=True)):
            if key not in seen:
                seen.add(key)
                new.append(place)
        if new:
            self._insert(table.name, rows.take(pa.array(new)), token)
        return len(new)

    def delete(self, table: Table, condition: str, parameters: Sequence[Any] = ()) -> int:
        (row,) = self.query(f"select count(*) as rows from {table.name} where {condition}", parameters)
        if row["rows"]:
            for one, values in self._conditions(table, condition, parameters):
                self._mutate(table, "delete", one, values)
        return int(row["rows"])

    def _conditions(self, table: Table, condition: str, parameters: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
        """What takes every version of the rows out. Of a row with several, the condition may hold for the newest only:
        then all of its key are taken, so that no older one appears in its place."""
        if ROW_VERSION not in " ".join(layout(table).more) or only_keys(condition, (*table.keys, table.instant)):
            yield condition, list(parameters)
            return
        asked = f"select span_id, start_ns from {table.name} where {condition}"
        rows = sorted((row["start_ns"], row["span_id"].hex()) for row in self.query(asked, parameters))
        for first in range(0, len(rows), KEYS_AT_ONCE):
            some = rows[first : first + KEYS_AT_ONCE]
            inside = "start_ns between ? and ? and span_id in (select unhex(unnest(?)))"
            yield inside, [some[0][0], some[-1][0], [span for _, span in some]]

    def _mutate(self, table: Table, deed: str, condition: str, parameters: Sequence[Any]) -> None:
        """Rewrites the parts that hold such rows; returns when that is done."""
        text, given = bound(f"select 1 from {table.name} where {condition}", parameters, frozenset())
        where = text.partition(" WHERE ")[2]
        kept = self.site.kept_in(table.name, layout(table))
        self._command(f"alter table {self.site.database}.{kept}{self.site.everywhere} {deed} where {where}", given)

    def blank(self, table: Table, columns: Sequence[str], condition: str, parameters: Sequence[Any] = ()) -> int:
        told = f"({' or '.join(filled(table, name) for name in columns)})"
        text, given = bound(f"select count(*) as rows from {table.name} where {condition}", parameters, frozenset())
        (row,) = self._rows(f"{text} and {told}", given)
        if row["rows"]:
            emptied = ", ".join(f'"{name}" = {empty(table, name)}' for name in columns)
            text, given = bound(f"select 1 from {table.name} where {condition}", parameters, frozenset())
            kept = self.site.kept_in(table.name, layout(table))
            self._command(
                f"alter table {self.site.database}.{kept}{self.site.everywhere} update {emptied}"
                f" where ({text.partition(' WHERE ')[2]}) and {told}",
                given,
            )
        return int(row["rows"])

    def restate(self, ids: Mapping[int, int], series: Any) -> None:
        with self._once(f"restate-{blake2b(repr(sorted(ids.items())).encode(), digest_size=16).hexdigest()}") as token:
            self._insert("series", series, token)
            for name, sql in restating(ids, self.site):
                with self._clients.client() as client:
                    once = {"insert_deduplication_token": f"{token}/{name}", "max_threads": 1, "max_insert_threads": 1}
                    client.command(sql, settings=once)
            old = list(ids)
            for table in (*SUM_TABLES.values(), *PROFILE_TABLES.values(), FAILURE_TABLE):
                self._mutate(table, "delete", "list_contains(?, series)", [old])
            self._mutate(SERIES_TABLE, "delete", "list_contains(?, id)", [old])
            for one in old:
                self._series.pop(one, None)

    @contextmanager
    def _once(self, deed: str) -> Iterator[str]:
        """A token for the inserts of a deed of several steps: the same one when it was begun and broke off, another one
        when it has ended and is done again."""
        begun = self._rows(*commits.begun(deed))
        token = begun[0]["token"] if begun else f"{deed}#{uuid4().hex}"
        if not begun:
            self._insert("claims", commits.as_claim(token, []), token)
        yield token
        self._insert("ended", pa.table({"token": [token]}), token)

    def reopen(self) -> None:
        """The server keeps itself."""

    def stretches(self, first: int, last: int, grain: int) -> list[Stretch]:
        return plan(first, last, grain, _All(), _All())

    def whole_since(self, minute: int) -> bool:
        """A plan has few pieces: hours and days are never stale."""
        return True

    def holding(self, trace_id: bytes) -> tuple[str, list[Any]]:
        """The table's own index finds it."""
        return "true", []

    def lately(self) -> str:
        return f"{ROW_VERSION} >= toUnixTimestamp64Nano(now64(9)) - {LATELY_NS}"

    def upkeep(self, now_ns: int) -> None:
        """Finish what was begun and left; forget commits that ended a while ago."""
        self.finish(pa.array([], pa.binary()))
        kept = "commits_local" if self.site.cluster else "commits"
        open_ones = {
            row["part"]
            for row in self._rows(
                "select distinct _partition_id as part from commits where token not in (select token from ended)", {}
            )
        }
        old = self._rows(
            "select partition_id as part, max(modification_time) < now() - interval {minutes:Int64} minute as old"
            " from system.parts where database = {database:String} and table = {table:String} and active group by part",
            {"database": self.site.database, "table": kept, "minutes": commits.KEPT_MINUTES},
        )
        for row in old:
            if row["old"] and row["part"] not in open_ones:
                self._alter(kept, f"drop partition id '{row['part']}'")


def _calls(changes: Changes) -> Any:
    """New rows of `calls` and, marked, those that are gone; a row that is replaced under its key is not gone."""
    added = changes.added.get("calls")
    added = added if added is not None else CALLS.empty_table()
    if not changes.gone:
        return added if added.num_rows else None
    keys = set(zip(*(added[name].to_pylist() for name in ("client", "start_ns", "span_id")), strict=True))
    gone = [one for one in changes.gone if (one.client, one.start_ns, one.span_id) not in keys]
    if not gone:
        return added if added.num_rows else None
    told = {
        "client": [one.client for one in gone],
        "start_ns": [one.start_ns for one in gone],
        "span_id": [one.span_id for one in gone],
    }
    out = pa.table({name: pa.array(told.get(name, [None] * len(gone)), CALLS.field(name).type) for name in CALLS.names})
    marks = pa.array([0] * added.num_rows + [1] * len(gone), pa.uint8())
    return pa.concat_tables([added, out]).append_column(ROW_GONE, marks)


def _plain(found: Any) -> Any:
    """The types of our own tables: maps and lists whose values may be NULL."""
    fields = []
    for field in found.schema:
        kind = field.type
        if pa.types.is_map(kind):
            kind = pa.map_(pa.string(), pa.string())
        elif pa.types.is_list(kind):
            kind = pa.list_(kind.value_type)
        fields.append(pa.field(field.name, kind))
    return found.cast(pa.schema(fields))
