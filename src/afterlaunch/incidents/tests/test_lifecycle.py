from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from afterlaunch.ground.actors import Role, automation
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed
from afterlaunch.incidents import moves
from afterlaunch.incidents.actions import (
    acknowledge,
    change_kind,
    change_severity,
    contained,
    open_incident,
    recovered,
    reopen,
    resolve,
    start_containment,
)
from afterlaunch.incidents.checklist import facts_of
from afterlaunch.incidents.lifecycle import WORKING, blockers, may_go, may_move, needs_review, took
from afterlaunch.incidents.merging import duplicate_of
from afterlaunch.incidents.models import Incident, TimelineEntry
from afterlaunch.incidents.roles import assign, release, who
from afterlaunch.incidents.tests.conftest import AT, World
from afterlaunch.incidents.timeline import first_broken
from afterlaunch.notify.models import Page
from afterlaunch.oncall.models import Escalation
from afterlaunch.sla.models import Clock

ENGINE = automation("engine")
FORWARD = {(a, b) for a, b in itertools.pairwise(WORKING)}
OVER = {("triage", "containment"), ("triage", "resolution"), ("diagnosis", "resolution")}


@pytest.mark.parametrize("now", WORKING)
@pytest.mark.parametrize("to", WORKING)
def test_lc_2_exactly_these_moves_are_allowed(now: str, to: str) -> None:
    back = WORKING.index(to) < WORKING.index(now)
    assert may_move(now, to, "a reason").yes == ((now, to) in FORWARD | OVER or back)
    assert may_move(now, to, "  ").yes == ((now, to) in FORWARD)
    assert may_move(now, to, "a reason", machine=True).yes == (
        to == "containment" and may_move(now, to, "a reason").yes
    )


def test_a_passed_over_phase_is_named() -> None:
    assert may_move("triage", "containment", "service first").skipped == ("diagnosis",)
    assert may_move("triage", "resolution", "it ended").skipped == ("diagnosis", "containment")
    assert may_move("diagnosis", "resolution", "it ended").skipped == ("containment",)
    assert may_go("diagnosis") == ["containment", "resolution", "triage", "detection"]


def test_lc_1_the_peak_decides_about_the_review(world: World) -> None:
    assert [needs_review(one) for one in ("P1", "P2", "P3")] == [True, True, False]
    incident = world.incident(severity="P1")
    mate = world.person("mate", Role.RESPONDER, "acme")
    change_severity(mate, incident, "P3", "only one user")
    resolve(mate, incident, "gone")
    assert Incident.objects.get().phase == "review"


def test_lc_2_diagnosis_passed_over_blocks_closing_until_a_cause_is_named(world: World) -> None:
    mate = world.person("mate", Role.RESPONDER, "acme")
    incident = world.incident(severity="P3")
    with pytest.raises(Conflict) as refused:
        moves.move(mate, incident, "containment")
    assert "stop the harm first" in refused.value.hint
    moves.move(mate, incident, "containment", "service first")
    resolve(mate, incident, "restarted")
    stuck = Incident.objects.get()
    assert (stuck.status, stuck.phase) == ("resolved", "resolution")
    assert [one["phase"] for one in stuck.skipped] == ["diagnosis"]
    assert [one.key for one in blockers(facts_of(stuck))] == ["cause"]
    with pytest.raises(Conflict, match="diagnosis was passed over"):
        moves.close(mate, stuck)
    moves.write_story(mate, stuck, cause="A full disk", cause_key="Full disk!")
    assert moves.close(mate, stuck).phase == "closed"
    assert Incident.objects.get().cause_key == "full-disk" and first_broken(stuck) is None


def test_lc_3_a_duplicate_gives_alerts_pages_and_clock_to_the_survivor(world: World, fixed: FixedClock) -> None:
    mate = world.person("mate", Role.RESPONDER, "acme")
    twin = world.incident("twin", severity="P2")
    fixed.advance(600)
    kept = world.incident("kept", severity="P2")
    duplicate_of(mate, twin, kept, "the same gateway")
    kept.refresh_from_db()
    twin.refresh_from_db()
    assert (twin.status, twin.outcome, twin.phase, twin.survivor) == ("resolved", "duplicate", "closed", kept)
    assert kept.detected_at == AT
    assert Page.objects.filter(topic=kept.topic).count() == 2 and not Page.objects.filter(topic=twin.topic).exists()
    assert Escalation.objects.get(topic=twin.topic).state == "stopped"
    live = Clock.objects.get(superseded_at=None)
    assert (live.topic, live.started_at) == (kept.topic, AT)
    assert not Clock.objects.filter(topic=twin.topic).exists()
    with pytest.raises(Conflict):
        reopen(mate, twin, "not the same")


