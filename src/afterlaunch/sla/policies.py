"""Policies of clients: which version counts, and how a new one is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from afterlaunch.accounts.models import Client
from afterlaunch.calendars.actions import calendar_of, newest
from afterlaunch.calendars.business import Calendar
from afterlaunch.calendars.models import DEFAULT_NAME
from afterlaunch.estate.models import TIERS, System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.sla.models import SlaPolicy
from afterlaunch.sla.targets import Policy, read_policy, shipped


@dataclass(frozen=True)
class Held:
    """A policy, and the row of its version; None: the shipped one."""

    policy: Policy
    row: SlaPolicy | None


def policy_of(client: Client, tier: str, at: datetime | None = None) -> Held:
    """The newest version of the client's policy for the tier, or the one that was newest at `at`; else the shipped."""
    rows = SlaPolicy.objects.filter(client=client, tier=tier).order_by("-version")
    row = (rows.filter(created_at__lte=at) if at else rows).first()
    return held(row, tier)


def held(row: SlaPolicy | None, tier: str) -> Held:
    return Held(read_policy(row.document, row.label) if row else shipped(tier), row)


def hours_of(system: System, name: str) -> Calendar:
    """The newest version of that calendar of the system's client. Without one of the usual name: the usual hours, in
    the system's zone. Raises NotFound."""
    return calendar_of(system.client, name, zone=system.time_zone if system.time_zone != "UTC" else "")


@transaction.atomic
def set_policy(actor: Actor, client: Client, tier: str, given: Mapping[str, Any]) -> SlaPolicy:
    """A new version, for clocks that start from now on. The same again makes none. Raises Invalid."""
    actor.require(Role.OPERATOR, client.slug)
    if tier not in dict(TIERS):
        raise Invalid(f"{tier!r} is no tier.", f"Use {' or '.join(name for name, _ in TIERS)}.")
    wanted = read_policy(given, "new")
    _check_calendars(client, wanted)
    Client.objects.select_for_update().get(pk=client.pk)  # two editors take turns
    last = SlaPolicy.objects.filter(client=client, tier=tier).order_by("-version").first()
    before = read_policy(last.document, "last").document() if last else None
    if last is not None and before == wanted.document():
        return last
    row = SlaPolicy.objects.create(
        client=client,
        tier=tier,
        version=last.version + 1 if last else 1,
        document=wanted.document(),
        created_at=clock.now(),
        created_by=actor.name,
    )
    details = {"version": row.version, "before": before, "after": row.document}
    record(actor, "sla.policy_set", f"sla/{client.slug}/{tier}", client.slug, details)
    return row


def _check_calendars(client: Client, policy: Policy) -> None:
    known = {DEFAULT_NAME, *newest(client)}
    for name, row in policy.cells.items():
        for severity, target in row.items():
            if target.calendar not in known:
                hint = f"Known: {', '.join(sorted(known))}"
                raise Invalid(f"{name} {severity}: {client} has no calendar {target.calendar!r}.", hint)
