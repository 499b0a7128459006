from __future__ import annotations

from datetime import timedelta

import pytest

from afterlaunch.evidence.models import Entry
from afterlaunch.ground.actors import Role, automation
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import NotAllowed, NotFound
from afterlaunch.incidents.actions import (
    acknowledge,
    change_severity,
    contained,
    false_alarm,
    incident_by_id,
    recovered,
    resolve,
    start_containment,
)
from afterlaunch.incidents.audit import audit_paging
from afterlaunch.incidents.models import Incident, TimelineEntry
from afterlaunch.incidents.tests.conftest import World
from afterlaunch.incidents.timeline import first_broken
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.oncall import escalation
from afterlaunch.oncall.duties import escalate
from afterlaunch.oncall.models import Escalation
from afterlaunch.sla.duties import watch_clocks
from afterlaunch.sla.models import Clock


def test_opening_makes_the_clock_and_the_page_in_one_transaction(world: World) -> None:
    incident = world.incident()
    page = Page.objects.get()
    assert (page.topic, page.person, page.state) == (incident.topic, world.admin, "pending")
    assert page.facts["severity"] == "P1"
    promise = Clock.objects.get()
    assert promise.deadline == incident.detected_at + timedelta(hours=2)
    assert promise.reason == "closed_off_hours" and set(promise.candidates) == {"off_hours", "next_opening"}
    assert set(Entry.objects.values_list("deed", flat=True)) == {"incident.opened", "page.decided"}


def test_the_same_trouble_opens_one_incident_and_one_page(world: World) -> None:
    assert world.incident() == world.incident()
    assert Page.objects.count() == 1


def test_nothing_is_left_when_a_step_of_opening_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("power cut")

    for name in ("start", "advance", "_page"):
        with monkeypatch.context() as patch:
            patch.setattr(escalation, name, broken)
            with pytest.raises(RuntimeError):
                world.incident()
        assert not Incident.objects.exists() and not Page.objects.exists() and not Entry.objects.exists()


def test_acknowledging_stops_the_paging_and_meets_the_clock(world: World, fixed: FixedClock) -> None:
    incident = world.incident()
    mate = world.person("mate", Role.RESPONDER, "acme")
    fixed.advance(240)
    acknowledge(mate, incident)
    fixed.advance(29 * 60)
    escalate(fixed.now())
    watch_clocks(fixed.now() + timedelta(days=1))
    assert Page.objects.count() == 1
    promise = Clock.objects.get()
    assert promise.met_at == incident.detected_at + timedelta(seconds=240) and promise.breached_at is None
    assert Incident.objects.get().phase == "diagnosis"


def test_an_acknowledged_p1_pages_again_after_half_an_hour_until_it_is_acknowledged_again_or_contained(
    world: World, fixed: FixedClock
) -> None:
    incident, mate = world.incident(), world.person("mate", Role.RESPONDER, "acme")
    acknowledge(mate, incident)
    escalate(fixed.advance(31 * 60))
    assert Page.objects.count() == 2 and Escalation.objects.get().state == "live"
    acknowledge(mate, incident)
    assert Escalation.objects.get().state == "acknowledged"
    contained(automation("engine"), incident, "All calls on the baseline.")
    escalate(fixed.advance(31 * 60))
    assert Page.objects.count() == 2


def test_unacknowledged_it_goes_on_to_the_next_step_and_ends_with_a_reason(world: World, fixed: FixedClock) -> None:
    world.incident()
    for _ in range(60):
        fixed.advance(60)
        escalate(fixed.now())
    state = Escalation.objects.get()
    assert (state.state, state.reason) == ("exhausted", "nobody_acknowledged")
    assert Page.objects.count() == 3  # nobody on call falls through to the administrators, twice; then the catch-all


