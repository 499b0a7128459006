"""Who is on call: the stored versions and overrides handed to the rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from afterlaunch.accounts.models import Client, User
from afterlaunch.ground.actors import Role
from afterlaunch.oncall.models import Override, Rotation
from afterlaunch.oncall.rules import Shift, Stand, Weekly, in_force, on_call, shifts


@dataclass(frozen=True)
class OnCall:
    """The person on call, with the named reason; `person` None: nobody."""

    person: User | None
    stands_in_for: User | None
    reason: str


@dataclass(frozen=True)
class PlannedShift:
    shift: Shift
    person: User | None
    stands_in_for: User | None


def _versions(client: Client) -> list[tuple[datetime, Weekly]]:
    rows = Rotation.objects.filter(client=client).prefetch_related("members").order_by("valid_from", "pk")
    return [
        (
            row.valid_from,
            Weekly(
                row.zone,
                datetime.combine(row.anchor_date, row.handoff),
                tuple(member.user_id for member in row.members.all()),
                7 * row.weeks,
            ),
        )
        for row in rows
    ]


def _stands(client: Client, start: datetime, end: datetime) -> list[Stand]:
    rows = Override.objects.filter(client=client, cancelled_at=None, starts_at__lt=end, ends_at__gt=start)
    return [Stand(row.absent_id, row.substitute_id, row.starts_at, row.ends_at) for row in rows.order_by("pk")]


def who_is_on_call(client: Client, at: datetime) -> OnCall:
    """The same rule that the schedule is drawn with."""
    stands = [stand for stand in _stands(client, at, at.max.replace(tzinfo=at.tzinfo)) if stand.start <= at]
    person, absent, reason = on_call(in_force(_versions(client), at), stands, at)
    people = _people(person, absent)
    return OnCall(people.get(person), people.get(absent), reason)


def planned(client: Client, start: datetime, end: datetime) -> list[PlannedShift]:
    """The final schedule over [start, end)."""
    found = list(shifts(_versions(client), _stands(client, start, end), start, end))
    people = _people(*(one for shift in found for one in (shift.person, shift.stands_in_for)))
    return [PlannedShift(one, people.get(one.person), people.get(one.stands_in_for)) for one in found]


def _people(*ids: int | None) -> dict[int | None, User]:
    wanted = {one for one in ids if one is not None}
    return {user.pk: user for user in User.objects.filter(pk__in=wanted)} if wanted else {}


def administrators(client: Client) -> list[User]:
    """Everyone who holds the role for the client or for all clients."""
    of_client = User.objects.filter(is_active=True, grants__role=Role.ADMIN, grants__client=client)
    of_all = User.objects.filter(is_active=True, grants__role=Role.ADMIN, grants__client=None)
    return list((of_client | of_all).distinct().order_by("pk"))
