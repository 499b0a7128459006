"""The kinds of documents, by name, in the order in which they build upon each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.accounts.people import put_client, put_person
from afterlaunch.estate.actions import adopt
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.routes.actions import ArmValues, put_route, put_upstream
from afterlaunch.routes.models import Arm, Route, Upstream

Spec = dict[str, Any]
Identity = tuple[tuple[str, str], ...]  # the metadata, sorted


@dataclass(frozen=True)
class Kind:
    """`read` gives (metadata, spec) of every row; `put` makes one row so. `fields` are what a spec may hold."""

    name: str
    metadata: tuple[str, ...]
    fields: tuple[str, ...]
    read: Callable[[], list[tuple[dict[str, str], Spec]]]
    put: Callable[[Actor, dict[str, str], Spec], None]


def _read_clients() -> list[tuple[dict[str, str], Spec]]:
    return [
        ({"name": row.slug}, {"displayName": row.name, "timeZone": row.time_zone})
        for row in Client.objects.order_by("slug")
    ]


def _put_client(actor: Actor, metadata: dict[str, str], spec: Spec) -> None:
    put_client(actor, metadata["name"], spec.get("displayName", metadata["name"]), spec.get("timeZone", "UTC"))


def _read_people() -> list[tuple[dict[str, str], Spec]]:
    grants: dict[int, list[Grant]] = {}
    for grant in Grant.objects.select_related("client"):
        grants.setdefault(grant.user_id, []).append(grant)
    return [
        (
            {"name": user.email},
            {
                "displayName": user.name,
                "timeZone": user.time_zone,
                "roles": sorted(
                    ({"role": g.role, "client": g.client.slug if g.client else None} for g in grants.get(user.pk, [])),
                    key=str,
                ),
            },
        )
        for user in User.objects.filter(is_active=True).order_by("email")
    ]


def _put_person(actor: Actor, metadata: dict[str, str], spec: Spec) -> None:
    try:
        held = [Held(Role(row["role"]), row.get("client")) for row in spec.get("roles", [])]
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Invalid(
            f"Person {metadata['name']}: roles are a list of {{role, client}}.",
            "role: " + ", ".join(role.value for role in Role),
        ) from None
    put_person(actor, metadata["name"], spec.get("displayName", ""), held, spec.get("timeZone", ""))


SYSTEM_FIELDS = {
    "displayName": "name",
    "tier": "tier",
    "posture": "posture",
    "timeZone": "time_zone",
    "latencyP95Ms": "latency_p95_ms",
    "latencyP99Ms": "latency_p99_ms",
    "automaticRollback": "automatic_rollback",
}


def _read_systems() -> list[tuple[dict[str, str], Spec]]:
    rows = System.objects.exclude(adopted_at=None).select_related("client", "owner").order_by("client__slug", "key")
    return [
        (
            {"name": row.key, "client": row.client.slug},
            {
                **{name: getattr(row, field) for name, field in SYSTEM_FIELDS.items()},
                "owner": row.owner.email if row.owner else None,
            },
        )
        for row in rows
    ]


def _put_system(actor: Actor, metadata: dict[str, str], spec: Spec) -> None:
    client = Client.objects.filter(slug=metadata["client"]).first()
    if client is None:
        raise Invalid(f"System {metadata['name']}: there is no client {metadata['client']!r}.")
    actor.require(Role.OPERATOR, client.slug)
    now = clock.now()
    system, _ = System.objects.select_related("client").get_or_create(
        client=client, key=metadata["name"], defaults={"name": metadata["name"], "first_seen_at": now}
    )
    changes = {field: spec[name] for name, field in SYSTEM_FIELDS.items() if name in spec}
    if "owner" in spec:
        changes["owner"] = _person(spec["owner"])
    adopt(actor, system, **changes)


def _person(email: str | None) -> User | None:
    if not email:
        return None
    user = User.objects.filter(email=email.lower()).first()
    if user is None:
        raise Invalid(f"There is no person {email!r}.", "Add a document of kind Person.")
    return user


def _read_upstreams() -> list[tuple[dict[str, str], Spec]]:
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


def _put_upstream(actor: Actor, metadata: dict[str, str], spec: Spec) -> None:
    for field in ("baseUrl", "provider"):
        if not spec.get(field):
            raise Invalid(f"Upstream {metadata['name']}: {field} is missing.")
    credential, timeout = spec.get("credential", "passthrough"), float(spec.get("timeoutSeconds", 600))
    put_upstream(actor, metadata["name"], spec["baseUrl"], spec["provider"], credential, timeout)


def _arm(arm: Arm | None) -> Spec | None:
    if arm is None:
        return None
    return {"upstream": arm.upstream.name, "model": arm.model, "promptVersion": arm.prompt_version}


def _read_routes() -> list[tuple[dict[str, str], Spec]]:
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
            },
        )
        for row in rows
    ]


def _put_route(actor: Actor, metadata: dict[str, str], spec: Spec) -> None:
    name = metadata["name"]
    system = System.objects.select_related("client").filter(client__slug=spec.get("client"), key=spec.get("system"))
    owner = system.first()
    if owner is None:
        raise Invalid(f"Route {name}: there is no system {spec.get('system')!r} of client {spec.get('client')!r}.")
    arm = spec.get("baseline") or {}
    if not arm.get("upstream"):
        raise Invalid(f"Route {name}: baseline.upstream is missing.")
    values = ArmValues(arm["upstream"], arm.get("model") or "", arm.get("promptVersion") or "")
    unit = spec.get("unit") or ["session", "user", "tenant", "key"]
    put_route(actor, name, owner, values, spec.get("environment", "prod"), unit, spec.get("agent") or "")


KINDS: tuple[Kind, ...] = (
    Kind("Client", ("name",), ("displayName", "timeZone"), _read_clients, _put_client),
    Kind("Person", ("name",), ("displayName", "timeZone", "roles"), _read_people, _put_person),
    Kind("System", ("client", "name"), (*SYSTEM_FIELDS, "owner"), _read_systems, _put_system),
    Kind(
        "Upstream",
        ("name",),
        ("baseUrl", "provider", "credential", "timeoutSeconds"),
        _read_upstreams,
        _put_upstream,
    ),
    Kind(
        "Route",
        ("name",),
        ("client", "system", "environment", "agent", "unit", "baseline"),
        _read_routes,
        _put_route,
    ),
)
