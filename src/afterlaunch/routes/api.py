from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from ninja import Body, Router

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.look.requests import Request
from afterlaunch.routes.actions import (
    alter_handling,
    handling_version,
    key_by_id,
    route_by_name,
    routes_seen_by,
    set_handling,
    set_limits,
)
from afterlaunch.routes.models import Route
from afterlaunch.routes.shadow_use import ShadowStanding, standing, standings
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


def _shadow(one: ShadowStanding | None) -> dict[str, Any] | None:
    """Amounts of the unit: nano-USD, tokens or requests."""
    if one is None:
        return None
    amounts = {"limit": one.budget.limit, "used": one.used, "reserved": one.reserved, "left": one.left}
    return {
        "unit": one.budget.unit,
        "window": one.budget.window,
        "renews": one.renews,
        **amounts,
        "refused": one.refused,
        "told": one.told,
    }


def _out(route: Route, shadow: ShadowStanding | None) -> dict[str, Any]:
    return {
        "name": route.name,
        "client": route.system.client.slug,
        "system": route.system.key,
        "environment": route.environment,
        "share": route.share,
        "handling": route.handling,
        "handling_version": handling_version(route),
        "shadow": _shadow(shadow),
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


def _expected(request: Request) -> str | None:
    """None: whatever is in force."""
    told = request.headers.get("If-Match", "*").strip()
    return None if told == "*" else told.removeprefix("W/").strip('"')


@router.get("/routes")
def list_routes(request: Request, limit: int = 100, cursor: str = "") -> dict[str, Any]:
    """Routes that the actor may see, by name; `shadow`: where the own budget of a running one stands."""
    limit = max(1, min(limit, 500))
    rows = list(routes_seen_by(request.actor).filter(name__gt=cursor).order_by("name")[: limit + 1])
    shadows = standings(rows[:limit], clock.now())
    return {
        "routes": [_out(row, shadows.get(row.pk)) for row in rows[:limit]],
        "cursor": rows[limit - 1].name if len(rows) > limit else None,
    }


@router.post("/routes/{name}/handling")
def handle(request: Request, name: str, handling: Body[dict[str, Any]]) -> dict[str, Any]:
    """How calls of the route are handled: `resilience`, `leaving`, `limits`, `tenant_limits`, sizes, `cache_seconds`;
    what is not named is as by default. In force within a second. With `If-Match: "VERSION"` (`handling_version` of
    the route) only if nobody has set it since, else 409. For operators of the route's client."""
    route = set_handling(request.actor, route_by_name(request.actor, name), handling, _expected(request))
    return _out(route, standing(route, clock.now()))


@router.post("/routes/{name}/handling/members")
def alter(request: Request, name: str, members: Body[dict[str, Any]]) -> dict[str, Any]:
    """Only these members of the handling, the others stay as they are; null: as by default. `If-Match` likewise."""
    route = alter_handling(request.actor, route_by_name(request.actor, name), members, _expected(request))
    return _out(route, standing(route, clock.now()))


@router.post("/keys/{key_id}/limits")
def limit(request: Request, key_id: str, limits: Body[dict[str, Any]]) -> dict[str, Any]:
    """Requests and tokens that a caller key may use in a minute; 0 or absent: no limit. For administrators."""
    key = set_limits(request.actor, key_by_id(request.actor, key_id), limits)
    return {"key": key.key_id, "name": key.name, "limits": key.limits}
