"""Which system needs which. No circles: else two that fail together would each keep the other quiet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import transaction

from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import Dependency, System
from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid


def reached(start: int, edges: Mapping[int, Iterable[int]]) -> set[int]:
    """Everything that `start` needs, itself or through others. Pure."""
    found: set[int] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting.extend(edges.get(one, ()))
    return found


def edges_of(client: Client | str, inhibiting: bool = False) -> dict[int, set[int]]:
    slug = client if isinstance(client, str) else client.slug
    rows = Dependency.objects.filter(system__client__slug=slug)
    found: dict[int, set[int]] = {}
    for system, needs in (rows.filter(inhibits=True) if inhibiting else rows).values_list("system_id", "needs_id"):
        found.setdefault(system, set()).add(needs)
    return found


@transaction.atomic
def set_dependencies(actor: Actor, system: System, needs: Mapping[System, bool]) -> None:
    """What a system needs, and of each whether it inhibits. Raises Invalid, Conflict for a circle."""
    actor.require(Role.OPERATOR, system.client.slug)
    if any(one.client_id != system.client_id for one in needs):
        raise Invalid("A system needs systems of its own client.")
    Client.objects.select_for_update().get(pk=system.client_id)  # two who draw arrows take turns
    edges = {**edges_of(system.client), system.pk: {one.pk for one in needs}}
    if system.pk in reached(system.pk, edges):
        raise Conflict(f"{system} would need itself, through others.", "Leave one of the dependencies out.")
    before = {row.needs_id: row.inhibits for row in system.dependencies.all()}
    after = {one.pk: inhibits for one, inhibits in needs.items()}
    if before == after:
        return
    system.dependencies.all().delete()
    Dependency.objects.bulk_create([Dependency(system=system, needs=one, inhibits=on) for one, on in needs.items()])
    details = {
        "needs": sorted(one.key for one in needs),
        "inhibits": sorted(one.key for one, on in needs.items() if on),
    }
    record(actor, "system.dependencies_set", f"system/{system.pk}", system.client.slug, details)
