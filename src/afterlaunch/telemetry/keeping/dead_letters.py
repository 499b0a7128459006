"""Dead letters: what could never be stored, looked at, replayed after a mend, or discarded.

A letter is the rows of one body as an Arrow stream. A replay keeps the good: rows that still cannot be stored are
halved until they stand alone, and stay as a letter of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from django.db import transaction

from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, NotFound
from afterlaunch.telemetry.buffer import as_bytes
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.signals.tables import LOGS, METRICS
from afterlaunch.telemetry.store import Store, current
from afterlaunch.telemetry.tables import DEAD_TABLE, SPAN_TABLE, Table

SHOWN = 50


@dataclass(frozen=True)
class Letter:
    """`id`: instant and client. `table`: where its rows belong; None when they cannot be read any more."""

    id: str
    at: datetime
    client: str
    why: str
    bytes: int
    table: Table | None = None
    rows: Any = None


@dataclass(frozen=True)
class Replayed:
    stored: int
    duplicates: int
    left: int


def letters(actor: Actor, limit: int = 50, before: str | None = None, client: str | None = None) -> list[Letter]:
    """Newest first; those of clients that the actor may see."""
    where, parameters = _seen(actor)
    if client is not None:
        where, parameters = where + " and client = ?", [*parameters, client]
    if before:
        where, parameters = where + " and at_ns < ?", [*parameters, _parts(before)[0]]
    rows = current().query(
        "select at_ns, client, why, octet_length(body) as bytes from dead_letter"
        f" where {where} order by at_ns desc, client limit {int(limit)}",
        parameters,
    )
    return [_letter(row) for row in rows]


def count() -> int:
    """Of all clients."""
    return int(current().query("select count(*) as letters from dead_letter")[0]["letters"])


def letter(actor: Actor, letter_id: str) -> Letter:
    """With its rows. Raises NotFound."""
    at_ns, client = _parts(letter_id)
    where, parameters = _seen(actor)
    found = current().query(
        "select at_ns, client, why, octet_length(body) as bytes, body from dead_letter"
        f" where at_ns = ? and client = ? and {where}",
        [at_ns, client, *parameters],
    )
    if not found:
        raise NotFound("There is no such dead letter.", "It may have been replayed, discarded or forgotten.")
    return _letter(found[0])


def replay(actor: Actor, letter_id: str) -> Replayed:
    """Store its rows now; sending twice changes nothing twice. What still cannot be stored stays."""
    one = letter(actor, letter_id)
    actor.require(Role.OPERATOR, one.client)
    if one.table is None:
        raise Conflict("The rows of this letter cannot be read.", "Discard it.")
    store = current()
    stored, duplicates, left = _store(store, one.table, one.rows)
    for rows, why in left:
        store.bury(clock.now_ns(), one.client, why, as_bytes(rows))
    _gone(store, one)
    done = Replayed(stored, duplicates, sum(rows.num_rows for rows, _ in left))
    _note(actor, "dead_letter.replayed", one, vars(done))
    return done


def discard(actor: Actor, letter_id: str) -> None:
    """Take it away for good."""
    one = letter(actor, letter_id)
    actor.require(Role.ADMIN, one.client)
    _gone(current(), one)
    _note(actor, "dead_letter.discarded", one, {"bytes": one.bytes})


def _note(actor: Actor, deed: str, one: Letter, details: dict[str, Any]) -> None:
    with transaction.atomic():
        record(actor, deed, f"dead_letter/{one.id}", one.client, details)


def _gone(store: Store, one: Letter) -> None:
    store.take_out(DEAD_TABLE, "at_ns = ? and client = ?", list(_parts(one.id)))


def _store(store: Store, table: Table, rows: Any) -> tuple[int, int, list[tuple[Any, str]]]:
    """(stored, duplicates, what cannot be with the reason)."""
    if not rows.num_rows:
        return 0, 0, []
    try:
        if table is SPAN_TABLE:
            return (*store.commit([rows]), [])
        stored = store.land(table, rows)
        return stored, rows.num_rows - stored, []
    except store.unwritable as problem:
        if rows.num_rows == 1:
            return 0, 0, [(rows, str(problem)[:2000])]
    middle = rows.num_rows // 2
    first, second = (_store(store, table, part) for part in (rows.slice(0, middle), rows.slice(middle)))
    return first[0] + second[0], first[1] + second[1], first[2] + second[2]


def _seen(actor: Actor) -> tuple[str, list[Any]]:
    seen = actor.sees()
    if seen is None:
        return "true", []
    if not seen:
        return "false", []
    return f"client in ({', '.join('?' for _ in seen)})", sorted(seen)


def _parts(letter_id: str) -> tuple[int, str]:
    at, _, client = letter_id.partition("-")
    if not at.isdigit() or len(at) > 19:
        raise NotFound("There is no such dead letter.")
    return int(at), client


def _letter(row: dict[str, Any]) -> Letter:
    head = f"{row['at_ns']}-{row['client']}", clock.from_ns(row["at_ns"]), row["client"], row["why"], row["bytes"]
    if "body" not in row:
        return Letter(*head)
    return Letter(*head, *rows_of(row["body"]))


def rows_of(body: bytes) -> tuple[Table | None, Any]:
    """Where they belong, and the rows in today's columns."""
    try:
        rows = pa.ipc.open_stream(body).read_all()
    except (pa.ArrowInvalid, OSError):
        return None, None
    table = SPAN_TABLE if "op_kind" in rows.column_names else METRICS if "series" in rows.column_names else LOGS
    schema = SPANS if table is SPAN_TABLE else table.schema
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return table, pa.table(columns, schema=schema)
