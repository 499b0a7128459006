"""Append to the log. To be called inside the deed's own transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from django.db import transaction

from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor


def record(
    actor: Actor, deed: str, subject: str, client: str | None = None, details: Mapping[str, Any] | None = None
) -> Entry:
    """Write one entry. `deed` is a past participle with its thing ("incident.acknowledged"), `subject` names the
    row ("incident/12"), `details` hold digests, ids and numbers (no floats: decimals as strings), never content."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("evidence is written in the deed's own transaction")
    now = clock.now()
    last = Entry.objects.select_for_update().order_by("-index").first()
    index = last.index + 1 if last else 0
    body = orjson.dumps(
        {
            "index": index,
            "at": now.isoformat(),
            "actor": actor.name,
            "actor_kind": actor.kind,
            "deed": deed,
            "subject": subject,
            "client": client or "",
            "details": dict(details or {}),
        },
        option=orjson.OPT_SORT_KEYS,
    )
    return Entry.objects.create(
        index=index,
        at=now,
        actor=actor.name,
        actor_kind=actor.kind,
        deed=deed,
        subject=subject,
        client=client or "",
        body=body,
        leaf=hashlib.sha256(b"\x00" + body).digest(),
    )
