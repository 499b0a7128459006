"""Documents of systems."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import (
    FLAG,
    NEEDED_TEXT,
    TEXT,
    ZONE,
    Field,
    address,
    list_of,
    mapping,
    one_of,
    whole,
)
from afterlaunch.app.configuration.people import client, person
from afterlaunch.estate.actions import declare
from afterlaunch.estate.dependencies import set_dependencies
from afterlaunch.estate.limits import LIMITS
from afterlaunch.estate.models import POSTURES, TIERS, Dependency, System
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid

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
    changes: dict[str, Any] = {column: spec[name] for name, (column, _) in FIELDS.items() if name in spec}
    if "infrastructure" in spec:
        changes["infrastructure"] = {LIMIT_FIELDS[name].name: value for name, value in spec["infrastructure"].items()}
    if "owner" in spec:
        changes["owner"] = person(spec["owner"]) if spec["owner"] else None
    declare(actor, client(metadata["client"]), metadata["name"], **changes)


NEEDS_FIELDS = {
    "needs": list_of(mapping({"system": NEEDED_TEXT, "inhibits": replace(FLAG, needed=True)})),
}


def read_needs() -> list[tuple[Metadata, Spec]]:
    """Of systems that need others: a kind of its own, since both systems must be there first."""
    found: dict[tuple[str, str], list[Spec]] = {}
    rows = Dependency.objects.select_related("system__client", "needs")
    for row in rows.order_by("system__client__slug", "system__key", "needs__key"):
        place = (row.system.client.slug, row.system.key)
        found.setdefault(place, []).append({"system": row.needs.key, "inhibits": row.inhibits})
    return [({"client": slug, "system": key}, {"needs": needs}) for (slug, key), needs in found.items()]


def put_needs(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    of = client(metadata["client"])
    known = {row.key: row for row in System.objects.filter(client=of).select_related("client")}
    named = [metadata["system"], *(one["system"] for one in spec.get("needs", []))]
    if missing := [key for key in named if key not in known]:
        raise Invalid(f"{of.slug} has no system {missing[0]!r}.")
    needs = {known[one["system"]]: bool(one["inhibits"]) for one in spec.get("needs", [])}
    set_dependencies(actor, known[metadata["system"]], needs)
