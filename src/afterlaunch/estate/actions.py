"""Deeds on the estate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client, User
from afterlaunch.estate.limits import checked
from afterlaunch.estate.models import POSTURES, TIERS, Component, Environment, System, Version
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound


@dataclass(frozen=True)
class Sighting:
    """What one batch of telemetry says exists. `components` are (kind, name, version label) triples."""

    client: str
    system: str
    environment: str
    components: frozenset[tuple[str, str, str]] = frozenset()


def systems_seen_by(actor: Actor) -> QuerySet[System]:
    """Only systems of clients that the actor may see."""
    seen = actor.sees()
    rows = System.objects.select_related("client", "owner")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def system_by_id(actor: Actor, pk: int) -> System:
    system = systems_seen_by(actor).filter(pk=pk).first()
    if system is None:
        raise NotFound(f"There is no system {pk}.")
    return system


def places_known() -> set[tuple[str, str, str]]:
    """(client, system, environment) of everything that was ever sighted."""
    return set(Environment.objects.values_list("system__client__slug", "system__key", "name"))


@transaction.atomic
def note_sightings(sightings: Iterable[Sighting], at: datetime) -> list[Version]:
    """Make what is new, touch what is known. Returns versions that were never seen before in their environment."""
    fresh: list[Version] = []
    for sighting in sightings:
        client, _ = Client.objects.get_or_create(
            slug=sighting.client, defaults={"name": sighting.client, "created_at": at}
        )
        system, made = System.objects.get_or_create(
            client=client,
            key=sighting.system,
            defaults={"name": sighting.system, "first_seen_at": at, "last_seen_at": at},
        )
        if not made:
            System.objects.filter(pk=system.pk).update(last_seen_at=at)
        environment, made = Environment.objects.get_or_create(
            system=system, name=sighting.environment, defaults={"first_seen_at": at, "last_seen_at": at}
        )
        if not made:
            Environment.objects.filter(pk=environment.pk).update(last_seen_at=at)
        for kind, name, label in sorted(sighting.components):
            component, _ = Component.objects.get_or_create(system=system, kind=kind, name=name[:200])
            version, made = Version.objects.get_or_create(
                component=component,
                environment=sighting.environment,
                label=label[:200],
                defaults={"first_seen_at": at, "last_seen_at": at},
            )
            if made:
                fresh.append(version)
            else:
                Version.objects.filter(pk=version.pk).update(last_seen_at=at)
    return fresh


EDITABLE = (
    "name", "owner", "tier", "posture", "time_zone", "latency_p95_ms", "latency_p99_ms", "automatic_rollback",
    "infrastructure",
)  # fmt: skip


@transaction.atomic
def adopt(actor: Actor, system: System, **changes: Any) -> System:
    """Name a system, give it an owner, tier, posture, targets; the first time makes it adopted."""
    actor.require(Role.OPERATOR, system.client.slug)
    unknown = set(changes) - set(EDITABLE)
    if unknown:
        raise Invalid(f"A system has no field {sorted(unknown)[0]!r}.", "Fields: " + ", ".join(EDITABLE))
    _check(changes)
    before = {name: str(getattr(system, name)) for name in changes}
    for name, value in changes.items():
        setattr(system, name, value)
    first = system.adopted_at is None
    system.adopted_at = system.adopted_at or clock.now()
    system.save()
    after = {name: str(getattr(system, name)) for name in changes}
    record(
        actor,
        "system.adopted" if first else "system.edited",
        f"system/{system.pk}",
        system.client.slug,
        {"before": before, "after": after},
    )
    return system


@transaction.atomic
def declare(actor: Actor, client: Client, key: str, **changes: Any) -> System:
    """A system by the name that its telemetry has or will have, adopted; one that is there is altered."""
    actor.require(Role.OPERATOR, client.slug)
    key = key.strip()
    if not key or len(key) > 200 or "\x00" in key:
        raise Invalid("A system needs a name of up to 200 characters.", "The service.name that its telemetry has.")
    found, _ = System.objects.select_related("client").get_or_create(
        client=client, key=key, defaults={"name": key, "first_seen_at": clock.now()}
    )
    return adopt(actor, found, **changes)


def _check(changes: dict[str, Any]) -> None:
    for field, choices in (("tier", TIERS), ("posture", POSTURES)):
        if field in changes and changes[field] not in {value for value, _ in choices}:
            raise Invalid(
                f"{changes[field]!r} is no {field}.", "Use one of: " + ", ".join(value for value, _ in choices)
            )
    if "time_zone" in changes:
        try:
            ZoneInfo(changes["time_zone"])
        except (ZoneInfoNotFoundError, ValueError):
            raise Invalid(f"{changes['time_zone']!r} is no IANA time zone.", "For example: Europe/Berlin") from None
    if "name" in changes and not str(changes["name"]).strip():
        raise Invalid("A system needs a name.")
    if "infrastructure" in changes:
        changes["infrastructure"] = checked(changes["infrastructure"])
    owner = changes.get("owner")
    if owner is not None and not isinstance(owner, User):
        raise Invalid("The owner must be a person.")
