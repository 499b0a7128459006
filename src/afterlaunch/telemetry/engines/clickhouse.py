"""ClickHouse: a server, a cluster, or its engine inside this process; several processes write to it.

The tables are MergeTrees (`clickhouse_tables`), questions are translated (`clickhouse_sql`), a commit lands once
(`clickhouse_commits`). A commit's tables are written in this order: spans, calls, series, profile, sums; whoever asks
in between may see a call before it is summed, never a sum of unknown series. Calls are replaced by key: of a row's
versions the newest counts, and one that is gone hides the others. Hours and days of the rollups are filled by views
from what comes into the minutes, in the same insert and under its token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.ground.errors import Unsupported
from afterlaunch.telemetry.engines import Changes
from afterlaunch.telemetry.engines import clickhouse_commits as commits
from afterlaunch.telemetry.engines.clickhouse_clients import Address, Clients
from afterlaunch.telemetry.engines.clickhouse_commits import Commit
from afterlaunch.telemetry.engines.clickhouse_sql import bound
from afterlaunch.telemetry.engines.clickhouse_tables import (
    ROW_GONE,
    ROW_VERSION,
    UNVERSIONED,
    WINDOW_SECONDS,
    Site,
    columns,
    ddl,
    layout,
    rolling,
    ttl,
    view_name,
)
from afterlaunch.telemetry.tables import CALLS, TIERS, Table
from afterlaunch.telemetry.tiers import Stretch, plan

_ORDER = ("spans", "calls", "series", "profile_minute", "sums_minute")
_KNOWN_SERIES = 200_000


class _All:
    """Every hour and day is up to date: the views write them with the minutes."""

    def __contains__(self, minute: object) -> bool:
        return True

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


class ClickHouse:
    """`keep`: table -> days after which its rows go by themselves; the others stay."""

    shared = True
    unwritable: tuple[type[Exception], ...] = (pa.ArrowTypeError, pa.ArrowNotImplementedError)
    broken: tuple[type[Exception], ...] = ()

    def __init__(self, to: Address, keep: Mapping[str, int] | None = None) -> None:
        self._clients = Clients(to)
        self.site = Site(to.database, to.cluster, keep or {})
        self._tables: dict[str, Table] = {}
        self._series: set[int] = set()
        self._versioned = self._those_versioned()

    def prepare(self, tables: Sequence[Table]) -> None:
        if "commits" not in self._tables:
            for statement in commits.ddl(self.site):
                self._command(statement)
        held = self._held()
        self._outdated_views(held)
        for statement in ddl(tables, self.site):
            self._command(statement)
        for table in tables:
            if (made := held.get(self.site.kept_in(table.name, layout(table)))) is not None:
                self._brought_up(table, made)
        self._tables |= {table.name: table for table in tables}
        self._versioned = self._those_versioned()

    def _held(self) -> dict[str, dict[str, Any]]:
        """Name -> how the table or view was made, and its columns."""
        told, here = {"database": self.site.database}, "where database = {database:String}"
        columns_of = {
            row["table"]: row["names"]
            for row in self._rows(
                f"select table, groupArray(name) as names from system.columns {here} group by table", told
            )
        }
        rows = self._rows(f"select name, comment, create_table_query as made from system.tables {here}", told)
        return {row["name"]: {**row, "columns": columns_of.get(row["name"], [])} for row in rows}

    def _those_versioned(self) -> frozenset[str]:
        """Tables that keep several versions of a row until they merge: read with FINAL."""
        held = self._rows(
            "select name from system.tables where database = {database:String} and engine like '%Replacing%'",
            {"database": self.site.database},
        )
        return frozenset(row["name"].removesuffix("_local") for row in held) - UNVERSIONED

    def _outdated_views(self, held: Mapping[str, Mapping[str, Any]]) -> None:
        """A view of another version goes; `ddl` makes it anew."""
        for kind in ("sums", "profile"):
            for tier in TIERS:
                made = held.get(view_name(kind, tier))
                if made is not None and made["comment"] not in rolling(kind, tier, self.site):
                    self._command(f"drop view {self.site.database}.{made['name']}{self.site.everywhere} sync")

    def _brought_up(self, table: Table, made: Mapping[str, Any]) -> None:
        """Columns that came with a new version of the product, and the days that rows are kept."""
        for name, kind in columns(table).items():
            if name not in made["columns"]:
                for one in dict.fromkeys((made["name"], table.name)):
                    plain = kind if one == made["name"] else kind.partition(" codec(")[0]
                    self._alter(one, f'add column if not exists "{name}" {plain}')
        days = (self.site.keep or {}).get(table.name, 0)
        has = re.search(r"TTL .*? \+ toIntervalDay\((\d+)\)", made["made"])
        if days and table.instant and (not has or int(has.group(1)) != days):
            self._alter(made["name"], f"modify ttl {ttl(table, days)}")
        elif has and not days:
            self._alter(made["name"], "remove ttl")

    def _alter(self, name: str, what: str) -> None:
        self._command(f"alter table {self.site.database}.{name}{self.site.everywhere} {what}")

    def _command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        with self._clients.client() as client:
            client.command(sql, parameters=dict(parameters or {}))

    def _rows(self, sql: str, parameters: Mapping[str, Any], as_bytes: Sequence[str] = ()) -> list[dict[str, Any]]:
        with self._clients.client() as client:
            found = client.query(sql, parameters=dict(parameters), column_formats=dict.fromkeys(as_bytes, "bytes"))
            names = found.column_names
            rows = [dict(zip(names, row, strict=True)) for row in found.result_rows]
        for row in rows:
            row.pop(ROW_VERSION, None)
            row.pop(ROW_GONE, None)
        return rows

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
        if len(commit.tables) > 1:
            self._insert("commits", commits.as_row(commit), commit.token)
        self._apply(commit)
        if len(commit.tables) > 1:
            self._insert("ended", pa.table({"token": [commit.token]}), commit.token)

    def _commit(self, changes: Changes) -> Commit:
        """What there is to write, in order; series that this process has written before are left out."""
        held = {name: rows for name, rows in changes.added.items() if rows.num_rows}
        if "series" in held:
            ids = held["series"]["id"].to_pylist()
            held["series"] = held["series"].filter(pa.array([one not in self._series for one in ids]))
        calls = _calls(changes)
        held = {name: rows for name, rows in held.items() if rows.num_rows and name != "calls"}
        held |= {"calls": calls} if calls is not None else {}
        order = [*_ORDER, *sorted(held.keys() - set(_ORDER))]
        return Commit(changes.token, {name: held[name] for name in order if name in held})

    def _apply(self, commit: Commit) -> None:
        for name, rows in commit.tables.items():
            self._insert(name, rows, commit.token)
        if "series" in commit.tables:
            if len(self._series) > _KNOWN_SERIES:
                self._series.clear()
            self._series |= set(commit.tables["series"]["id"].to_pylist())

    def _insert(self, name: str, rows: Any, token: str) -> None:
        with self._clients.client() as client:
            client.insert_arrow(name, rows.combine_chunks(), settings={"insert_deduplication_token": f"{token}/{name}"})

    def finish(self, spans: Any) -> None:
        with self._clients.client() as client:
            ids = spans.cast(pa.binary()).to_pylist()
            asked = {"ids": [one.hex() for one in ids], "stale": commits.STALE_SECONDS, "kept": WINDOW_SECONDS}
            tokens = [row[0] for row in client.query(commits.FIND, parameters=asked).result_rows]
        for token in tokens:
            found = self._rows(
                "select payload from commits where token = {token:String}", {"token": token}, ["payload"]
            )
            self._apply(commits.unpacked(token, found[0]["payload"]))
            self._insert("ended", pa.table({"token": [token]}), token)

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
            text, given = bound(f"select 1 from {table.name} where {condition}", parameters, frozenset())
            where = text.partition(" WHERE ")[2]
            with self._clients.client() as client:
                kept = self.site.kept_in(table.name, layout(table))
                client.command(
                    f"alter table {self.site.database}.{kept}{self.site.everywhere} delete where {where}",
                    parameters=given,
                )
        return int(row["rows"])

    def reopen(self) -> None:
        """The server keeps itself."""

    def blank(self, table: Table, columns: Sequence[str], condition: str, parameters: Sequence[Any] = ()) -> int:
        raise Unsupported("ClickHouse forgets by the days of its tables (TTL), not by command.")

    def restate(self, ids: Mapping[int, int], series: Any) -> None:
        raise Unsupported("On ClickHouse the sums of a tenant cannot be renamed yet.")

    def bytes_free(self) -> int:
        return 0

    def bytes_by_table(self) -> dict[str, int]:
        parts = f"clusterAllReplicas('{self.site.cluster}', system.parts)" if self.site.cluster else "system.parts"
        rows = self._rows(
            f"select table as name, sum(bytes_on_disk) as bytes from {parts}"
            " where active and database = {database:String} group by table",
            {"database": self.site.database},
        )
        return {row["name"]: int(row["bytes"]) for row in rows}

    def stretches(self, first: int, last: int, grain: int) -> list[Stretch]:
        return plan(first, last, grain, _All(), _All())

    def holding(self, trace_id: bytes) -> tuple[str, list[Any]]:
        """The table's own index finds it."""
        return "true", []

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
            "select partition_id as part, max(modification_time) < now() - interval 30 minute as old"
            " from system.parts where database = {database:String} and table = {table:String} and active group by part",
            {"database": self.site.database, "table": kept},
        )
        for row in old:
            if row["old"] and row["part"] not in open_ones:
                self._alter(kept, f"drop partition id '{row['part']}'")

    def bytes_used(self) -> int:
        parts = f"clusterAllReplicas('{self.site.cluster}', system.parts)" if self.site.cluster else "system.parts"
        (row,) = self._rows(
            f"select coalesce(sum(bytes_on_disk), 0) as used from {parts}"
            " where active and database = {database:String}",
            {"database": self.site.database},
        )
        return int(row["used"])

    def close(self) -> None:
        self._clients.close()


def _calls(changes: Changes) -> Any:
    """New rows of `calls` and, marked, those that are gone; a row that is replaced under its key is not gone."""
    added = changes.added.get("calls")
    added = added if added is not None else CALLS.empty_table()
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
