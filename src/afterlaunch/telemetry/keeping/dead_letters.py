"""Dead letters: what could never be stored, looked at, replayed after a mend, or discarded.

A letter is the rows of one body as an Arrow stream; or, where nothing could map them to rows, the request as it was
sent (`sent`). A replay keeps the good: what still cannot be read or stored is halved until it stands alone, and stays
as a letter of its own.
"""

from __future__ import annotations

import time
from base64 import b64decode
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import orjson
import pyarrow as pa
from django.db import transaction
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.telemetry.apart import apart, halves_of_message, halves_of_rows, why
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.encodings import IDS
from afterlaunch.telemetry.intake import PROTOBUF, TRACES, UNREADABLE, Signal
from afterlaunch.telemetry.keeping.actions import rules
from afterlaunch.telemetry.keeping.content import LOG_SHAPE, POINT_SHAPE, SPAN_SHAPE
from afterlaunch.telemetry.keeping.watch import allowed
from afterlaunch.telemetry.lander import as_bytes, told
from afterlaunch.telemetry.sent import as_sent, is_sent
from afterlaunch.telemetry.signals import receivers
from afterlaunch.telemetry.signals.tables import LOGS, METRICS
from afterlaunch.telemetry.store import Store, current
from afterlaunch.telemetry.tables import DEAD_TABLE, SPAN_TABLE, Table

SIGNALS = {one.name: one for one in (TRACES, receivers.METRICS, receivers.LOGS, receivers.REMOTE_WRITE)}
SHAPES = {TRACES.name: SPAN_SHAPE, receivers.LOGS.name: LOG_SHAPE}
SHAPES |= dict.fromkeys((receivers.METRICS.name, receivers.REMOTE_WRITE.name), POINT_SHAPE)
MOST_AT_ONCE = 100_000
TABLE_OF = {TRACES.name: SPAN_TABLE, receivers.LOGS.name: LOGS}
TABLE_OF |= dict.fromkeys((receivers.METRICS.name, receivers.REMOTE_WRITE.name), METRICS)


@dataclass(frozen=True)
class Letter:
    """`id`: instant and client. `table`: where its rows belong; None when they cannot be read any more. `sent`: it is
    the request, of which `rows` holds one row (schema SENT)."""

    id: str
    at: datetime
    client: str
    why: str
    bytes: int
    table: Table | None = None
    rows: Any = None

    @property
    def sent(self) -> bool:
        return self.rows is not None and is_sent(self.rows)

    @property
    def request(self) -> tuple[Signal, Any]:
        """Its signal and message, where it is `sent`."""
        (row,) = self.rows.to_pylist()
        signal = SIGNALS[row["sent_signal"]]
        return signal, signal.request.read(row["sent_body"], PROTOBUF)

    @property
    def items(self) -> int | None:
        """How many spans, log records, data points or samples it holds; None where nothing can be read."""
        if not self.sent:
            return None if self.rows is None else int(self.rows.num_rows)
        signal, message = self.request
        return signal.request.items(message)

    @property
    def what(self) -> str:
        """What the protocol calls the items of a request."""
        return self.request[0].name


@dataclass(frozen=True)
class Replayed:
    stored: int
    duplicates: int
    left: int


def letters(actor: Actor, limit: int = 50, before: str | None = None, client: str | None = None) -> list[Letter]:
    """Newest first; those of clients that the actor may see, after the letter `before`."""
    where, parameters = _seen(actor)
    if client is not None:
        where, parameters = where + " and client = ?", [*parameters, client]
    if before:
        at_ns, beside = _parts(before)
        where += " and (at_ns < ? or (at_ns = ? and client > ?))"
        parameters = [*parameters, at_ns, at_ns, beside]
    rows = current().query(
        "select at_ns, client, why, octet_length(body) as bytes from dead_letter"
        f" where {where} order by at_ns desc, client limit {int(limit)}",
        parameters,
    )
    return [_letter(row) for row in rows]


def count(actor: Actor | None = None) -> int:
    """Of clients that the actor may see; without one, of all."""
    where, parameters = _seen(actor) if actor else ("true", [])
    return int(current().query(f"select count(*) as letters from dead_letter where {where}", parameters)[0]["letters"])


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


def as_json(one: Letter) -> str:
    """A request as it was sent, as OTLP writes JSON: ids in hex."""
    told = _hexed(MessageToDict(one.request[1], use_integers_for_enums=True))
    return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()


