"""A ClickHouse database: reached, made, brought up to date, measured."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from afterlaunch.telemetry.engines import clickhouse_commits as commits
from afterlaunch.telemetry.engines.clickhouse_clients import Address, Clients
from afterlaunch.telemetry.engines.clickhouse_tables import (
    ROW_GONE,
    ROW_VERSION,
    UNVERSIONED,
    Site,
    columns,
    ddl,
    layout,
    rolling,
    ttl,
    view_name,
)
from afterlaunch.telemetry.tables import TIERS, Table


class Database:
    """`keep`: table -> days after which its rows go by themselves, the others stay; None leaves all as it is."""

    def __init__(self, to: Address, keep: Mapping[str, int] | None = None) -> None:
        self._clients = Clients(to)
        self.site = Site(to.database, to.cluster, keep)
        self._tables: dict[str, Table] = {}
        self._versioned = self._those_versioned()

    def prepare(self, tables: Sequence[Table]) -> None:
        held = self._held()
        outdated = self._outdated_views(held)
        for statement in (*commits.ddl(self.site), *ddl(tables, self.site)):
            if self.site.cluster or not _makes(statement, held.keys() - outdated):  # a node may be new
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

    def _outdated_views(self, held: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """A view of another version goes; `ddl` makes it anew. Their names."""
        gone = set()
        for kind in ("sums", "profile"):
            for tier in TIERS:
                made = held.get(view_name(kind, tier))
                if made is not None and made["comment"] not in rolling(kind, tier, self.site):
                    self._command(f"drop view {self.site.database}.{made['name']}{self.site.everywhere} sync")
                    gone.add(str(made["name"]))
        return gone

    def _brought_up(self, table: Table, made: Mapping[str, Any]) -> None:
        """Columns that came with a new version of the product, and the days that rows are kept."""
        for name, kind in columns(table).items():
            if name not in made["columns"]:
                for one in dict.fromkeys((made["name"], table.name)):
                    plain = kind if one == made["name"] else kind.partition(" codec(")[0]
                    self._alter(one, f'add column if not exists "{name}" {plain}')
        if self.site.keep is None:
            return
        days = self.site.keep.get(table.name, 0)
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

    def keep(self, days: Mapping[str, int]) -> None:
        self.site = replace(self.site, keep=dict(days))
        held = self._held()
        for table in self._tables.values():
            self._brought_up(table, held[self.site.kept_in(table.name, layout(table))])

    def bytes_free(self) -> int:
        return 0

    def disk_left(self) -> int:
        disks = f"clusterAllReplicas('{self.site.cluster}', system.disks)" if self.site.cluster else "system.disks"
        (row,) = self._rows(f"select sum(unreserved_space) as left from {disks}", {})
        return int(row["left"])

    def bytes_by_table(self) -> dict[str, int]:
        parts = f"clusterAllReplicas('{self.site.cluster}', system.parts)" if self.site.cluster else "system.parts"
        rows = self._rows(
            f"select table as name, sum(bytes_on_disk) as bytes from {parts}"
            " where active and database = {database:String} group by table",
            {"database": self.site.database},
        )
        return {row["name"]: int(row["bytes"]) for row in rows}

    def bytes_used(self) -> int:
        parts = f"clusterAllReplicas('{self.site.cluster}', system.parts)" if self.site.cluster else "system.parts"
        (row,) = self._rows(
            f"select coalesce(sum(bytes_on_disk), 0) as used from {parts}"
            " where active and database = {database:String}",
            {"database": self.site.database},
        )
        return int(row["used"])

    def drop(self) -> None:
        """The database with all that is in it."""
        self._command(f"drop database if exists {self.site.database}{self.site.everywhere} sync")

    def close(self) -> None:
        self._clients.close()


def statements(tables: Sequence[Table], site: Site) -> Iterator[str]:
    """Everything that makes an empty store."""
    yield f"create database if not exists {site.database}{site.everywhere}"
    yield from commits.ddl(site)
    yield from ddl(tables, site)


def _makes(statement: str, names: Collection[str]) -> bool:
    """Whether it makes one of these."""
    found = re.match(r"create [a-z ]+ if not exists \w+\.(\w+)", statement)
    return found is not None and found[1] in names
