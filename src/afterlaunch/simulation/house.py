"""The plan's clients, people, calendars, schedules and policies, made by the product's own deeds."""

from __future__ import annotations

from afterlaunch.accounts.actions import house_client
from afterlaunch.accounts.models import Client, User
from afterlaunch.accounts.people import put_client, put_person
from afterlaunch.alerts.models import Integration
from afterlaunch.calendars.actions import set_calendar
from afterlaunch.calendars.models import DEFAULT_NAME
from afterlaunch.estate.actions import adopt
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Held, Role, automation
from afterlaunch.notify.actions import add_contact
from afterlaunch.oncall.actions import set_rotation
from afterlaunch.oncall.overrides import add_override
from afterlaunch.oncall.policy_actions import save_policy
from afterlaunch.oncall.schedule import first_schedule
from afterlaunch.simulation.plan import HOUSE, CalendarPlan, ClientPlan, OverridePlan, Plan, StepPlan

FIRST = automation("simulation")


def furnish(plan: Plan) -> None:
    """Before the first alert."""
    for client in plan.clients:
        put_client(FIRST, client.slug, client.slug.capitalize(), client.zone)
    for person in plan.people:
        user = put_person(
            FIRST,
            person.email,
            person.name,
            [Held(Role(person.role), None if person.of_house else person.client)],
            person.zone,
        )
        for kind in person.methods:
            add_contact(FIRST, user, kind, person.address(kind), verified=True)
    for client in plan.clients:
        _client(client)
    _policy(house_client(), HOUSE)
    for one in plan.systems:
        row = System.objects.create(client=Client.objects.get(slug=one.client), key=one.key, name=one.key)
        adopt(FIRST, row, tier=one.tier, owner=person_named(one.owner) if one.owner else None)
    for client in plan.clients:
        _integration(client)


def _client(client: ClientPlan) -> None:
    row, turns = Client.objects.get(slug=client.slug), client.rotation
    set_calendar(FIRST, row, DEFAULT_NAME, _document(client.calendar))
    members = [person_named(name) for name in turns.members]
    set_rotation(FIRST, row, members, turns.zone, turns.anchor.date(), turns.anchor.time())
    _policy(row, client)


def _policy(row: Client, client: ClientPlan) -> None:
    again = {"P1": client.again} if client.again else {}
    save_policy(FIRST, row, "usual", [_step(one) for one in client.steps], repeat=client.repeat, again=again)


def _step(one: StepPlan) -> dict[str, object]:
    who = {"id": person_named(one.person).pk} if one.person else {}
    return {"delay": one.delay, "targets": [{"kind": one.target, **who}]}


def _document(plan: CalendarPlan) -> dict[str, object]:
    return {
        "zone": plan.zone,
        "windows": [{"days": list(one.days), "start": one.start, "end": one.end} for one in plan.hours],
        "country": plan.country,
        "subdivision": plan.subdivision,
        "closures": [day.isoformat() for day in plan.closures],
        "half_days": [
            {"date": day.isoformat(), "windows": [{"start": start, "end": end}]} for day, start, end in plan.half_days
        ],
    }


def _integration(client: ClientPlan) -> None:
    """One tool that tells of all the client's systems."""
    row = Client.objects.get(slug=client.slug)
    Integration.objects.create(
        client=row,
        name="monitoring",
        kind="generic",
        public_id=f"sim-{client.slug}",
        system=System.objects.filter(client=row).order_by("pk")[0],
        created_at=clock.now(),
        created_by="simulation",
    )


def override(plan: OverridePlan) -> None:
    row = first_schedule(Client.objects.get(slug=plan.client))
    assert row is not None
    person = person_named(plan.person) if plan.kind != "remove" else None
    absent = person_named(plan.absent) if plan.kind in ("remove", "replace") else None
    add_override(FIRST, row, plan.kind, plan.start, plan.end, person, absent)


def person_named(name: str) -> User:
    return User.objects.get(name=name)