def _hexed(node: Any) -> Any:
    if isinstance(node, list):
        return [_hexed(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {name: b64decode(one).hex() if name in IDS else _hexed(one) for name, one in node.items()}


def replay(actor: Actor, letter_id: str) -> Replayed:
    """Store its rows now; sending twice changes nothing twice. What still cannot be stored stays."""
    one = letter(actor, letter_id)
    actor.require(Role.OPERATOR, one.client)
    if one.table is None and not one.sent:
        raise Conflict("The rows of this letter cannot be read.", "Discard it.")
    store = current()
    done = _read_again(store, one) if one.sent else _stored(store, one.client, one.table, one.rows)
    _gone(store, one)
    _note(actor, "dead_letter.replayed", one, vars(done))
    return done


@dataclass(frozen=True)
class AllReplayed:
    """`letters`: how many were replayed; `left`: rows that still cannot be stored; `unreadable`: letters that nothing
    can read; `more`: whether the time was up before all had their turn."""

    letters: int = 0
    stored: int = 0
    duplicates: int = 0
    left: int = 0
    unreadable: int = 0
    more: bool = False


def replay_all(actor: Actor, client: str | None = None, seconds: float = 20.0) -> AllReplayed:
    """Those that are there now and that the actor may replay, each once, the oldest first. Raises NotAllowed."""
    if client is not None or not any(one.role in (Role.OPERATOR, Role.ADMIN) for one in actor.roles):
        actor.require(Role.OPERATOR, client)
    until, done = time.monotonic() + seconds, AllReplayed()
    found = letters(actor, MOST_AT_ONCE, None, client)
    for one in (one for one in reversed(found) if actor.may(Role.OPERATOR, one.client)):
        if time.monotonic() > until:
            return replace(done, more=True)
        try:
            told = replay(actor, one.id)
        except Conflict:
            done = replace(done, unreadable=done.unreadable + 1)
        except NotFound:  # somebody else replayed or discarded it meanwhile
            continue
        else:
            done = replace(
                done,
                letters=done.letters + 1,
                stored=done.stored + told.stored,
                duplicates=done.duplicates + told.duplicates,
                left=done.left + told.left,
            )
    return replace(done, more=len(found) == MOST_AT_ONCE)


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


def _stored(store: Store, client: str, table: Table | None, rows: Any) -> Replayed:
    """Store the good; the others become a letter."""

    def land(part: Any) -> tuple[int, int]:
        if table is None or table is SPAN_TABLE:
            return store.commit([part])
        stored = store.land(table, part)
        return stored, part.num_rows - stored

    found = apart(rows, land, halves_of_rows, store.unwritable)
    stored, duplicates = (sum(counts) for counts in zip(*found.done, strict=True)) if found.done else (0, 0)
    if found.bad:
        left = pa.concat_tables([part for part, _ in found.bad])
        store.bury(clock.now_ns(), client, told(found.bad[0][1]), as_bytes(left))
    return Replayed(stored, duplicates, sum(part.num_rows for part, _ in found.bad))


def _read_again(store: Store, one: Letter) -> Replayed:
    """Map what was sent, as it would be mapped now, and store it."""
    (row,) = one.rows.to_pylist()
    signal, message = one.request

    def read(part: Message) -> Any:
        made = signal.decode(part.SerializeToString(), PROTOBUF, row["sent_client"], row["sent_at_ns"])
        return allowed(made.table, SHAPES[signal.name], rules())

    halves = partial(halves_of_message, path=signal.request.path)
    found = apart(message, read, halves, (*UNREADABLE, Invalid))
    done = Replayed(0, 0, 0)
    if found.done:
        done = _stored(store, one.client, TABLE_OF[signal.name], pa.concat_tables(found.done))
    if not found.bad:
        return done
    left = type(message)()
    for part, _ in found.bad:
        left.MergeFrom(part)
    count = signal.request.items(left)
    body = as_sent(signal.name, left.SerializeToString(), row["sent_client"], row["sent_at_ns"])
    said = f"{count} {signal.name} cannot be read: {why(found.bad[0][1])}"
    store.bury(clock.now_ns(), one.client, said, body)
    return Replayed(done.stored, done.duplicates, done.left + count)


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
    if is_sent(rows):
        return None, rows
    table = SPAN_TABLE if "op_kind" in rows.column_names else METRICS if "series" in rows.column_names else LOGS
    schema = SPANS if table is SPAN_TABLE else table.schema
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return table, pa.table(columns, schema=schema)