def test_a_breach_bears_the_instant_of_the_deadline(world: World, fixed: FixedClock) -> None:
    incident = world.incident()
    watch_clocks(fixed.advance(9 * 3600))
    watch_clocks(fixed.advance(60))
    promise = Clock.objects.get()
    assert promise.breached_at == promise.deadline and promise.noticed_at == fixed.now() - timedelta(seconds=60)
    assert TimelineEntry.objects.filter(incident=incident, kind="clock.breached").count() == 1


def test_raising_the_severity_keeps_the_start_and_pages_at_once(world: World, fixed: FixedClock) -> None:
    incident = world.incident(severity="P2")
    mate = world.person("mate", Role.RESPONDER, "acme")
    fixed.advance(3 * 3600)
    change_severity(mate, incident, "P1", "all answers refused")
    old, new = Clock.objects.order_by("pk")
    assert old.superseded_at == fixed.now() and new.started_at == incident.detected_at
    assert (new.cause, new.breached_at) == ("severity_change", fixed.now())
    assert Page.objects.count() == 2 and Incident.objects.get().peak_severity == "P1"


def test_only_a_person_resolves_a_p1(world: World) -> None:
    incident = world.incident()
    with pytest.raises(NotAllowed):
        resolve(automation("engine"), incident)
    resolve(world.person("mate", Role.RESPONDER, "acme"), incident)
    assert Incident.objects.get().phase == "review"


def test_it_reopens_inside_the_stability_window_and_recurs_after_it(world: World, fixed: FixedClock) -> None:
    mate = world.person("mate", Role.RESPONDER, "acme")
    first = world.incident()
    resolve(mate, first)
    fixed.advance(29 * 60)
    assert world.incident() == first and Page.objects.count() == 2
    resolve(mate, first)
    fixed.advance(31 * 60)
    assert world.incident().recurrence_of == first


def test_containment_is_told_step_by_step_and_the_timeline_is_chained(world: World, fixed: FixedClock) -> None:
    incident = world.incident()
    engine = automation("engine")
    start_containment(engine, incident, "Roll back change 3", {"share_before": 1000})
    contained(engine, incident, "All calls on the baseline.")
    recovered(engine, incident, fixed.now())
    kinds = list(TimelineEntry.objects.values_list("kind", flat=True))
    assert kinds == ["detection", "triage", "containment.started", "contained", "recovered"]
    assert first_broken(incident) is None
    TimelineEntry.objects.filter(kind="triage").update(text="Severity P3.")
    assert first_broken(incident) == 2


def test_responder_may_viewer_and_stranger_may_not(world: World) -> None:
    incident = world.incident()
    viewer = world.person("viewer", Role.VIEWER, "acme")
    stranger = world.person("stranger", Role.ADMIN, "other")
    for who in (viewer, stranger):
        for deed in (acknowledge, resolve):
            with pytest.raises(NotAllowed):
                deed(who, incident)
    assert incident_by_id(viewer, incident.pk) == incident
    with pytest.raises(NotFound):
        incident_by_id(stranger, incident.pk)
    false_alarm(world.person("mate", Role.RESPONDER, "acme"), incident, "a test")
    assert Incident.objects.get().outcome == "false_alarm"


def test_the_auditor_pages_for_an_incident_that_lost_its_escalation(world: World, fixed: FixedClock) -> None:
    incident = world.incident()
    Escalation.objects.all().delete()
    Page.objects.all().delete()
    audit_paging(fixed.now())
    audit_paging(fixed.now())
    assert Page.objects.filter(topic=incident.topic).count() == 1
    assert Entry.objects.filter(deed="paging.repaired").count() == 1


def test_nobody_reachable_is_said_and_repaired_once_somebody_is(world: World, fixed: FixedClock) -> None:
    contact = ContactMethod.objects.get(user=world.admin)
    contact.verified_at = None
    contact.save()
    incident = world.incident()
    assert (Escalation.objects.get().state, Escalation.objects.get().reason) == ("exhausted", "nobody_reachable")
    contact.verified_at = fixed.now()
    contact.save()
    audit_paging(fixed.now())
    assert Page.objects.filter(topic=incident.topic).count() == 1
