"""Whom a step reaches at an instant: one answer for paging, for the forecast and for the simulated timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from afterlaunch.accounts.models import Client, User
from afterlaunch.calendars.actions import calendar_of
from afterlaunch.calendars.business import is_open, local_date, why_closed
from afterlaunch.estate.models import System
from afterlaunch.notify.outbox import contacts_of
from afterlaunch.oncall.models import EscalationPolicy, Schedule, SystemPolicy, Team
from afterlaunch.oncall.policies import BUILT_IN, NOBODY, REACHED, Moment, Policy, Step, Target, policy_of_document
from afterlaunch.oncall.schedule import administrators, first_schedule, who_is_on_call


def policy_row(system: System) -> EscalationPolicy | None:
    """The system's own policy, else the client's default; None: the built-in one."""
    own = SystemPolicy.objects.filter(system=system, policy__removed_at=None).select_related("policy").first()
    if own is not None:
        return own.policy
    return EscalationPolicy.objects.filter(client=system.client_id, default=True, removed_at=None).first()


def policy_of(row: EscalationPolicy | None) -> Policy:
    if row is None or row.removed_at is not None or not row.steps:
        return BUILT_IN
    return policy_of_document(row.steps, row.repeat, row.ack_mode, row.again, row.catch_all)


def moment(client: Client, facts: Mapping[str, Any], at: datetime) -> Moment:
    """What conditions ask, in the client's business hours."""
    calendar = calendar_of(client)
    day = local_date(calendar, at)
    closed = why_closed(calendar, day)
    holiday = closed is not None and closed != "closure"
    severity, kind = str(facts.get("severity", "")), str(facts.get("kind", ""))
    return Moment(severity, kind, is_open(calendar, at), day.isoweekday(), holiday)


def owners(system: System) -> list[User]:
    """The system's owner when they can be reached, else every administrator who can."""
    owner = system.owner
    if owner is not None and _reachable(owner):
        return [owner]
    return [user for user in administrators(system.client) if _reachable(user)]


def _reachable(user: User) -> bool:
    return user.is_active and contacts_of(user).exists()


def people_of(targets: Iterable[Target], system: System, at: datetime) -> list[User]:
    """Everyone whom these targets reach at `at`, once each; may be nobody. Channels are not people."""
    found: dict[int, User] = {}
    for target in targets:
        for user in owners(system) if target.kind == "owner" else filter(_reachable, _named(target, system, at)):
            found.setdefault(user.pk, user)
    return list(found.values())


def _named(target: Target, system: System, at: datetime) -> list[User]:
    client = system.client
    if target.kind == "person":
        return list(User.objects.filter(pk=target.id, is_active=True))
    if target.kind == "team":
        team = Team.objects.filter(pk=target.id, client=client).first()
        return list(team.members.filter(is_active=True).order_by("name", "pk")) if team else []
    if target.kind != "schedule":
        return []
    row = first_schedule(client) if target.id is None else Schedule.objects.filter(
        pk=target.id, client=client, removed_at=None
    ).first()  # fmt: skip
    return list(who_is_on_call(row, at).people) if row is not None else []


def channels_of(targets: Iterable[Target]) -> list[int]:
    return [int(one.id) for one in targets if one.kind == "channel"]


def look_at(system: System, facts: Mapping[str, Any], step: Step, at: datetime) -> tuple[str, tuple[User, ...]]:
    """REACHED, NOBODY or why the step does not hold at `at`, and the people whom it reaches. A channel is told, too."""
    why = step.conditions.why_not(moment(system.client, facts, at))
    if why is not None:
        return why, ()
    people = tuple(people_of(step.targets, system, at))
    return (REACHED if people or channels_of(step.targets) else NOBODY), people
