"""Whom a step reaches at an instant: one answer for paging, for the forecast and for the simulated timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from afterlaunch.accounts.models import Client, User
from afterlaunch.calendars.actions import calendar_of
from afterlaunch.calendars.business import is_open, local_date, why_closed
from afterlaunch.estate.models import System
from afterlaunch.oncall import final
from afterlaunch.oncall.handoffs import reachable
from afterlaunch.oncall.models import EscalationPolicy, Schedule, SystemPolicy, Team
from afterlaunch.oncall.policies import (
    BUILT_IN,
    NOBODY,
    REACHED,
    Conditions,
    Moment,
    Policy,
    Step,
    Target,
    policy_of_document,
)
from afterlaunch.oncall.schedule import administrators, of_schedule, people_by_pk

ALWAYS = Conditions()
OWN_POLICY = "system__oncall__policy"  # to be read with rows that have a system
SYSTEM_POLICY: Any = System._meta.get_field("oncall")


def policy_row(system: System) -> EscalationPolicy | None:
    """The system's own policy, else the client's default; None: the built-in one."""
    own = _own_policy(system)
    if own is not None and own.removed_at is None:
        return own
    return EscalationPolicy.objects.filter(client=system.client_id, default=True, removed_at=None).first()


def _own_policy(system: System) -> EscalationPolicy | None:
    """Also one that was removed. Rows that came with OWN_POLICY have it with them."""
    if SYSTEM_POLICY.is_cached(system):
        found = SYSTEM_POLICY.get_cached_value(system)
    else:
        found = SystemPolicy.objects.filter(system=system).select_related("policy").first()
    return found.policy if found is not None else None


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


class Reach:
    """Whom targets reach, in one transaction or for one page: what was read once is not read again. Instants that are
    asked of must not go back."""

    def __init__(self) -> None:
        self._able: dict[int, bool] = {}
        self._admins: dict[int, list[User]] = {}
        self._people: dict[object, User] = {}
        self._schedules: dict[object, Schedule | None] = {}
        self._rules: dict[int, final.Schedule] = {}

    def owners(self, system: System) -> list[User]:
        """The system's owner when they can be reached, else every administrator who can."""
        owner = system.owner
        if owner is not None and self._reachable([owner]):
            return [owner]
        if system.client_id not in self._admins:
            self._admins[system.client_id] = administrators(system.client)
        return self._reachable(self._admins[system.client_id])

    def people_of(self, targets: Iterable[Target], system: System, at: datetime) -> list[User]:
        """Everyone whom these targets reach at `at`, once each; may be nobody. Channels are not people."""
        found: dict[int, User] = {}
        for target in targets:
            owned = target.kind == "owner"
            for user in self.owners(system) if owned else self._reachable(self._named(target, system, at)):
                found.setdefault(user.pk, user)
        return list(found.values())

    def _reachable(self, people: Sequence[User]) -> list[User]:
        unknown = [one.pk for one in people if one.pk not in self._able]
        if unknown:
            able = reachable(unknown)
            self._able |= {pk: pk in able for pk in unknown}
        return [one for one in people if one.is_active and self._able[one.pk]]

    def _named(self, target: Target, system: System, at: datetime) -> list[User]:
        if target.kind == "person":
            return [one for one in self._by_pk([target.id]) if one.is_active]
        if target.kind == "team":
            team = Team.objects.filter(pk=target.id, client=system.client_id).first()
            return list(team.members.filter(is_active=True).order_by("name", "pk")) if team else []
        return self._on_call(target, system, at) if target.kind == "schedule" else []

    def _on_call(self, target: Target, system: System, at: datetime) -> list[User]:
        row = self._schedule(target, system)
        if row is None:
            return []
        if row.pk not in self._rules:
            self._rules[row.pk] = of_schedule(row, at)
        return self._by_pk([one.person for one in final.on_call_at(self._rules[row.pk], at)])

    def _schedule(self, target: Target, system: System) -> Schedule | None:
        place = (system.client_id, target.id)
        if place not in self._schedules:
            rows = Schedule.objects.filter(client=system.client_id, removed_at=None)
            named = rows if target.id is None else rows.filter(pk=target.id)
            self._schedules[place] = named.order_by("pk").first()
        return self._schedules[place]

    def _by_pk(self, pks: Sequence[object]) -> list[User]:
        self._people |= people_by_pk(*(one for one in pks if one not in self._people))
        return [self._people[one] for one in pks if one in self._people]


def owners(system: System) -> list[User]:
    return Reach().owners(system)


def people_of(targets: Iterable[Target], system: System, at: datetime) -> list[User]:
    return Reach().people_of(targets, system, at)


def channels_of(targets: Iterable[Target]) -> list[int]:
    return [int(one.id) for one in targets if one.kind == "channel"]


def look_at(
    system: System, facts: Mapping[str, Any], step: Step, at: datetime, reach: Reach | None = None
) -> tuple[str, tuple[User, ...]]:
    """REACHED, NOBODY or why the step does not hold at `at`, and the people whom it reaches. A channel is told, too."""
    if step.conditions != ALWAYS:
        why = step.conditions.why_not(moment(system.client, facts, at))
        if why is not None:
            return why, ()
    people = tuple((reach or Reach()).people_of(step.targets, system, at))
    return (REACHED if people or channels_of(step.targets) else NOBODY), people
