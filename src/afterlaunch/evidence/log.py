"""Append to the log. To be called inside the deed's own transaction."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import orjson
from django.db import connection, transaction

from afterlaunch.evidence.models import Entry, Head
from afterlaunch.evidence.tree import append, leaf_hash
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor

HEAD = "select size, peaks from evidence_head where id = 1"
GROW = "update evidence_head set size = %s, peaks = %s where id = 1 and size = %s and peaks = %s"


_written = threading.local()  # what this thread wrote last: mostly still so, and the update itself finds out


def record(
    actor: Actor, deed: str, subject: str, client: str | None = None, details: Mapping[str, Any] | None = None
) -> Entry:
    """Write one entry. `deed` is a past participle with its thing ("incident.acknowledged"), `subject` names the
    row ("incident/12"), `details` hold digests, ids and numbers (no floats: decimals as strings), never content.

    Raises TypeError for a float in `details`, RuntimeError outside a transaction: both are mistakes of ours.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("evidence is written in the deed's own transaction")
    plain = dict(details or {})
    _refuse_floats(plain)
    now = clock.now()
    told: dict[str, Any] = {"at": now.isoformat(), "actor": actor.name, "actor_kind": actor.kind, "deed": deed}
    told |= {"subject": subject, "client": client or "", "details": plain}
    last: tuple[int, bytes] | None = getattr(_written, "last", None)
    grown = _grow(last[0], last[1], told) if last else None
    if grown is None:
        size, peaks = _locked_head()
        grown = _grow(size, peaks, told)
    if grown is None:
        raise RuntimeError("the head of the evidence log changed while it was locked")
    index, body, leaf = grown
    return Entry.objects.create(
        index=index,
        at=now,
        actor=actor.name[:200],
        actor_kind=actor.kind,
        deed=deed,
        subject=subject,
        client=client or "",
        body=body,
        leaf=leaf,
    )


def _grow(index: int, peaks: bytes, told: Mapping[str, Any]) -> tuple[int, bytes, bytes] | None:
    """(index, body, leaf) of the entry that follows this size and these peaks; None: the log is another one by now.
    Whoever grows it holds its head until the transaction's end."""
    body = canonical({"index": index, **told})
    leaf = leaf_hash(body)
    grown = b"".join(append(split_peaks(peaks), index, leaf))
    with connection.cursor() as cursor:
        cursor.execute(GROW, [index + 1, grown, index, peaks])
        if cursor.rowcount != 1:
            return None
    _written.last = index + 1, grown
    return index, body, leaf


def _locked_head() -> tuple[int, bytes]:
    """Size and peaks; who appends meanwhile waits. Plain SQL: every deed of the product comes through here."""
    with connection.cursor() as cursor:
        cursor.execute(HEAD + " for update" if connection.features.has_select_for_update else HEAD)
        found = cursor.fetchone()
    if found is None:
        head, _ = Head.objects.select_for_update().get_or_create(pk=1)
        return head.size, bytes(head.peaks)
    return found[0], bytes(found[1])


def canonical(document: Mapping[str, Any]) -> bytes:
    """Sorted keys, UTF-8, no white space, no floats."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def split_peaks(raw: bytes | memoryview) -> list[bytes]:
    data = bytes(raw)
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"evidence holds no floats: write {value!r} as a string")
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            _refuse_floats(one)
