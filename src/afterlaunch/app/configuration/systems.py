"""Documents of systems."""

from __future__ import annotations

from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import FLAG, TEXT, ZONE, Field, address, one_of, whole
from afterlaunch.app.configuration.people import client, person
from afterlaunch.estate.actions import adopt
from afterlaunch.estate.limits import LIMITS
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


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


LIMIT_FIELDS = {_camel(one.name): one for one in LIMITS}


def _limits(value: Any) -> Spec:
    """In the order of the table, so that an export applied again is the same."""
    if value is None:
        return {}
    if not isinstance(value, dict) or set(value) - set(LIMIT_FIELDS):
        raise ValueError(value)
    for name, given in value.items():
        row = LIMIT_FIELDS[name]
        if given is None and not row.whole:
            continue
        if not isinstance(given, (int, float)) or isinstance(given, bool) or not row.least <= given <= row.most:
            raise ValueError(value)
    return {name: None if value[name] is None else float(value[name]) for name in LIMIT_FIELDS if name in value}


SYSTEM_FIELDS = {
    **{name: field for name, (_, field) in FIELDS.items()},
    "owner": address(none=True),
    "infrastructure": Field("numbers, or null for what is not judged, of " + ", ".join(LIMIT_FIELDS), _limits),
}


def read_systems() -> list[tuple[Metadata, Spec]]:
    rows = System.objects.exclude(adopted_at=None).select_related("client", "owner").order_by("client__slug", "key")
    return [
        (
            {"client": row.client.slug, "name": row.key},
            {
                **{name: getattr(row, column) for name, (column, _) in FIELDS.items()},
                "owner": row.owner.email if row.owner else None,
                "infrastructure": {
                    name: row.infrastructure[one.name]
                    for name, one in LIMIT_FIELDS.items()
                    if one.name in row.infrastructure
                },
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
    if "infrastructure" in spec:
        changes["infrastructure"] = {LIMIT_FIELDS[name].name: value for name, value in spec["infrastructure"].items()}
    if "owner" in spec:
        changes["owner"] = person(spec["owner"]) if spec["owner"] else None
    adopt(actor, system, **changes)
