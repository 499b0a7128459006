"""Documents of systems."""

from __future__ import annotations

from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import FLAG, TEXT, ZONE, Field, address, one_of, whole
from afterlaunch.app.configuration.people import client, person
from afterlaunch.estate.actions import adopt
from afterlaunch.estate.models import POSTURES, TIERS, System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role

FIELDS: dict[str, tuple[str, Field]] = {
    "displayName": ("name", TEXT),
    "tier": ("tier", one_of([name for name, _ in TIERS])),
    "posture": ("posture", one_of([name for name, _ in POSTURES])),
    "timeZone": ("time_zone", ZONE),
    "latencyP95Ms": ("latency_p95_ms", whole(1, 3_600_000, none=True)),
    "latencyP99Ms": ("latency_p99_ms", whole(1, 3_600_000, none=True)),
    "automaticRollback": ("automatic_rollback", FLAG),
}
SYSTEM_FIELDS = {**{name: field for name, (_, field) in FIELDS.items()}, "owner": address(none=True)}


def read_systems() -> list[tuple[Metadata, Spec]]:
    rows = System.objects.exclude(adopted_at=None).select_related("client", "owner").order_by("client__slug", "key")
    return [
        (
            {"client": row.client.slug, "name": row.key},
            {
                **{name: getattr(row, column) for name, (column, _) in FIELDS.items()},
                "owner": row.owner.email if row.owner else None,
            },
        )
        for row in rows
    ]


def put_system(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    of = client(metadata["client"])
    actor.require(Role.OPERATOR, of.slug)
    now = clock.now()
    system, _ = System.objects.select_related("client").get_or_create(
        client=of, key=metadata["name"], defaults={"name": metadata["name"], "first_seen_at": now}
    )
    changes: dict[str, Any] = {column: spec[name] for name, (column, _) in FIELDS.items() if name in spec}
    if "owner" in spec:
        changes["owner"] = person(spec["owner"]) if spec["owner"] else None
    adopt(actor, system, **changes)
