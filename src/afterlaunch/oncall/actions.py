"""Deeds on teams and schedules. Every edit writes what held until then before it changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client, User
from afterlaunch.accounts.people import check_zone
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.oncall.documents import normal, tokens_in
from afterlaunch.oncall.gaps import look_through
from afterlaunch.oncall.history import plan, settle
from afterlaunch.oncall.models import EscalationPolicy, Schedule, ScheduleVersion, Team, TemporarySchedule
from afterlaunch.oncall.schedule import first_schedule

FIRST_NAME = "primary"
VERSIONS_SHOWN = 20


def clients_of(actor: Actor) -> list[Client]:
    seen = actor.sees()
    rows = Client.objects.order_by("slug")
    return list(rows if seen is None else rows.filter(slug__in=seen))


def people_for(client: Client) -> list[User]:
    """Who may be put on call: everyone who can acknowledge for the client."""
    return list(able_people(client).order_by("name", "email"))


def able_people(client: Client) -> QuerySet[User]:
    able = (Role.RESPONDER, Role.OPERATOR, Role.ADMIN)
    of_client = User.objects.filter(is_active=True, grants__role__in=able, grants__client=client)
    of_all = User.objects.filter(is_active=True, grants__role__in=able, grants__client=None)
    return (of_client | of_all).distinct()


def check_able(client: Client, users: Iterable[User]) -> None:
    able = set(able_people(client).values_list("pk", flat=True))
    for user in users:
        if user.pk not in able:
            raise Invalid(f"{user} can't act for {client}.", "Give the role responder for this client first.")


def schedule_of(actor: Actor, slug: str, pk: int) -> Schedule:
    """One schedule of a client that the actor sees. Raises NotFound."""
    row = Schedule.objects.filter(client=client_by_slug(actor, slug), pk=pk, removed_at=None)
    found = row.select_related("client", "owner").first()
    if found is None:
        raise NotFound(f"There is no schedule {pk}.")
    return found


# -- teams ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def put_team(actor: Actor, client: Client, name: str, members: Sequence[User], team: Team | None = None) -> Team:
    """Make or change a team; schedules that have it in a layer go on with the new members from now on."""
    actor.require(Role.OPERATOR, client.slug)
    if not name.strip() or len(name) > 100:
        raise Invalid("A team needs a name of up to 100 characters.")
    check_able(client, members)
    if Team.objects.filter(client=client, name=name.strip()).exclude(pk=team.pk if team else 0).exists():
        raise Invalid(f"There is a team {name.strip()!r} already.")
    now, using = clock.now(), _using(client, team)
    settle(using, now)
    row = team or Team(client=client)
    row.name = name.strip()
    row.save()
    row.members.set(members)
    plan(using, now)
    record(actor, "team.set", f"team/{row.pk}", client.slug, {"members": sorted(user.pk for user in members)})
    return row


@transaction.atomic
def remove_team(actor: Actor, team: Team) -> None:
    actor.require(Role.OPERATOR, team.client.slug)
    if used := [str(row) for row in _using(team.client, team)]:
        raise Conflict(f"{team} is in {', '.join(used)}.", "Take it out there first.")
    for policy in EscalationPolicy.objects.filter(client=team.client, removed_at=None):
        if {"kind": "team", "id": team.pk} in policy_targets(policy):
            raise Conflict(f"{team} is in the policy {policy}.", "Take it out there first.")
    record(actor, "team.removed", f"team/{team.pk}", team.client.slug)
    team.delete()


def policy_targets(policy: EscalationPolicy) -> list[dict[str, Any]]:
    return [target for step in policy.steps for target in step["targets"]] + list(policy.catch_all)


def _using(client: Client, team: Team | None) -> list[Schedule]:
    if team is None:
        return []
    rows = Schedule.objects.filter(client=client, removed_at=None).prefetch_related("versions", "temporary")
    wanted = {"team": team.pk}
    return [
        row for row in rows
        if any(wanted in tokens_in(layers) for layers in _layers_of(row))
    ]  # fmt: skip


def _layers_of(row: Schedule) -> list[list[dict[str, Any]]]:
    return [one.layers for one in row.versions.all()] + [one.layers for one in row.temporary.all()]


# -- schedules ------------------------------------------------------------------------------------------------------


def checked_layers(client: Client, zone: str, layers: object) -> list[dict[str, Any]]:
    """Layers in their stored form: members are pks of people who may act for the client, and {"team": pk}."""
    able = set(able_people(client).values_list("pk", flat=True))
    teams = set(Team.objects.filter(client=client).values_list("pk", flat=True))

    def token(where: str, member: Any) -> Any:
        if isinstance(member, Mapping) and set(member) == {"team"} and member["team"] in teams:
            return {"team": member["team"]}
        if not isinstance(member, int) or isinstance(member, bool) or member not in able:
            who = User.objects.filter(pk=member).first() if isinstance(member, int) else None
            who_text = str(who) if who else "Somebody"
            raise Invalid(f"{where}: {who_text} can't act for {client}.", "Give the role responder first.")
        return member

    return normal(layers, zone, token)


def _check_name(client: Client, name: str, row: Schedule | None = None) -> str:
    name = name.strip()
    if not name or len(name) > 100:
        raise Invalid("A schedule needs a name of up to 100 characters.")
    if Schedule.objects.filter(client=client, name=name, removed_at=None).exclude(pk=row.pk if row else 0).exists():
        raise Invalid(f"There is a schedule {name!r} already.")
    return name


@transaction.atomic
def make_schedule(
    actor: Actor, client: Client, name: str, zone: str, layers: object, owner: User | None = None
) -> Schedule:
    """A new schedule, in force from now on. `owner` is told of gaps; without one, the administrators are."""
    actor.require(Role.OPERATOR, client.slug)
    now = clock.now()
    row = Schedule.objects.create(
        client=client, name=_check_name(client, name), zone=check_zone(zone), owner=owner, created_at=now,
        recorded_until=now,
    )  # fmt: skip
    _add_version(actor, row, layers, now, now)
    look_through(row, now)
    return row


@transaction.atomic
def edit_schedule(
    actor: Actor,
    row: Schedule,
    layers: object,
    name: str = "",
    zone: str = "",
    owner: User | None = None,
    valid_from: datetime | None = None,
) -> ScheduleVersion:
    """A new version of the layers, in force from now on or from a later instant; the past stays what it was."""
    actor.require(Role.OPERATOR, row.client.slug)
    now = clock.now()
    if valid_from is not None and valid_from < now:
        raise Invalid("A version can't begin in the past.", "Leave its beginning empty for now.")
    settle([row], now)
    row.name, row.zone = _check_name(row.client, name or row.name, row), check_zone(zone or row.zone)
    row.owner = owner or row.owner
    row.save(update_fields=["name", "zone", "owner"])
    version = _add_version(actor, row, layers, valid_from or now, now)
    look_through(row, now)
    return version


def _add_version(actor: Actor, row: Schedule, layers: object, valid_from: datetime, now: datetime) -> ScheduleVersion:
    checked = checked_layers(row.client, row.zone, layers)
    last = row.versions.order_by("-number").first()
    version = ScheduleVersion.objects.create(
        schedule=row, number=last.number + 1 if last else 1, valid_from=valid_from, layers=checked, created_at=now,
        created_by=actor.name,
    )  # fmt: skip
    plan([row], now)
    details = {"number": version.number, "valid_from": valid_from.isoformat(), "zone": row.zone, "layers": checked}
    record(actor, "schedule.set", f"schedule/{row.pk}", row.client.slug, details)
    return version


@transaction.atomic
def drop_version(actor: Actor, row: Schedule, number: int) -> None:
    """Take back a version that is not in force yet."""
    actor.require(Role.OPERATOR, row.client.slug)
    now = clock.now()
    version = row.versions.filter(number=number, valid_from__gt=now).first()
    if version is None:
        raise NotFound(f"There is no version {number} still to come.")
    version.delete()
    plan([row], now)
    record(actor, "schedule.version_dropped", f"schedule/{row.pk}", row.client.slug, {"number": number})
    look_through(row, now)


@transaction.atomic
def remove_schedule(actor: Actor, row: Schedule) -> None:
    """Nobody is on call by it any more; its record stays. Refused while a policy pages it."""
    actor.require(Role.OPERATOR, row.client.slug)
    for policy in EscalationPolicy.objects.filter(client=row.client, removed_at=None):
        if any(one["kind"] == "schedule" and one.get("id") == row.pk for one in policy_targets(policy)):
            raise Conflict(f"The policy {policy} pages {row}.", "Take it out there first.")
    now = clock.now()
    settle([row], now)
    row.record.filter(ends_at=None).update(ends_at=now)
    Schedule.objects.filter(pk=row.pk).update(removed_at=now, next_at=None, gaps_at=None)
    record(actor, "schedule.removed", f"schedule/{row.pk}", row.client.slug)


def set_rotation(
    actor: Actor, client: Client, members: Sequence[User], zone: str, anchor_date: date, handoff: time, weeks: int = 1
) -> Schedule:
    """The client's first schedule as one weekly rotation, in force from now on."""
    check_able(client, members)
    start = datetime.combine(anchor_date, handoff).replace(tzinfo=None).isoformat(timespec="minutes")
    turning = {"type": "weekly", "length": weeks, "start": start, "members": [user.pk for user in members]}
    layers = [{"name": "weekly", "timeZone": check_zone(zone), "rotation": turning}]
    row = first_schedule(client)
    if row is None:
        return make_schedule(actor, client, FIRST_NAME, zone, layers)
    edit_schedule(actor, row, layers, zone=zone)
    return row


