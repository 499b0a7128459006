"""A commit of several tables that lands once, in a database without transactions over tables.

1. `begin` writes the whole commit as one row of `commits`: from then on it is decided. 2. `write` puts its rows into
the tables, each insert under a token of commit and table, so that repeating it changes nothing. 3. `end` notes that.

Whoever dies between 1 and 3, process or server, leaves a commit that was begun and not ended; nobody was told that it
is stored. The next commit of any process that holds one of its spans (the sender's retry, in whatever company it comes)
finishes it first and then sees these spans as stored; others are finished once they are STALE. So neither a retry
nor a crash counts a span twice or loses what was counted.

A commit that replaces stored calls claims them first, and is given up before `begin` when somebody else has claimed
one or when one is no more what it was: of two that would replace the same row, one looks again (`Contested`). Two that
store members of one call at the same moment without seeing each other are made one by the duty (`reconcile`). What is
not covered: the same span sent to two processes at the same moment, both of which look before either begins; `spans`
and `calls` keep one row of it then, the sums count both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from afterlaunch.telemetry.engines.clickhouse_sql import bound
from afterlaunch.telemetry.engines.clickhouse_tables import WINDOW, WINDOW_SECONDS, Site

STALE_SECONDS = 5
CLAIM_SECONDS = 30
"""A claim of somebody who died holds so long; one who is slower than half of it gives up."""
KEPT_MINUTES = 10
_OPEN = f"token not in (select token from ended where at > now() - interval {WINDOW_SECONDS} second)"
_TABLES = {
    "commits": "token String, at DateTime64(3) default now64(3), spans Array(FixedString(8)),"
    " gone Array(FixedString(8)), payload String codec(NONE)",
    "claims": "token String, at DateTime64(3) default now64(3), gone Array(FixedString(8))",
    "ended": "token String, at DateTime64(3) default now64(3)",
}


def ddl(site: Site) -> list[str]:
    """On a cluster they are spread by token."""
    out = []
    for name, columns in _TABLES.items():
        kept = f"{name}_local" if site.cluster else name
        path = f"'/clickhouse/tables/{site.database}/{kept}/{{shard}}', '{{replica}}'"
        engine = f"ReplicatedMergeTree({path})" if site.cluster else "MergeTree"
        sync = (
            f"replicated_deduplication_window = {WINDOW}, replicated_deduplication_window_seconds = {WINDOW_SECONDS}"
            if site.cluster
            else f"non_replicated_deduplication_window = {WINDOW}, fsync_after_insert = 1, fsync_part_directory = 1"
        )
        out.append(
            f"create table if not exists {site.database}.{kept}{site.everywhere} ({columns}) engine = {engine}"
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
    """`tables` in the order in which they are written; `gone`: span ids of the calls that it replaces."""

    token: str
    tables: Mapping[str, Any]
    gone: Sequence[bytes] = ()

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
    return pa.table(
        {
            "token": pa.array([commit.token]),
            "spans": _one_list(commit.spans),
            "gone": _one_list(pa.array(commit.gone, pa.binary(8))),
            "payload": pa.array([packed(commit)], pa.binary()),
        }
    )


def as_claim(token: str, gone: Sequence[bytes]) -> Any:
    return pa.table({"token": pa.array([token]), "gone": _one_list(pa.array(gone, pa.binary(8)))})


def _one_list(ids: Any) -> Any:
    return pa.ListArray.from_arrays(pa.array([0, len(ids)], pa.int32()), ids)


Asked = tuple[str, dict[str, Any]]


def left_behind(spans: Sequence[bytes]) -> Asked:
    """Tokens of commits that were begun and not ended and hold one of these spans, or are stale; the oldest first."""
    return _with_ids(
        f"select token from commits prewhere {_OPEN}"
        f" where at > now() - interval {WINDOW_SECONDS} second"
        f" and (at < now() - interval {STALE_SECONDS} second or hasAny(spans, arrayMap(v -> unhex(v), IDS)))"
        " order by at",
        spans,
    )


def contesting(claim: str, gone: Sequence[bytes]) -> Asked:
    """Somebody else who replaces one of these calls: a row for each claim and commit."""
    sql, given = _with_ids(
        f"select token from claims prewhere {_OPEN} where at > now() - interval {CLAIM_SECONDS} second"
        " and token != {claim:String} and hasAny(gone, arrayMap(v -> unhex(v), IDS))"
        f" union all select token from commits prewhere {_OPEN}"
        f" where at > now() - interval {WINDOW_SECONDS} second and hasAny(gone, arrayMap(v -> unhex(v), IDS))",
        gone,
    )
    return sql, {**given, "claim": claim}


def begun(deed: str) -> Asked:
    """Tokens under which this deed was begun and not ended."""
    return f"select token from claims prewhere {_OPEN} where startsWith(token, {{deed:String}})", {"deed": f"{deed}#"}


def _with_ids(sql: str, ids: Sequence[bytes]) -> Asked:
    """As a parameter, or written out where they are many."""
    written, given = bound("select ?", [[one.hex() for one in ids]], frozenset())
    return sql.replace("IDS", written.removeprefix("SELECT ")), given
