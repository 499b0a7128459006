from __future__ import annotations

from typing import Any

from ninja import Router, Schema
from pydantic import Field

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.look.requests import Request
from afterlaunch.scraping import rules
from afterlaunch.scraping.actions import Values, put_target, remove_target, target_by_id, targets_seen_by
from afterlaunch.scraping.models import Target

router = Router(tags=["targets"])


class TargetIn(Schema):
    """`bearer_token` and `password` are references: env:NAME or file:/path, read on the server."""

    client: str
    name: str
    system: str
    url: str
    environment: str = "prod"
    interval_seconds: int = rules.INTERVAL
    sample_limit: int = rules.SAMPLES
    labels: dict[str, str] = Field(default_factory=dict)
    bearer_token: str = ""
    username: str = ""
    password: str = ""
    paused: bool = False


def as_document(row: Target) -> dict[str, Any]:
    return {
        "id": row.pk,
        "client": row.client.slug,
        "name": row.name,
        "system": row.system,
        "environment": row.environment,
        "url": row.url,
        "interval_seconds": row.interval,
        "sample_limit": row.sample_limit,
        "labels": row.labels,
        "bearer_token": row.bearer or None,
        "username": row.username or None,
        "password": row.password or None,
        "paused": row.paused,
        "state": row.state,
        "last_scrape_at": row.last_at,
        "last_success_at": row.last_ok_at,
        "failing_since": row.failing_since,
        "duration_seconds": row.seconds,
        "samples": row.samples,
        "reason": row.reason or None,
        "error": row.error or None,
        "advice": row.advice or None,
    }


@router.get("/targets")
def list_targets(
    request: Request, client: str | None = None, system: str | None = None, limit: int = 100, cursor: int = 0
) -> dict[str, Any]:
    """Declared targets, by id. `state`: up, down, waiting for its first scrape, paused."""
    limit = max(1, min(limit, 500))
    wanted = {"client__slug": client, "system": system}
    rows = targets_seen_by(request.actor).filter(pk__gt=cursor, **{k: v for k, v in wanted.items() if v})
    found = list(rows.order_by("pk")[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"targets": [as_document(row) for row in found[:limit]], "cursor": more}


@router.post("/targets")
def declare_target(request: Request, body: TargetIn) -> dict[str, Any]:
    """Declare a target, or alter the one of this name. It is scraped within seconds."""
    values = Values(
        system=body.system,
        url=body.url,
        environment=body.environment,
        interval=body.interval_seconds,
        sample_limit=body.sample_limit,
        labels=body.labels,
        bearer=body.bearer_token,
        username=body.username,
        password=body.password,
        paused=body.paused,
    )
    return as_document(put_target(request.actor, client_by_slug(request.actor, body.client), body.name, values))


@router.post("/targets/{target_id}/remove")
def remove(request: Request, target_id: int) -> dict[str, Any]:
    """From now on it is not scraped; what it told stays."""
    row = target_by_id(request.actor, target_id)
    told = as_document(row)
    remove_target(request.actor, row)
    return told
