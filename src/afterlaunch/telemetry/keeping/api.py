from __future__ import annotations

from typing import Any

from ninja import Router, Schema, Status

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.look.requests import Request
from afterlaunch.telemetry.keeping import actions, dead_letters, erasures
from afterlaunch.telemetry.keeping import storage as storage_now
from afterlaunch.telemetry.keeping.content import Pattern
from afterlaunch.telemetry.keeping.models import Erasure, Keeping
from afterlaunch.telemetry.keeping.retention import KINDS


def plain(value: Any) -> Any:
    """What JSON can hold: ids as hex text."""
    return value.hex() if isinstance(value, bytes) else value


router = Router(tags=["keeping and forgetting"])


class PatternIn(Schema):
    name: str
    pattern: str


class Decided(Schema):
    """`client` null: for the house. What is left out stays as it is; `capture` "" and `sampled` 0 are inherited
    again. `sampled`: the share of traces that its senders send, where their samplers do not tell it."""

    client: str | None = None
    system: str = ""
    capture: str | None = None
    patterns: list[PatternIn] | None = None
    days: dict[str, int] | None = None
    sampled: float | None = None


def _out(row: Keeping) -> dict[str, Any]:
    return {
        "client": row.client.slug if row.client else None,
        "system": row.system or None,
        "capture": row.capture or None,
        "patterns": row.patterns,
        "days": row.days,
        "sampled": row.sampled,
    }


@router.get("/keeping")
def keeping(request: Request, client: str | None = None) -> dict[str, Any]:
    """What was decided, and what holds in the end for `client` (default: the house): capture and days by kind."""
    if client is not None:
        request.actor.require("viewer", client)
    known = actions.rules()
    return {
        "client": client,
        "capture": known.of(client or "", None).capture,
        "days": known.days_of(client),
        "sampled": known.share_of(client, None),
        "kinds": [{"name": kind.name, "holds": kind.told, "house_only": kind.shared} for kind in KINDS],
        "decided": [_out(row) for row in actions.decisions_seen_by(request.actor)],
    }


@router.post("/keeping")
def decide(request: Request, body: Decided) -> dict[str, Any]:
    """Decide how content is captured, what else is masked, and how long each kind of data is kept."""
    client = client_by_slug(request.actor, body.client) if body.client else None
    patterns = None if body.patterns is None else [Pattern(one.name, one.pattern) for one in body.patterns]
    return _out(actions.decide(request.actor, client, body.system, body.capture, patterns, body.days, body.sampled))


def _letter(one: dead_letters.Letter) -> dict[str, Any]:
    return {"id": one.id, "at": one.at, "client": one.client, "why": one.why, "bytes": one.bytes}


@router.get("/dead-letters")
def list_dead_letters(
    request: Request, client: str | None = None, limit: int = 100, cursor: str | None = None
) -> dict[str, Any]:
    """Bodies that could never be stored, newest first."""
    limit = max(1, min(limit, 1000))
    rows = dead_letters.letters(request.actor, limit + 1, cursor, client)
    more = rows[limit - 1].id if len(rows) > limit else None
    return {"dead_letters": [_letter(one) for one in rows[:limit]], "cursor": more}


@router.post("/dead-letters/replay")
def replay_dead_letters(request: Request, client: str | None = None) -> dict[str, Any]:
    """Store the rows of all that are there now (of `client`), each once. `more`: the time was up, ask again. `left`:
    rows that still cannot be stored, and stay."""
    slug = client_by_slug(request.actor, client).slug if client else None
    return vars(dead_letters.replay_all(request.actor, slug))


@router.get("/dead-letters/{letter_id}")
def one_dead_letter(request: Request, letter_id: str, limit: int = 100) -> dict[str, Any]:
    """With its rows, decoded; or with the request as it was sent, where nothing could map it to rows."""
    one = dead_letters.letter(request.actor, letter_id)
    rows = [] if one.rows is None or one.sent else one.rows.slice(0, max(0, min(limit, 1000))).to_pylist()
    return {
        **_letter(one),
        "table": one.table.name if one.table else None,
        "row_count": None if one.rows is None or one.sent else one.rows.num_rows,
        "item_count": one.items,
        "request": dead_letters.as_json(one) if one.sent else None,
        "rows": [{name: plain(value) for name, value in row.items() if value is not None} for row in rows],
    }


@router.post("/dead-letters/{letter_id}/replay")
def replay_dead_letter(request: Request, letter_id: str) -> dict[str, Any]:
    """Store its rows now. Those that still cannot be stored (`left`) stay as dead letters of their own."""
    return vars(dead_letters.replay(request.actor, letter_id))


@router.post("/dead-letters/{letter_id}/discard", response={204: None})
def discard_dead_letter(request: Request, letter_id: str) -> Status[None]:
    """Take it away for good."""
    dead_letters.discard(request.actor, letter_id)
    return Status(204, None)


@router.get("/telemetry/storage")
def storage(request: Request) -> dict[str, Any]:
    """Bytes by table, growth per day, and when the budget is used up. For the whole installation."""
    request.actor.require("viewer", None)
    room, told = storage_now.seen()
    return {
        "used_bytes": room.used,
        "budget_bytes": room.budget,
        "disk_free_bytes": room.free,
        "bytes_by_table": storage_now.tables(),
        "state": told.state,
        "reason": told.reason,
        "growth_bytes_per_day": None if told.growth is None else round(told.growth),
        "days_until_full": None if told.days is None else round(told.days, 1),
    }


class Asked(Schema):
    """`kind`: user, session or tenant. Without `confirm`, which repeats the value, nothing happens: the answer tells
    what would go."""

    client: str
    kind: str
    value: str
    confirm: str = ""


class Named(Schema):
    value: str


def _erasure(row: Erasure) -> dict[str, Any]:
    return {
        "id": row.pk,
        "client": row.client.slug,
        "kind": row.kind,
        "by": row.by,
        "asked_at": row.asked_at,
        "done_at": row.done_at,
        "rows": row.counts,
        "subject_sha256": row.digest,
        "salt": row.salt,
        "traces_sha256": row.erased or None,
    }


@router.get("/erasures")
def list_erasures(request: Request) -> dict[str, Any]:
    """Newest first."""
    return {"erasures": [_erasure(row) for row in erasures.erasures_seen_by(request.actor)]}


@router.post("/erasures", response={200: dict[str, Any], 202: dict[str, Any]})
def ask_for_an_erasure(request: Request, body: Asked) -> Status[dict[str, Any]]:
    """Erase a user, a session or a tenant of a client, for good. Done by the engine within seconds to minutes."""
    client = client_by_slug(request.actor, body.client)
    if not body.confirm:
        return Status(200, {"would_erase": erasures.preview(request.actor, client, body.kind, body.value)})
    return Status(202, _erasure(erasures.ask(request.actor, client, body.kind, body.value, body.confirm)))


@router.post("/erasures/{erasure_id}/check")
def check_an_erasure(request: Request, erasure_id: int, body: Named) -> dict[str, Any]:
    """Whether it was about this value, and what of it is left in the store now."""
    return erasures.check(request.actor, erasure_id, body.value)
