"""The gateway's configuration: upstreams, routes and caller keys, looked at and made."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.estate.actions import system_by_id, systems_seen_by
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, Unavailable
from afterlaunch.ground.settings import settings
from afterlaunch.look.requests import Request
from afterlaunch.overview.live_routes import LiveRoute, live
from afterlaunch.routes.actions import (
    ArmValues,
    alter_handling,
    create_key,
    key_by_id,
    keys_seen_by,
    put_route,
    put_upstream,
    revoke_key,
    route_by_name,
    routes_seen_by,
)
from afterlaunch.routes.models import Route, Upstream
from afterlaunch.routes.shadow_use import standings

HERE = "/settings/gateway"


def _carried(actor: Actor, routes: list[Route]) -> dict[str, Any]:
    """Each with its shadow, and whether the actor may end that. The settings can be altered while telemetry is away;
    the page says then that it does not know."""
    now, deaf = clock.now(), False
    try:
        found = live(routes, actor.sees(), now)
    except Unavailable:
        found, deaf = [LiveRoute(one, [], one.share / 10_000, None, False) for one in routes], True
    shadows = standings(routes, now)
    rows = [(one, shadows.get(one.route.pk), actor.may(Role.OPERATOR, one.route.system.client.slug)) for one in found]
    return {"live": rows, "deaf": deaf}


def _page(request: Request, **shown: Any) -> HttpResponse:
    actor, chosen = request.actor, settings()
    systems = [one for one in systems_seen_by(actor) if actor.may(Role.OPERATOR, one.client.slug)]
    routes = list(routes_seen_by(actor).order_by("name"))
    rows = keys_seen_by(actor).order_by("revoked_at", "name")
    keys = [(key, actor.may(Role.ADMIN, key.client.slug)) for key in rows]
    context = {
        "routes": routes,
        **_carried(actor, routes),
        "keys": keys,
        "upstreams": Upstream.objects.all() if actor.sees() is None else [],
        "names": Upstream.objects.values_list("name", flat=True) if systems else [],
        "address": f"http://{chosen.text('GATEWAY_HOST')}:{chosen['GATEWAY_PORT']}",
        "systems": systems,
        "may_upstream": actor.may(Role.ADMIN, None),
        "key_routes": [one for one in routes if actor.may(Role.ADMIN, one.system.client.slug)],
        **shown,
    }
    response = render(request, "overview/gateway.html", context)
    response["Cache-Control"] = "no-store"
    return response


@require_safe
def front(request: Request) -> HttpResponse:
    return _page(request)


@require_POST
def upstream_put(request: Request) -> HttpResponse:
    given = request.POST
    credential = given.get("credential", "").strip() or "passthrough"
    try:
        seconds = float(given.get("timeout_seconds") or 600)
    except ValueError:
        raise Invalid("The time-out is a number of seconds.") from None
    if not 1 <= seconds <= 3600:
        raise Invalid("A time-out lasts 1 to 3600 seconds.")
    name, provider = given.get("name", "").strip(), given.get("provider", "").strip()
    if not name or not provider:
        raise Invalid("An upstream needs a name and a provider.")
    made = put_upstream(request.actor, name, given.get("base_url", "").strip(), provider, credential, seconds)
    messages.success(request, f"The gateways know the upstream {made.name} within a second.")
    return redirect(HERE)


def _system(request: Request) -> System:
    text = request.POST.get("system", "")
    if not text.isdigit():
        raise Invalid("Choose a system.")
    return system_by_id(request.actor, int(text))


@require_POST
def route_put(request: Request) -> HttpResponse:
    given = request.POST
    values = ArmValues(
        given.get("upstream", ""), given.get("model", "").strip(), given.get("prompt_version", "").strip()
    )
    name, environment = given.get("name", "").strip(), given.get("environment", "").strip() or "prod"
    made = put_route(request.actor, name, _system(request), values, environment, agent=given.get("agent", "").strip())
    messages.success(request, f"The gateways serve the route {made.name} within a second. Now make a key for it.")
    return redirect(HERE)


@require_POST
def shadow_end(request: Request, name: str) -> HttpResponse:
    """What was measured of it stays in telemetry."""
    route = route_by_name(request.actor, name)
    alter_handling(request.actor, route, {"shadow": None})
    messages.success(request, f"The shadow of {route.name} ends within a second.")
    return redirect(HERE)


@require_POST
def key_create(request: Request) -> HttpResponse:
    """The answer itself shows the secret, once; nothing keeps it."""
    given = request.POST
    name = given.get("name", "").strip()
    if not name:
        raise Invalid("A key needs a name: what will use it.")
    route = route_by_name(request.actor, given.get("route", ""))
    tenant, agent = given.get("tenant", "").strip(), given.get("agent", "").strip()
    made, secret = create_key(request.actor, name, route, tenant, agent)
    return _page(request, made=made, secret=secret)


@require_POST
def key_revoke(request: Request, key_id: str) -> HttpResponse:
    key = key_by_id(request.actor, key_id)
    revoke_key(request.actor, key)
    messages.success(request, f"The key {key.name} opens nothing any more.")
    return redirect(HERE)
