"""Deeds on escalation policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.notify.channels import live_channels
from afterlaunch.oncall.actions import able_people
from afterlaunch.oncall.documents import choice, members_of
from afterlaunch.oncall.models import EscalationPolicy, Schedule, SystemPolicy, Team
from afterlaunch.oncall.policies import (
    MODES,
    TARGETS,
    check_repeat,
    normal_again,
    normal_steps,
    normal_targets,
)

OWNER = [{"kind": "owner"}]


def policy_by_id(actor: Actor, slug: str, pk: int) -> EscalationPolicy:
    """One policy of a client that the actor sees. Raises NotFound."""
    rows = EscalationPolicy.objects.filter(client=client_by_slug(actor, slug), pk=pk, removed_at=None)
    found = rows.select_related("client").first()
    if found is None:
        raise NotFound(f"There is no escalation policy {pk}.")
    return found


class _Known:
    """What targets of one client may name."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ids = {
            "schedule": set(Schedule.objects.filter(client=client, removed_at=None).values_list("pk", flat=True)),
            "person": set(able_people(client).values_list("pk", flat=True)),
            "team": set(Team.objects.filter(client=client).values_list("pk", flat=True)),
            "channel": set(live_channels(client.slug).values_list("pk", flat=True)),
        }

    def target(self, where: str, given: Any) -> dict[str, Any]:
        told = members_of(where, given, ("kind",), ("id",))
        kind, key = choice(f"{where}.kind", told["kind"], TARGETS), told.get("id")
        if kind == "owner" or (kind == "schedule" and key is None):
            return {"kind": kind}
        if key not in self._ids.get(kind, ()):
            hint = "Give the role responder first." if kind == "person" else ""
            raise Invalid(f"{where}: there is no such {kind} that could be paged for {self._client}.", hint)
        return {"kind": kind, "id": key}

    def last(self, where: str, given: Any) -> dict[str, Any]:
        made = self.target(where, given)
        if made["kind"] == "channel":
            raise Invalid(f"{where}: a channel is nobody who could act.", "Name a person, a team, or the owner.")
        return made


def checked_policy(
    client: Client, steps: object, repeat: object, ack_mode: object, again: object, catch_all: object
) -> dict[str, Any]:
    """The fields of a policy's row. Raises Invalid with the place."""
    known = _Known(client)
    if not isinstance(catch_all, list) or not catch_all:
        raise Invalid("A policy needs a catch-all: whom to page when everything else has failed.")
    return {
        "steps": normal_steps(steps, known.target),
        "repeat": check_repeat(repeat),
        "ack_mode": choice("ack_mode", ack_mode, MODES),
        "again": normal_again(again),
        "catch_all": normal_targets("catch_all", catch_all, known.last),
    }


@transaction.atomic
def save_policy(
    actor: Actor,
    client: Client,
    name: str,
    steps: object,
    *,
    repeat: int = 1,
    ack_mode: str = "one",
    again: Mapping[str, int] | None = None,
    catch_all: object = None,
    default: bool = False,
    row: EscalationPolicy | None = None,
) -> EscalationPolicy:
    """Make or change a policy; escalations that run go by it from their next step on. The client's first policy is its
    default. `again` None: P1 after 30 minutes; `catch_all` None: the owner, else the administrators."""
    actor.require(Role.OPERATOR, client.slug)
    name = name.strip()
    if not name or len(name) > 100:
        raise Invalid("A policy needs a name of up to 100 characters.")
    of_client = EscalationPolicy.objects.filter(client=client, removed_at=None).exclude(pk=row.pk if row else 0)
    if of_client.filter(name=name).exists():
        raise Invalid(f"There is an escalation policy {name!r} already.")
    given = OWNER if catch_all is None else catch_all
    fields = checked_policy(client, steps, repeat, ack_mode, {"P1": 30} if again is None else again, given)
    made = row or EscalationPolicy(client=client)
    before = _told(made) if row else None
    made.name, made.default = name, default or not of_client.filter(default=True).exists()
    for field, value in fields.items():
        setattr(made, field, value)
    if made.default:
        of_client.filter(default=True).update(default=False)
    made.save()
    details = {"before": before, "after": _told(made)}
    record(actor, "escalation_policy.set", f"escalation-policy/{made.pk}", client.slug, details)
    return made


def _told(row: EscalationPolicy) -> dict[str, Any]:
    names = ("name", "default", "steps", "repeat", "ack_mode", "again", "catch_all")
    return {name: getattr(row, name) for name in names}


@transaction.atomic
def remove_policy(actor: Actor, row: EscalationPolicy) -> None:
    """Systems that had it go by the default again. The default itself goes last."""
    actor.require(Role.OPERATOR, row.client.slug)
    others = EscalationPolicy.objects.filter(client=row.client, removed_at=None).exclude(pk=row.pk)
    if row.default and others.exists():
        raise Conflict(f"{row} is the default.", "Make another one the default first.")
    SystemPolicy.objects.filter(policy=row).delete()
    row.removed_at, row.default = clock.now(), False
    row.save(update_fields=["removed_at", "default"])
    record(actor, "escalation_policy.removed", f"escalation-policy/{row.pk}", row.client.slug)


@transaction.atomic
def assign_policy(actor: Actor, system: System, row: EscalationPolicy | None) -> None:
    """The system goes by this policy; None: by the client's default."""
    actor.require(Role.OPERATOR, system.client.slug)
    if row is not None and (row.client_id != system.client_id or row.removed_at is not None):
        raise NotFound("There is no such escalation policy.")
    if row is None:
        SystemPolicy.objects.filter(system=system).delete()
    else:
        SystemPolicy.objects.update_or_create(system=system, defaults={"policy": row})
    details = {"policy": row.pk if row else None}
    record(actor, "escalation_policy.assigned", f"system/{system.pk}", system.client.slug, details)
