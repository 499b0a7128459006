from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from ninja import Router

from afterlaunch.ground.actors import Role
from afterlaunch.look.requests import Request
from afterlaunch.routes.actions import routes_seen_by
from afterlaunch.routes.models import Route
from afterlaunch.routes.snapshot import current

router = Router(tags=["gateway"])


@router.get("/gateway/snapshot", include_in_schema=True)
def gateway_snapshot(request: Request, after: int = 0) -> HttpResponse:
    """The sealed configuration when its epoch is above `after`, else 204. For gateways: role ingest for all clients."""
    request.actor.require(Role.INGEST, None)
    newest = current()
    if newest is None or newest[0] <= after:
        return HttpResponse(status=204)
    response = HttpResponse(newest[1], content_type="application/json")
    response["Afterlaunch-Epoch"] = str(newest[0])
    return response


def _out(route: Route) -> dict[str, Any]:
    return {
        "name": route.name,
        "client": route.system.client.slug,
        "system": route.system.key,
        "environment": route.environment,
        "share": route.share,
        "arms": {
            arm.name: {
                "upstream": arm.upstream.name,
                "model": arm.model or None,
                "prompt_version": arm.prompt_version or None,
                "change": arm.change,
            }
            for arm in route.arms.all()
        },
    }


@router.get("/routes")
def list_routes(request: Request, limit: int = 100, cursor: str = "") -> dict[str, Any]:
    """Routes that the actor may see, by name."""
    limit = max(1, min(limit, 500))
    rows = list(routes_seen_by(request.actor).filter(name__gt=cursor).order_by("name")[: limit + 1])
    return {
        "routes": [_out(row) for row in rows[:limit]],
        "cursor": rows[limit - 1].name if len(rows) > limit else None,
    }
