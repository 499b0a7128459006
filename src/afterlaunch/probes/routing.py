"""How golden prompts go through the gateway: a caller key of the probes' own, one for each client, which is made again
from the key that server and gateway share and never kept."""

from __future__ import annotations

from afterlaunch.accounts.models import Client
from afterlaunch.ground.settings import settings
from afterlaunch.probes.kinds.kind import Through
from afterlaunch.routes.actions import probe_token
from afterlaunch.routes.models import Route

ANY = ("0.0.0.0", "::", "")  # noqa: S104 - what a gateway listens on, not what we listen on


def gateway_url() -> str:
    """Where this server reaches the gateway."""
    given = settings().text("GATEWAY_URL").rstrip("/")
    if given:
        return given
    host = settings().text("GATEWAY_HOST")
    return f"http://{'127.0.0.1' if host in ANY else host}:{settings()['GATEWAY_PORT']}"


def through(client: Client, name: str) -> Through | None:
    """None: the client has no such route."""
    route = Route.objects.filter(name=name, system__client=client).prefetch_related("arms__upstream").first()
    baseline = route.arm("baseline") if route is not None else None
    if route is None or baseline is None:
        return None
    return Through(f"{gateway_url()}/r/{route.name}", probe_token(client), baseline.upstream.provider)
