"""A commit of several tables that lands once, in a database without transactions over tables.

1. `begin` writes the whole commit as one row of `commits`: from then on it is decided. 2. `write` puts its rows into
the tables, each insert under a token of commit and table, so that repeating it changes nothing. 3. `end` notes that.

Whoever dies between 1 and 3, process or server, leaves a commit that was begun and not ended; nobody was told that it
is stored. The next commit of any process that holds one of its spans (the sender's retry, in whatever company it comes)
finishes it first and then sees these spans as stored; others are finished once they are STALE. So neither a retry
nor a crash counts a span twice or loses what was counted. What is not covered: the same span sent to two processes at
the same moment, both of which look before either begins; `spans` and `calls` keep one row of it then, sums count both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from afterlaunch.telemetry.engines.clickhouse_tables import WINDOW, WINDOW_SECONDS, Site

STALE_SECONDS = 5
KEPT_MINUTES = 10
FIND = """select token from commits
    prewhere token not in (select token from ended where at > now() - interval {kept:Int64} second)
    where at > now() - interval {kept:Int64} second
      and (at < now() - interval {stale:Int64} second or hasAny(spans, arrayMap(v -> unhex(v), {ids:Array(String)})))
    order by at"""


def ddl(site: Site) -> list[str]:
    """`commits` and `ended`; on a cluster they are spread by token."""
    columns = {
        "commits": "token String, at DateTime64(3) default now64(3), spans Array(FixedString(8)),"
        " payload String codec(NONE)",
        "ended": "token String, at DateTime64(3) default now64(3)",
    }
    out = []
    for name, told in columns.items():
        kept = f"{name}_local" if site.cluster else name
        path = f"'/clickhouse/tables/{site.database}/{kept}/{{shard}}', '{{replica}}'"
        engine = f"ReplicatedMergeTree({path})" if site.cluster else "MergeTree"
        sync = (
            f"replicated_deduplication_window = {WINDOW}, replicated_deduplication_window_seconds = {WINDOW_SECONDS}"
            if site.cluster
            else f"non_replicated_deduplication_window = {WINDOW}, fsync_after_insert = 1, fsync_part_directory = 1"
        )
        out.append(
            f"create table if not exists {site.database}.{kept}{site.everywhere} ({told}) engine = {engine}"
            f" partition by toStartOfInterval(at, interval {KEPT_MINUTES} minute) order by token"
            f" ttl toDateTime(at) + interval {WINDOW_SECONDS} second settings {sync}, index_granularity = 64"
        )
        if site.cluster:
            out.append(
                f"create table if not exists {site.database}.{name}{site.everywhere} as {site.database}.{kept}"
                f" engine = Distributed('{site.cluster}', '{site.database}', '{kept}', cityHash64(token))"
            )
    return out


@dataclass(frozen=True)
class Commit:
    """`tables` in the order in which they are written."""

    token: str
    tables: Mapping[str, Any]

    @property
    def spans(self) -> Any:
        rows = self.tables.get("spans")
        return rows["span_id"].combine_chunks() if rows is not None else pa.array([], pa.binary(8))


def packed(commit: Commit) -> bytes:
    """The tables as Arrow streams one after the other, each after its name and length."""
    out = pa.BufferOutputStream()
    for name, rows in commit.tables.items():
        part = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_stream(part, rows.schema, options=options) as stream:
            stream.write_table(rows)
        body = part.getvalue()
        out.write(len(name).to_bytes(1, "big") + name.encode() + body.size.to_bytes(8, "big"))
        out.write(body)
    return bytes(out.getvalue())


def unpacked(token: str, payload: bytes) -> Commit:
    tables: dict[str, Any] = {}
    view, at = memoryview(payload), 0
    while at < len(view):
        size = view[at]
        name = bytes(view[at + 1 : at + 1 + size]).decode()
        at += 1 + size
        length = int.from_bytes(view[at : at + 8], "big")
        at += 8
        with pa.ipc.open_stream(pa.py_buffer(view[at : at + length])) as stream:
            tables[name] = stream.read_all()
        at += length
    return Commit(token, tables)


def as_row(commit: Commit) -> Any:
    """What `begin` inserts."""
    spans = commit.spans
    offsets = pa.array([0, len(spans)], pa.int32())
    return pa.table(
        {
            "token": pa.array([commit.token]),
            "spans": pa.ListArray.from_arrays(offsets, spans),
            "payload": pa.array([packed(commit)], pa.binary()),
        }
    )
