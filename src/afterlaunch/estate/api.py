from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema

from afterlaunch.estate.actions import system_by_id, systems_seen_by
from afterlaunch.estate.models import System
from afterlaunch.look.requests import Request

router = Router(tags=["estate"])


class SystemOut(Schema):
    id: int
    client: str
    key: str
    name: str
    adopted: bool
    owner: str | None
    tier: str
    posture: str
    environments: list[str]
    first_seen_at: datetime | None
    last_seen_at: datetime | None


def _out(system: System) -> SystemOut:
    return SystemOut(
        id=system.pk,
        client=system.client.slug,
        key=system.key,
        name=system.name,
        adopted=system.adopted_at is not None,
        owner=str(system.owner) if system.owner else None,
        tier=system.tier,
        posture=system.posture,
        environments=[environment.name for environment in system.environments.all()],
        first_seen_at=system.first_seen_at,
        last_seen_at=system.last_seen_at,
    )


@router.get("/systems")
def list_systems(request: Request, limit: int = 100, cursor: int = 0) -> dict[str, Any]:
    """Systems that the actor may see, by id."""
    limit = max(1, min(limit, 500))
    rows = list(
        systems_seen_by(request.actor)
        .filter(pk__gt=cursor)
        .order_by("pk")
        .prefetch_related("environments")[: limit + 1]
    )
    more = rows[limit - 1].pk if len(rows) > limit else None
    return {"systems": [_out(row).dict() for row in rows[:limit]], "cursor": more}


@router.get("/systems/{system_id}")
def one_system(request: Request, system_id: int) -> SystemOut:
    return _out(system_by_id(request.actor, system_id))
