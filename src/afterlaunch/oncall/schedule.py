"""Who is on call: what is stored, handed to the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.ground.actors import Role
from afterlaunch.oncall import final
from afterlaunch.oncall.documents import layers_of
from afterlaunch.oncall.models import CalendarIn, Override, Schedule, ScheduleVersion, Team, TemporarySchedule
from afterlaunch.oncall.rotations import Group


@dataclass(frozen=True)
class OnCall:
    """Who is on call, with the named reason; nobody: `people` is empty and the reason "nobody"."""

    people: tuple[User, ...]
    stands_in_for: User | None
    reason: str

    @property
    def person(self) -> User | None:
        return self.people[0] if self.people else None


@dataclass(frozen=True)
class PlannedShift:
    shift: final.Shift
    person: User | None
    stands_in_for: tuple[User, ...]


def loaded(rows: Sequence[Schedule], since: datetime) -> dict[int, final.Schedule]:
    """By schedule: what holds from `since` on. Five questions, however many schedules."""
    keys = [row.pk for row in rows]
    versions: dict[int, list[tuple[datetime, list[dict[str, Any]]]]] = defaultdict(list)
    rows_of_versions = ScheduleVersion.objects.filter(schedule__in=keys).order_by("valid_from", "number")
    for key, valid_from, layers in rows_of_versions.values_list("schedule_id", "valid_from", "layers"):
        versions[key].append((valid_from, layers))
    temporary: dict[int, list[TemporarySchedule]] = defaultdict(list)
    for one in TemporarySchedule.objects.filter(_lasting(since), schedule__in=keys, ends_at__gt=since):
        temporary[one.schedule_id].append(one)
    overrides: dict[int, list[final.Override]] = defaultdict(list)
    for row in Override.objects.filter(_lasting(since), schedule__in=keys, ends_at__gt=since).order_by("pk"):
        begins, ends = counted(row)
        overrides[row.schedule_id].append(final.Override(row.kind, begins, ends, row.person_id, row.absent_id))
    groups = Members(keys)
    return {
        key: final.Schedule(
            tuple(final.Version(valid_from, groups.layers(key, layers)) for valid_from, layers in versions[key]),
            tuple(final.Temporary(*counted(one), groups.layers(key, one.layers)) for one in temporary[key]),
            tuple(one for one in overrides[key] if one.start < one.end),
        )
        for key in keys
    }


def _lasting(since: datetime) -> Q:
    return Q(cancelled_at=None) | Q(cancelled_at__gt=since)


def counted(row: Override | TemporarySchedule) -> tuple[datetime, datetime]:
    """The span for which it counts: never before it was made, nor after it was cancelled."""
    ends = min(row.ends_at, row.cancelled_at) if row.cancelled_at else row.ends_at
    return max(row.starts_at, row.created_at), ends


class Members:
    """Members of stored layers as people: pks of users as they are, teams as those who are in them now."""

    def __init__(self, schedules: Iterable[int], client: Client | None = None) -> None:
        self._schedules, self._client = list(schedules), client
        self._teams: dict[int, Group] | None = None
        self._calendars: dict[tuple[int, str], list[dict[str, Any]]] | None = None

    def layers(self, schedule: int, documents: list[dict[str, Any]]) -> tuple[final.Layer, ...]:
        return layers_of(documents, self.group, lambda name: self._calendar(schedule, name))

    def calendar(self, name: str) -> list[dict[str, Any]]:
        """Of the one schedule that this is for."""
        return self._calendar(self._schedules[0], name) if self._schedules else []

    def group(self, tokens: list[Any]) -> Group:
        people: list[int] = []
        for token in tokens:
            people += self._team(token["team"]) if isinstance(token, dict) else [token]  # type: ignore[arg-type]
        return tuple(dict.fromkeys(people))

    def _team(self, pk: int) -> Group:
        if self._teams is None:
            found: dict[int, list[int]] = defaultdict(list)
            of_rows = Q(client__in=Schedule.objects.filter(pk__in=self._schedules).values("client"))
            teams = Team.objects.filter(Q(client=self._client) if self._client else of_rows)
            pairs = teams.order_by("members__name", "members__email").values_list("pk", "members")
            for team, user in pairs:
                if user is not None:
                    found[team].append(user)
            self._teams = {team: tuple(people) for team, people in found.items()}
        return self._teams.get(pk, ())

    def _calendar(self, schedule: int, name: str) -> list[dict[str, Any]]:
        if self._calendars is None:
            rows = CalendarIn.objects.filter(schedule__in=self._schedules).values_list("schedule_id", "name", "shifts")
            self._calendars = {(one, called): shifts for one, called, shifts in rows}
        return self._calendars.get((schedule, name), [])


def groups_of(client: Client, row: Schedule | None) -> Members:
    """For layers that are not stored yet."""
    keys = [row.pk] if row else list(Schedule.objects.filter(client=client).values_list("pk", flat=True)[:1])
    return Members(keys, client)


def of_schedule(row: Schedule, since: datetime) -> final.Schedule:
    return loaded([row], since)[row.pk]


def schedules_of(client: Client) -> list[Schedule]:
    """Those in use, the oldest first."""
    return list(Schedule.objects.filter(client=client, removed_at=None).order_by("pk"))


def first_schedule(client: Client) -> Schedule | None:
    """The one that is meant where none is named."""
    return Schedule.objects.filter(client=client, removed_at=None).order_by("pk").first()


def who_is_on_call(of: Client | Schedule, at: datetime) -> OnCall:
    """The same rule that the schedule is drawn with; of a client: its first schedule."""
    row = of if isinstance(of, Schedule) else first_schedule(of)
    found = final.on_call_at(of_schedule(row, at), at) if row is not None else []
    people = people_by_pk(*(pk for one in found for pk in (one.person, *one.stands_in_for)))
    there = [one for one in found if one.person in people]
    if not there:
        return OnCall((), None, "nobody")
    absent = next((people[pk] for one in there for pk in one.stands_in_for if pk in people), None)
    return OnCall(tuple(people[one.person] for one in there), absent, there[0].reason)


def planned(row: Schedule, start: datetime, end: datetime) -> list[PlannedShift]:
    """The final schedule over [start, end), from now on."""
    return with_people(final.final_shifts(of_schedule(row, start), start, end))


def with_people(shifts: Sequence[final.Shift]) -> list[PlannedShift]:
    people = people_by_pk(*(pk for one in shifts for pk in (one.person, *one.stands_in_for)))
    return [
        PlannedShift(one, people.get(one.person), tuple(people[pk] for pk in one.stands_in_for if pk in people))
        for one in shifts
    ]


def people_by_pk(*pks: object) -> dict[Any, User]:
    wanted = {one for one in pks if isinstance(one, int)}
    return {user.pk: user for user in User.objects.filter(pk__in=wanted)} if wanted else {}


def administrators(client: Client) -> list[User]:
    """Everyone who holds the role for the client or for all clients."""
    for_it = Q(client=client) | Q(client=None)
    rows = Grant.objects.filter(for_it, role=Role.ADMIN, user__is_active=True).order_by("user_id")
    return list({row.user_id: row.user for row in rows.select_related("user")}.values())