def test_lc_3_only_early_and_only_within_a_client(world: World) -> None:
    mate = world.person("mate", Role.RESPONDER, "acme")
    one, other = world.incident("one", severity="P2"), world.incident("other", severity="P2")
    with pytest.raises(Invalid):
        duplicate_of(mate, one, one, "")
    acknowledge(mate, one)
    with pytest.raises(Conflict):
        duplicate_of(mate, one, other, "too late")
    stranger = world.person("stranger", Role.ADMIN, "other")
    with pytest.raises(NotAllowed):
        duplicate_of(stranger, other, one, "")


def test_lc_6_what_is_unknown_is_never_zero() -> None:
    times = took(None, AT, AT + timedelta(minutes=4), None, None, None)
    assert (times.detect, times.acknowledge, times.contain, times.resolve) == (None, 240.0, None, None)
    assert took(AT, AT, None, None, None, None).detect == 0.0


def test_lc_7_whoever_takes_it_commands_until_somebody_else_does(world: World) -> None:
    incident = world.incident()
    mate, second = (world.person(name, Role.RESPONDER, "acme") for name in ("mate", "second"))
    assert "commander" in [one.key for one in blockers(facts_of(incident))]
    acknowledge(mate, incident)
    assert str(who(incident, "commander")) == "mate"
    assign(second, incident, "commander", None)
    assign(second, incident, "scribe", None)
    assert str(who(incident, "commander")) == "second" and str(who(incident, "communications", "scribe")) == "second"
    release(second, incident, "scribe", second.user_id or 0)
    assert who(incident, "scribe") is None
    viewer = world.person("viewer", Role.VIEWER, "acme")
    with pytest.raises(NotAllowed):
        assign(viewer, incident, "scribe", None)


def test_lc_7_a_p1_leaves_triage_with_a_commander(world: World) -> None:
    incident = world.incident()
    mate = world.person("mate", Role.RESPONDER, "acme")
    moves.move(mate, incident, "diagnosis")
    assert str(who(incident, "commander")) == "mate"


def test_lc_8_a_machine_contains_and_measures_but_moves_nothing_else(world: World, fixed: FixedClock) -> None:
    incident = world.incident(severity="P2")
    start_containment(ENGINE, incident, "Roll back change 3")
    contained(ENGINE, incident, "All calls on the baseline.")
    recovered(ENGINE, incident, fixed.now())
    now = Incident.objects.get()
    assert (now.phase, now.contained_at, now.recovered_at) == ("containment", fixed.now(), fixed.now())
    with pytest.raises(Conflict):
        moves.move(ENGINE, now, "resolution")


def test_a_kind_brings_its_mildest_severity_and_security_stays_p1(world: World) -> None:
    mate, boss = world.person("mate", Role.RESPONDER, "acme"), world.person("boss", Role.ADMIN, "acme")
    incident = world.incident(severity="P3")
    change_kind(mate, incident, "safety_bypass", "the prompt was leaked")
    assert Incident.objects.get().severity == "P1"
    with pytest.raises(NotAllowed):
        change_severity(mate, incident, "P2", "not that bad")
    with pytest.raises(NotAllowed):
        change_kind(mate, incident, "other")
    change_severity(boss, incident, "P2", "a test of ours")
    assert Incident.objects.get().severity == "P2"


def test_unknown_severity_is_p2_with_a_task(world: World) -> None:
    incident = open_incident(
        ENGINE, system=world.system, environment="prod", title="?", severity="", summary="", fingerprint="x",
        detected_at=AT, occurred_at=None, kind="drift",
    )  # fmt: skip
    assert (incident.severity, incident.severity_unsure, incident.kind) == ("P2", True, "drift")
    mate = world.person("mate", Role.RESPONDER, "acme")
    change_severity(mate, incident, "P2", "looked at it")
    assert not Incident.objects.get().severity_unsure
    assert TimelineEntry.objects.filter(kind="severity").count() == 1
