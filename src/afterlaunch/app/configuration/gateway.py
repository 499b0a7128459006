"""Documents of the gateway: upstreams, routes, caller keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import (
    INSTANT_OR_NONE,
    NEEDED_TEXT,
    TEXT,
    Field,
    instant,
    list_of,
    mapping,
    number,
    one_of,
)
from afterlaunch.app.configuration.people import client
from afterlaunch.contracts.handling import Handling, Limits
from afterlaunch.contracts.labels import PROBE_AGENT
from afterlaunch.contracts.plain import made, sparse
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.references import REFERENCE
from afterlaunch.routes.actions import (
    ArmValues,
    alter_key,
    create_key,
    put_route,
    put_upstream,
    route_by_name,
    set_limits,
)
from afterlaunch.routes.models import Arm, CallerKey, Route, Upstream

UNITS = ("session", "user", "tenant", "key")
_UNIT = list_of(one_of(UNITS), least=1)


def _credential(value: Any) -> str:
    if value != "passthrough" and not REFERENCE.fullmatch(TEXT.take(value)):
        raise ValueError(value)
    return str(value)


def _members(value: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {rename(str(name)): _members(one, rename) for name, one in value.items()}
    return [_members(one, rename) for one in value] if isinstance(value, list) else value


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda found: "_" + found.group().lower(), name)


def camel(name: str) -> str:
    return re.sub("_([a-z])", lambda found: found.group(1).upper(), name)


def _handling(value: Any) -> Spec:
    """As it is exported: what is as by default is not named."""
    return dict(_members(sparse(made(Handling, _members(value or {}, snake))), camel))


def _limits(value: Any) -> Spec:
    return sparse(made(Limits, value or {}))


UPSTREAM_FIELDS = {
    "baseUrl": NEEDED_TEXT,
    "provider": NEEDED_TEXT,
    "credential": Field("env:NAME, file:/path or passthrough, never the secret itself", _credential),
    "timeoutSeconds": number(1, 3600),
}
ROUTE_FIELDS = {
    "client": NEEDED_TEXT,
    "system": NEEDED_TEXT,
    "environment": TEXT,
    "agent": TEXT,
    "unit": Field(_UNIT.wants, _UNIT.take),
    "baseline": mapping({"upstream": NEEDED_TEXT, "model": TEXT, "promptVersion": TEXT}, needed=True),
    "handling": Field("what docs/gateway.md tells under Handling, of the types it tells", _handling),
}
KEY_FIELDS = {
    "route": NEEDED_TEXT,
    "routes": list_of(NEEDED_TEXT),
    "tenant": TEXT,
    "agent": TEXT,
    "expires": INSTANT_OR_NONE,
    "limits": Field("{requests, tokens}, whole numbers in a minute", _limits),
}


def read_upstreams() -> list[tuple[Metadata, Spec]]:
    return [
        (
            {"name": row.name},
            {
                "baseUrl": row.base_url,
                "provider": row.provider,
                "credential": row.credential,
                "timeoutSeconds": row.timeout_seconds,
            },
        )
        for row in Upstream.objects.order_by("name")
    ]


def put_upstream_document(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    credential, timeout = spec.get("credential", "passthrough"), spec.get("timeoutSeconds", 600.0)
    put_upstream(actor, metadata["name"], spec["baseUrl"], spec["provider"], credential, timeout)


def _arm(arm: Arm | None) -> Spec | None:
    if arm is None:
        return None
    return {"upstream": arm.upstream.name, "model": arm.model, "promptVersion": arm.prompt_version}


def read_routes() -> list[tuple[Metadata, Spec]]:
    rows = Route.objects.select_related("system__client").prefetch_related("arms__upstream").order_by("name")
    return [
        (
            {"name": row.name},
            {
                "client": row.system.client.slug,
                "system": row.system.key,
                "environment": row.environment,
                "agent": row.agent,
                "unit": list(row.unit),
                "baseline": _arm(row.arm("baseline")),
                "handling": _members(row.handling, camel),
            },
        )
        for row in rows
    ]


def put_route_document(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    system = System.objects.select_related("client").filter(client__slug=spec["client"], key=spec["system"]).first()
    if system is None:
        raise Invalid(
            f"There is no system {spec['system']!r} of client {spec['client']!r}.", "Add a document of kind System."
        )
    arm = spec["baseline"]
    values = ArmValues(arm["upstream"], arm["model"], arm["promptVersion"])
    unit = spec.get("unit", list(UNITS))
    environment, agent = spec.get("environment", "prod"), spec.get("agent", "")
    handling = _members(spec.get("handling", {}), snake)
    put_route(actor, metadata["name"], system, values, environment, unit, agent, handling)


def _keys() -> dict[tuple[str, str], CallerKey]:
    """Those that open the gateway; of several keys of one name the oldest one stands for it."""
    rows = CallerKey.objects.filter(revoked_at=None).exclude(agent=PROBE_AGENT)
    rows = rows.select_related("client", "default_route")
    rows = rows.exclude(expires_at__lte=clock.now())
    found: dict[tuple[str, str], CallerKey] = {}
    for row in rows.prefetch_related("routes").order_by("client__slug", "name", "pk"):
        found.setdefault((row.client.slug, row.name), row)
    return found


def read_keys() -> list[tuple[Metadata, Spec]]:
    """Never a secret or its digest: a key that is applied elsewhere is another key."""
    return [
        (
            {"client": slug, "name": name},
            {
                "route": row.default_route.name,
                "routes": sorted(one.name for one in row.routes.all() if one.pk != row.default_route_id),
                "tenant": row.tenant,
                "agent": row.agent,
                "expires": instant(row.expires_at) if row.expires_at else None,
                "limits": row.limits,
            },
        )
        for (slug, name), row in _keys().items()
    ]


def put_key(actor: Actor, metadata: Metadata, spec: Spec) -> str | None:
    """A new key's secret, told once; an existing key keeps its own."""
    of, name = client(metadata["client"]), metadata["name"]
    route = route_by_name(actor, spec["route"])
    if route.system.client_id != of.pk:
        raise Invalid(f"The route {route.name!r} belongs to another client.", "A key's routes belong to its client.")
    more = [route_by_name(actor, one) for one in spec.get("routes", [])]
    tenant, agent = spec.get("tenant", ""), spec.get("agent", "")
    expires = datetime.fromisoformat(spec["expires"]) if spec.get("expires") else None
    known, secret = _keys().get((of.slug, name)), None
    if known is None:
        known, secret = create_key(actor, name, route, tenant, agent, more, expires)
    else:
        alter_key(actor, known, route, tenant, agent, more, expires)
    if known.limits != spec.get("limits", {}):
        set_limits(actor, known, spec.get("limits", {}))
    return secret
