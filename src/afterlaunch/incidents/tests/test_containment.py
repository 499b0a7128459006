from __future__ import annotations

from datetime import timedelta

import pytest

from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed
from afterlaunch.incidents import runs
from afterlaunch.incidents.actions import acknowledge, contained, start_containment
from afterlaunch.incidents.containment.actions import act, by_hand, dry_run, put_policy, undo
from afterlaunch.incidents.containment.duties import see_recovery
from afterlaunch.incidents.containment.models import Measure
from afterlaunch.incidents.containment.rules import may_contain, recovery
from afterlaunch.incidents.models import Incident, Tick, TimelineEntry
from afterlaunch.incidents.runs import Done, Plan, Run
from afterlaunch.incidents.tests.conftest import AT, World
from afterlaunch.notify.models import Page


@pytest.mark.parametrize(
    ("possible", "reach", "operator", "machine", "wanted"),
    [
        (False, 10, True, False, (False, "nothing_to_do")),
        (True, 5000, False, False, (True, "within_cap")),
        (True, 5001, False, False, (False, "above_cap")),
        (True, 5001, True, False, (True, "above_cap")),
        (True, 5001, True, True, (False, "above_cap")),
        (True, None, False, False, (False, "reach_unknown")),
        (True, None, True, False, (True, "reach_unknown")),
    ],
)
def test_the_cap_decides_who_may(
    possible: bool, reach: int | None, operator: bool, machine: bool, wanted: tuple[bool, str]
) -> None:
    said = may_contain(possible, reach, 5000, operator, machine)
    assert (said.yes, said.reason) == wanted


def test_only_proof_after_the_start_counts() -> None:
    by, later = AT + timedelta(minutes=15), AT + timedelta(minutes=20)
    assert recovery(AT, by, AT - timedelta(minutes=1), None, later) == "not_shown"
    assert recovery(AT, by, None, AT + timedelta(minutes=16), later) == "shown"
    assert recovery(AT, by, None, None, AT) == "pending"


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A rollback of a candidate whose share moves; the real one is tested with the changes."""
    state = {"share": 3000}

    def plan(actor: Actor, incident: Incident) -> Plan:
        return Plan(True, f"{state['share'] / 100:g} % goes back", state["share"], "propose again", dict(state))

    def perform(actor: Actor, incident: Incident, reason: str) -> Done:
        told = {"key": "rollback", "run": "contain", "reach": state["share"], "reason": reason}
        start_containment(automation("rollback"), incident, "Change 3 was rolled back", told)
        return Done("Rolled back.")

    def back(actor: Actor, incident: Incident, facts: object) -> Done:
        return Done("Proposed again.", "/changes/4")

    monkeypatch.setattr(runs, "runs", lambda: {"contain": Run("contain", "Put back", plan, perform, back, True)})
    return state


def test_what_is_done_is_what_the_dry_run_told(world: World, share: dict[str, int]) -> None:
    mate, incident = world.person("mate", Role.RESPONDER, "acme"), world.incident(severity="P2")
    acknowledge(mate, incident)
    look = dry_run(mate, incident, "rollback")
    assert (look.decision.yes, look.plan.reach, Measure.objects.count()) == (True, 3000, 0)
    share["share"] = 4000
    with pytest.raises(Conflict, match="since the dry run"):
        act(mate, incident, "rollback", look.plan.digest, "bad answers")
    act(mate, incident, "rollback", dry_run(mate, incident, "contain").plan.digest, "bad answers")
    row = Measure.objects.get()
    assert (row.reach, row.run, row.state, row.reason) == (4000, "contain", "pending", "bad answers")
    assert Tick.objects.get(list="runbook").run == "contain"
    undo(mate, incident, row.pk, "it was not the change")
    assert Measure.objects.get().state == "undone"
    assert TimelineEntry.objects.get(kind="containment.undone").details["address"] == "/changes/4"


def test_above_the_cap_it_takes_an_operator(world: World, share: dict[str, int]) -> None:
    share["share"] = 9000
    mate, chief = world.person("mate", Role.RESPONDER, "acme"), world.person("chief", Role.OPERATOR, "acme")
    boss, incident = world.person("boss", Role.ADMIN, "acme"), world.incident()
    digest = dry_run(mate, incident, "rollback").plan.digest
    with pytest.raises(NotAllowed, match="above the cap"):
        act(mate, incident, "rollback", digest, "")
    with pytest.raises(NotAllowed):
        put_policy(chief, world.client, 9500, 15)
    act(chief, incident, "rollback", digest, "")
    put_policy(boss, world.client, 9500, 15)
    act(mate, incident, "rollback", digest, "")


def test_what_is_done_by_hand_is_kept_and_capped_too(world: World) -> None:
    mate, incident = world.person("mate", Role.RESPONDER, "acme"), world.incident()
    with pytest.raises(NotAllowed, match="nobody knows"):
        by_hand(mate, incident, "limit", "10 requests a second", None)
    with pytest.raises(Invalid):
        by_hand(mate, incident, "limit", " ", 100)
    row = by_hand(mate, incident, "limit", "10 requests a second", 2000, "lift it")
    now = Incident.objects.get()
    assert (row.undo, row.key, now.phase) == ("lift it", "limit", "containment")
    assert [one["phase"] for one in now.skipped] == ["diagnosis"]


def test_what_shows_no_recovery_in_time_pages_once(world: World, fixed: FixedClock) -> None:
    mate, incident = world.person("mate", Role.RESPONDER, "acme"), world.incident()
    acknowledge(mate, incident)
    by_hand(mate, incident, "limit", "10 requests a second", 2000)
    pages = Page.objects.count()
    see_recovery(fixed.advance(14 * 60))
    assert Measure.objects.get().state == "pending"
    see_recovery(fixed.advance(60))
    see_recovery(fixed.advance(60))
    assert Measure.objects.get().state == "not_shown" and Page.objects.count() == pages + 1
    assert TimelineEntry.objects.filter(kind="containment.failed").count() == 1


def test_what_helped_is_settled_by_the_measurements(world: World, fixed: FixedClock) -> None:
    mate, incident = world.person("mate", Role.RESPONDER, "acme"), world.incident()
    by_hand(mate, incident, "limit", "10 requests a second", 2000)
    contained(automation("judges"), incident, "Errors are at 0.")
    see_recovery(fixed.advance(3600))
    assert Measure.objects.get().state == "shown"
