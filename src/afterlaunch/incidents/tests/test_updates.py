from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from afterlaunch.accounts.models import User
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed
from afterlaunch.incidents.actions import acknowledge, change_severity, resolve
from afterlaunch.incidents.checklist import facts_of
from afterlaunch.incidents.models import Incident, TimelineEntry
from afterlaunch.incidents.roles import assign
from afterlaunch.incidents.tests.conftest import AT, World
from afterlaunch.incidents.updates import promises
from afterlaunch.incidents.updates.actions import approve, put_cadence, put_stakeholder, withdraw, write
from afterlaunch.incidents.updates.duties import page_for_updates
from afterlaunch.incidents.updates.models import Promise, Update, UpdateText
from afterlaunch.incidents.updates.rules import Source, written_for
from afterlaunch.notify.models import ContactMethod, Page

SAID = Source("Helpdesk", "P1", "fingerprint 77 of host db-3", "All users", "02:00", "Rolled back", "02:30")


def reachable(actor: Actor) -> User:
    user = User.objects.get(pk=actor.user_id or 0)
    ContactMethod.objects.create(user=user, kind="email", address=user.email, created_at=AT, verified_at=AT)
    return user


def test_customers_and_executives_read_no_internals() -> None:
    for audience in ("customers", "executives"):
        assert "db-3" not in written_for(audience, SAID)
    assert "db-3" in written_for("internal", SAID) and "Next update: 02:30" in written_for("customers", SAID)
    final = written_for("customers", Source("Helpdesk", "P1", "t", "All", "02:00", "Mended", "", final=True))
    assert final.startswith("Resolved") and "What was done: Mended" in final and "Next update" not in final


def test_up_1_the_promise_is_made_at_open_and_by_every_update(world: World, fixed: FixedClock) -> None:
    incident, mate = world.incident(), world.person("mate", Role.RESPONDER, "acme")
    first = promises.standing(incident)
    assert first is not None and first.due_at == AT + timedelta(minutes=30)
    fixed.advance(600)
    write(mate, incident, ["responders"], "All users", "Looking", AT + timedelta(hours=1))
    standing = promises.standing(incident)
    assert standing is not None and standing.due_at == AT + timedelta(hours=1)
    first.refresh_from_db()
    assert first.kept_at == fixed.now()
    for wrong in (AT, AT + timedelta(days=9)):
        with pytest.raises(Invalid):
            write(mate, incident, ["responders"], no_change=True, next_at=wrong)


def test_up_1_p2_counts_business_hours_and_p3_promises_nothing(world: World) -> None:
    second = promises.standing(world.incident("p2", "P2"))
    assert second is not None and second.due_at == datetime(2026, 3, 3, 12, 0, tzinfo=UTC)  # opens at 08:00
    quiet = world.incident("p3", "P3")
    assert promises.standing(quiet) is None
    mate = world.person("mate", Role.RESPONDER, "acme")
    with pytest.raises(Invalid, match="when the next update comes"):
        write(mate, quiet, ["responders"], "x", "y")
    change_severity(mate, quiet, "P1", "worse")
    assert promises.standing(quiet) is not None


def test_up_1_overdue_it_pages_the_communications_lead_once(world: World, fixed: FixedClock) -> None:
    incident, mate = world.incident(), world.person("mate", Role.RESPONDER, "acme")
    lead = world.person("lead", Role.RESPONDER, "acme")
    lead_user = reachable(lead)
    acknowledge(mate, incident)
    assign(lead, incident, "communications", None)
    page_for_updates(fixed.advance(30 * 60))
    assert not Page.objects.filter(person=lead_user).exists()  # at its time it is in time
    page_for_updates(fixed.advance(1))
    page_for_updates(fixed.advance(60))
    page = Page.objects.get(person=lead_user)
    assert page.facts["type"] == "incident.update_overdue"
    assert Promise.objects.get().overdue_at == AT + timedelta(minutes=30)
    assert facts_of(Incident.objects.get()).updates_overdue
    write(lead, incident, ["responders"], no_change=True)
    assert not facts_of(Incident.objects.get()).updates_overdue


def test_up_2_customers_of_a_p1_read_what_an_operator_approved(world: World) -> None:
    incident, mate = world.incident(), world.person("mate", Role.RESPONDER, "acme")
    chief, boss = world.person("chief", Role.OPERATOR, "acme"), world.person("boss", Role.ADMIN, "acme")
    reader = reachable(world.person("reader", Role.VIEWER, "acme"))
    put_stakeholder(chief, world.client, "customers", reader)
    write(mate, incident, ["internal", "customers"], "All users", "Looking")
    assert dict(UpdateText.objects.values_list("audience", "state")) == {"internal": "sent", "customers": "waiting"}
    assert not Page.objects.filter(person=reader).exists()
    with pytest.raises(NotAllowed):
        approve(mate, incident, 1, "customers")
    approve(chief, incident, 1, "customers", "Some users can't sign in.")
    assert Page.objects.get(person=reader).facts["lines"] == ["Some users can't sign in."]
    with pytest.raises(Conflict):
        approve(boss, incident, 1, "customers")
    world.system.posture = "governed"
    world.system.save()
    write(chief, incident, ["customers"], "All users", "Looking")
    with pytest.raises(NotAllowed, match="own words"):
        approve(chief, incident, 2, "customers")
    withdraw(mate, incident, 2, "customers", "wrong")
    assert UpdateText.objects.get(update__number=2).state == "withdrawn"


def test_up_3_no_change_is_an_update_and_everybody_told_hears_of_the_end(world: World) -> None:
    incident, mate = world.incident(severity="P2"), world.person("mate", Role.RESPONDER, "acme")
    write(mate, incident, ["internal"], "All users", "Looking")
    write(mate, incident, ["customers"], no_change=True)
    resolve(mate, incident, "Rolled back")
    last = Update.objects.order_by("-number")[0]
    assert last.final and {one.audience for one in last.texts.all()} == {"internal", "customers"}
    assert all("Rolled back" in one.text and one.state == "sent" for one in last.texts.all())
    assert promises.standing(incident) is None and not facts_of(Incident.objects.get()).told_without_end


def test_nobody_told_nobody_hears_of_the_end(world: World) -> None:
    incident, mate = world.incident(), world.person("mate", Role.RESPONDER, "acme")
    resolve(mate, incident)
    assert not Update.objects.exists()


def test_each_person_gets_an_update_once_and_a_client_sets_its_cadence(world: World) -> None:
    chief = world.person("chief", Role.OPERATOR, "acme")
    reader = reachable(world.person("reader", Role.VIEWER, "acme"))
    for audience in ("internal", "executives"):
        put_stakeholder(chief, world.client, audience, reader)
    put_cadence(chief, world.client, "P1", 15, False)
    incident = world.incident()
    standing = promises.standing(incident)
    assert standing is not None and standing.due_at == AT + timedelta(minutes=15)
    write(chief, incident, ["internal", "executives"], "All", "Looking")
    assert Page.objects.filter(person=reader, purpose="update").count() == 1
    with pytest.raises(Invalid):
        put_stakeholder(chief, world.client, "responders", reader)
    assert TimelineEntry.objects.filter(kind="update").count() == 1
