"""Documents of the guard: approval queues, policies of routes."""

from __future__ import annotations

from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import Field, address, whole
from afterlaunch.app.configuration.gateway import camel, snake
from afterlaunch.app.configuration.people import client, person
from afterlaunch.contracts.guard import Policy
from afterlaunch.contracts.plain import made, sparse
from afterlaunch.ground.actors import Actor
from afterlaunch.guard.actions import LONGEST, OURS, SHORTEST, policy_by_name, put_policy, put_queue
from afterlaunch.guard.models import Queue
from afterlaunch.routes.actions import route_by_name
from afterlaunch.routes.models import GuardPolicy


def _members(value: Any, rename: Any) -> Any:
    """A schema's members keep their names: they are not ours."""
    if isinstance(value, dict):
        renamed = {rename(str(name)): one for name, one in value.items()}
        return {name: one if name == "schema" else _members(one, rename) for name, one in renamed.items()}
    return [_members(one, rename) for one in value] if isinstance(value, list | tuple) else value


def _policy(value: Any) -> Spec:
    """As it is exported: what is as by default is not named."""
    given = _members(value, snake)
    if not isinstance(given, dict) or set(given) & set(OURS):
        raise ValueError(value)
    policy = made(Policy, {"id": "new", "name": "new", **given})
    if policy.wrong():
        raise ValueError(policy.wrong())
    return dict(_members({key: one for key, one in sparse(policy).items() if key not in OURS}, camel))


QUEUE_FIELDS = {"owner": address(none=True), "tellAfterSeconds": whole(SHORTEST, LONGEST)}
POLICY_FIELDS = {
    "position": whole(0, 10_000),
    "policy": Field("what docs/guard.md tells, in camel case", _policy, needed=True),
}


def read_queues() -> list[tuple[Metadata, Spec]]:
    rows = Queue.objects.select_related("client", "owner").order_by("client__slug", "name")
    return [
        (
            {"client": row.client.slug, "name": row.name},
            {"owner": row.owner.email if row.owner else None, "tellAfterSeconds": row.tell_after},
        )
        for row in rows
    ]


def put_queue_document(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    owner = person(spec["owner"]) if spec.get("owner") else None
    put_queue(actor, client(metadata["client"]), metadata["name"], owner, spec.get("tellAfterSeconds", 900))


def read_policies() -> list[tuple[Metadata, Spec]]:
    rows = GuardPolicy.objects.select_related("route").filter(ended_at=None)
    return [
        ({"route": row.route.name, "name": row.name}, {"position": row.position, "policy": _members(row.spec, camel)})
        for row in rows.order_by("route__name", "name")
    ]


def put_policy_document(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    """Without a position it keeps its own."""
    route = route_by_name(actor, metadata["route"])
    known = policy_by_name(route, metadata["name"])
    position = spec.get("position", known.position if known else None)
    put_policy(actor, route, metadata["name"], _members(spec["policy"], snake), position)
