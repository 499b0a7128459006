"""Taking out of the telemetry store whatever names a user, a session or a tenant of a client.

1. traces that name them are found, a few at a time; 2. of those that name nobody else of the kind all goes (spans,
calls, logs); of the others, the rows that name them; 3. log records and metric points outside of traces, and
rows of dead letters; 4. the sums of a tenant stay as numbers, under the name "erased". Sums know no users and no
sessions. Each step may be repeated: rows that name them go last, so that what was begun is found again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.ground import clock
from afterlaunch.telemetry.conventions import HOUSE
from afterlaunch.telemetry.conventions import fields as f
from afterlaunch.telemetry.keeping.dead_letters import rows_of
from afterlaunch.telemetry.lander import as_bytes
from afterlaunch.telemetry.signals.tables import LOGS, METRICS
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tables import CALL_TABLE, CHECK_TABLE, DEAD_TABLE, FAILURE_TABLE, SPAN_TABLE, Table

_SOURCES = {field.name: tuple(source.key for source in field.sources if not source.path) for field in f.FIELDS}
KEYS = {kind: (*_SOURCES[kind], kind) for kind in ("user", "session", "tenant")}
ERASED = "erased"
AT_ONCE = 500
TRACED = (SPAN_TABLE, CALL_TABLE, LOGS)
Where = tuple[str, list[Any]]


@dataclass(frozen=True)
class Subject:
    """`kind`: user, session or tenant."""

    client: str
    kind: str
    value: str


def naming(table: Table, subject: Subject) -> Where:
    """SQL, with parameters: the rows of the subject's client that name it."""
    if table in (SPAN_TABLE, CALL_TABLE):
        told = f'"{subject.kind}" = ?'
        if table is CALL_TABLE:
            return f"client = ? and {told}", [subject.client, subject.value]
        keys = KEYS[subject.kind]
        told = " or ".join([told, *("attributes[?] = ?" for _ in keys)])
        return f"client = ? and ({told})", [subject.client, subject.value, *_pairs(keys, subject.value)]
    column, keys = ("labels" if table is METRICS else "attributes"), KEYS[subject.kind]
    told = " or ".join(f"{column}[?] = ?" for _ in keys)
    return f"client = ? and ({told})", [subject.client, *_pairs(keys, subject.value)]


def _pairs(keys: Sequence[str], value: str) -> list[str]:
    return [part for key in keys for part in (key, value)]


def left(store: Store, subject: Subject) -> dict[str, int]:
    """Rows that name the subject, by table: all zero once it is erased."""
    found = {}
    for table in (*TRACED, METRICS):
        where, parameters = naming(table, subject)
        (row,) = store.query(f"select count(*) as number from {table.name} where {where}", parameters)
        found[table.name] = int(row["number"])
    found["dead_letter"] = sum(int(pc.sum(mask).as_py() or 0) for _, _, mask in _letters(store, subject))
    if subject.kind == "tenant":
        (row,) = store.query(
            "select count(*) as number from series where client = ? and tenant = ?", [subject.client, subject.value]
        )
        found["series"] = int(row["number"])
    return found


def traces(store: Store, subject: Subject) -> list[str]:
    """Some that hold a row that names the subject, as hex text."""
    for table in TRACED:
        where, parameters = naming(table, subject)
        rows = store.query(
            f"select distinct lower(hex(trace_id)) as trace from {table.name}"
            f" where {where} and trace_id is not null limit {AT_ONCE}",
            parameters,
        )
        if rows:
            return sorted(row["trace"] for row in rows)
    return []


def erase_traces(store: Store, subject: Subject, chosen: Sequence[str]) -> dict[str, int]:
    """Rows taken out, by table."""
    shared = {
        row["trace"]
        for row in store.query(
            f"select distinct lower(hex(trace_id)) as trace from spans where client = ? and {_inside()}"
            f' and "{subject.kind}" is not null and "{subject.kind}" <> ?',
            [subject.client, list(chosen), subject.value],
        )
    }
    alone = [trace for trace in chosen if trace not in shared]
    gone = dict.fromkeys((table.name for table in TRACED), 0)
    if alone:
        for table in TRACED:
            where, parameters = naming(table, subject)
            others = f"client = ? and {_inside()} and ({where}) is not true"
            gone[table.name] += store.take_out(table, others, [subject.client, alone, *parameters])
        for table in (FAILURE_TABLE, CHECK_TABLE):
            store.take_out(table, f"client = ? and {_inside()}", [subject.client, alone])
    for table in TRACED:
        where, parameters = naming(table, subject)
        gone[table.name] += store.take_out(table, f"{_inside()} and {where}", [list(chosen), *parameters])
    return gone


def _inside() -> str:
    return "trace_id in (select unhex(unnest(?)))"


def erase_rest(store: Store, subject: Subject) -> dict[str, int]:
    """What stands in no trace, and the sums."""
    gone = {table.name: store.take_out(table, *naming(table, subject)) for table in (LOGS, METRICS)}
    gone["dead_letter"] = _erase_letters(store, subject)
    if subject.kind == "tenant":
        gone["series"] = store.rename_tenant(subject.client, subject.value, ERASED)
    return gone


def _letters(store: Store, subject: Subject) -> Iterator[tuple[dict[str, Any], Any, Any]]:
    """(the letter, its rows, which of them name the subject). A letter that cannot be read names nobody that we know
    of. A request that nothing could map lies with the house where its sender may write for any client; it goes as a
    whole if the name stands anywhere in it."""
    told = "select at_ns, client from dead_letter where client in (?, ?) order by at_ns"
    for head in store.query(told, [subject.client, HOUSE]):
        found = store.query(
            "select at_ns, client, why, body from dead_letter where client = ? and at_ns = ?",
            [head["client"], head["at_ns"]],
        )
        for letter in found:
            table, rows = rows_of(letter["body"])
            if rows is None or (table is not None and letter["client"] != subject.client):
                continue
            names = [_names(table, row, subject) for row in rows.to_pylist()]
            yield letter, rows, pa.array(names, pa.bool_())


def _names(table: Table | None, row: dict[str, Any], subject: Subject) -> bool:
    if table is None:
        theirs = row["sent_client"] in (None, subject.client)
        return theirs and subject.value.encode() in row["sent_body"]
    return (table is SPAN_TABLE and row.get(subject.kind) == subject.value) or _said(row, subject)


def _said(row: dict[str, Any], subject: Subject) -> bool:
    told = dict(row.get("attributes") or row.get("labels") or [])
    return any(told.get(key) == subject.value for key in KEYS[subject.kind])


def _erase_letters(store: Store, subject: Subject) -> int:
    gone = 0
    for letter, rows, names in list(_letters(store, subject)):
        number = int(pc.sum(names).as_py() or 0)
        if not number:
            continue
        kept = rows.filter(pc.invert(names))
        if kept.num_rows:  # before the old one goes: twice is better than never
            store.bury(clock.now_ns(), letter["client"], letter["why"], as_bytes(kept))
        store.take_out(DEAD_TABLE, "at_ns = ? and client = ?", [letter["at_ns"], letter["client"]])
        gone += number
    return gone


def chained(before: str, chosen: Sequence[str]) -> str:
    """The digest of all traces so far."""
    return hashlib.sha256((before + "".join(sorted(chosen))).encode()).hexdigest()


def digest_of(salt: str, subject: Subject) -> str:
    """Whom an erasure is about, without a name: only who knows the name can tell."""
    return hashlib.sha256("\x1f".join((salt, subject.client, subject.kind, subject.value)).encode()).hexdigest()