# -- temporary schedules --------------------------------------------------------------------------------------------


@transaction.atomic
def add_temporary(
    actor: Actor, row: Schedule, starts_at: datetime, ends_at: datetime, layers: object
) -> TemporarySchedule:
    """Over [starts_at, ends_at) these layers stand in the place of all others."""
    actor.require(Role.OPERATOR, row.client.slug)
    now = clock.now()
    check_span(starts_at, ends_at, now)
    settle([row], now)
    made = TemporarySchedule.objects.create(
        schedule=row, starts_at=starts_at, ends_at=ends_at, layers=checked_layers(row.client, row.zone, layers),
        created_at=now, created_by=actor.name,
    )  # fmt: skip
    plan([row], now)
    details = {"from": starts_at.isoformat(), "to": ends_at.isoformat(), "layers": made.layers}
    record(actor, "schedule.temporary", f"schedule/{row.pk}", row.client.slug, details)
    look_through(row, now)
    return made


def check_span(starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    if starts_at.tzinfo is None or ends_at.tzinfo is None or ends_at <= starts_at:
        raise Invalid("This needs a start and a later end, both with a zone.")
    if ends_at <= now:
        raise Invalid("This lies in the past.", "History is never rewritten.")
    if (ends_at - starts_at).days > 400:
        raise Invalid("This lasts longer than 400 days.", "Change the schedule itself.")


@transaction.atomic
def cancel_temporary(actor: Actor, row: Schedule, pk: int) -> None:
    """From now on it counts for nothing. Cancelling twice changes nothing."""
    actor.require(Role.OPERATOR, row.client.slug)
    now = clock.now()
    settle([row], now)
    rows = TemporarySchedule.objects.filter(schedule=row, pk=pk)
    if not rows.exists():
        raise NotFound(f"There is no temporary schedule {pk}.")
    if rows.filter(cancelled_at=None).update(cancelled_at=now):
        plan([row], now)
        record(actor, "schedule.temporary_cancelled", f"schedule/{row.pk}", row.client.slug, {"temporary": pk})
        look_through(row, now)
