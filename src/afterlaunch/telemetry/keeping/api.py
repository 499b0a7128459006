from __future__ import annotations

from typing import Any

from ninja import Router, Schema

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.look.requests import Request
from afterlaunch.telemetry.keeping import actions
from afterlaunch.telemetry.keeping.content import Pattern
from afterlaunch.telemetry.keeping.models import Keeping
from afterlaunch.telemetry.keeping.retention import KINDS

router = Router(tags=["keeping and forgetting"])


class PatternIn(Schema):
    name: str
    pattern: str


class Decided(Schema):
    """`client` null: for the house. What is left out stays as it is; `capture` "" is inherited again."""

    client: str | None = None
    system: str = ""
    capture: str | None = None
    patterns: list[PatternIn] | None = None
    days: dict[str, int] | None = None


def _out(row: Keeping) -> dict[str, Any]:
    return {
        "client": row.client.slug if row.client else None,
        "system": row.system or None,
        "capture": row.capture or None,
        "patterns": row.patterns,
        "days": row.days,
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
        "kinds": [{"name": kind.name, "holds": kind.told, "house_only": kind.shared} for kind in KINDS],
        "decided": [_out(row) for row in actions.decisions_seen_by(request.actor)],
    }


@router.post("/keeping")
def decide(request: Request, body: Decided) -> dict[str, Any]:
    """Decide how content is captured, what else is masked, and how long each kind of data is kept."""
    client = client_by_slug(request.actor, body.client) if body.client else None
    patterns = None if body.patterns is None else [Pattern(one.name, one.pattern) for one in body.patterns]
    return _out(actions.decide(request.actor, client, body.system, body.capture, patterns, body.days))
