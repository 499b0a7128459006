"""Paging goes on until somebody acknowledges; what the forecast and the simulation tell is what then happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from afterlaunch.ground.actors import Role
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed
from afterlaunch.notify.models import Page
from afterlaunch.oncall import escalation
from afterlaunch.oncall.actions import put_team
from afterlaunch.oncall.duties import escalate
from afterlaunch.oncall.forecast import CATCH_ALL, future_pages, live, simulated
from afterlaunch.oncall.models import Escalation, EscalationPolicy
from afterlaunch.oncall.overrides import add_override
from afterlaunch.oncall.policy_actions import assign_policy, remove_policy, save_policy
from afterlaunch.oncall.reaching import policy_of
from afterlaunch.oncall.tests.conftest import AT, DAY, ENGINE, HOUR, Crew, turning

TOPIC = "incident/1"
MINUTE = timedelta(minutes=1)


def begin(crew: Crew, fixed: FixedClock, severity: str = "P1", **facts: str) -> Escalation:
    with transaction.atomic():
        return escalation.start(TOPIC, crew.system, {"severity": severity, "title": "x", **facts}, fixed.now())


def play(fixed: FixedClock, minutes: int) -> None:
    for _ in range(minutes):
        escalate(fixed.advance(60))


def paged() -> list[tuple[str, float]]:
    """(name, minutes since AT) of every page."""
    rows = Page.objects.filter(topic=TOPIC, purpose="page").select_related("person").order_by("pk")
    return [(str(page.person), (page.created_at - AT) / MINUTE) for page in rows if page.person]


def step(delay: int, *targets: dict[str, Any], **conditions: Any) -> dict[str, Any]:
    return {"delay": delay, "targets": list(targets), "conditions": conditions}


def person(crew: Crew, name: str) -> dict[str, Any]:
    return {"kind": "person", "id": crew[name].pk}


def policy(crew: Crew, *steps: dict[str, Any], **rest: Any) -> EscalationPolicy:
    return save_policy(ENGINE, crew.client, "main", list(steps), **rest)


def test_the_forecast_tells_what_then_happens(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk))
    team = put_team(ENGINE, crew.client, "both", [crew["ben"], crew["cleo"]])
    policy(crew, step(300, {"kind": "schedule", "id": row.pk}), step(600, {"kind": "team", "id": team.pk}))
    add_override(ENGINE, row, "replace", AT + 14 * MINUTE, AT + HOUR, crew["ben"], crew["ada"])
    assert list(future_pages(live(TOPIC), AT)) == []
    begin(crew, fixed)
    assert paged() == [("Ada", 0)]
    foretold = [(str(who), (at - AT) / MINUTE) for at, who, _ in future_pages(live(TOPIC), AT)]
    assert foretold == [("Ben", 5), ("Cleo", 5), ("Ben", 15), ("Ben", 20), ("Cleo", 20), ("Boss", 30)]
    assert [number for _, _, number in future_pages(live(TOPIC), AT)] == [1, 1, 0, 1, 1, CATCH_ALL]
    play(fixed, 60)
    assert paged()[1:] == foretold
    assert (Escalation.objects.get().state, Escalation.objects.get().reason) == ("exhausted", "nobody_acknowledged")
    assert list(future_pages(live(TOPIC), fixed.now())) == []


def test_the_simulation_of_an_unsaved_policy_names_people_steps_and_why_some_do_not_hold(
    crew: Crew, fixed: FixedClock
) -> None:
    crew.schedule(turning(crew["ada"].pk))
    saved = policy(
        crew,
        step(300, person(crew, "ben"), calendar="closed"),
        step(60, {"kind": "schedule"}),
        step(60, person(crew, "cleo"), severities=["P3"]),
        repeat=0,
    )
    told = [
        (one.number, one.told, [str(who) for who in one.people], (one.at - AT) / MINUTE)
        for one in simulated(policy_of(saved), crew.system, {"severity": "P1"}, AT)
    ]
    assert told == [
        (0, "calendar_open", [], 0), (1, "reached", ["Ada"], 0), (2, "other_severity", [], 1),
        (None, "nobody_acknowledged", ["Boss"], 1),
    ]  # fmt: skip
    night = next(iter(simulated(policy_of(saved), crew.system, {"severity": "P1"}, AT + 12 * HOUR)))
    assert [str(who) for who in night.people] == ["Ben"]


def test_nobody_on_call_falls_through_at_once(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule()
    policy(crew, step(900, {"kind": "schedule", "id": row.pk}), step(300, person(crew, "ben")))
    begin(crew, fixed)
    assert paged() == [("Ben", 0)]


def test_a_policy_that_reaches_nobody_pages_the_catch_all_at_once(crew: Crew, fixed: FixedClock) -> None:
    crew.add("mute", reachable=False)
    row = crew.schedule()
    steps = [step(900, {"kind": "schedule", "id": row.pk}), step(300, person(crew, "mute"))]
    policy(crew, *steps, catch_all=[person(crew, "cleo")])
    begin(crew, fixed)
    assert paged() == [("Cleo", 0)]
    assert (Escalation.objects.get().state, Escalation.objects.get().reason) == ("exhausted", "catch_all_paged")


def test_a_catch_all_that_cannot_be_reached_gives_way_to_the_administrators(crew: Crew, fixed: FixedClock) -> None:
    crew.add("mute", reachable=False)
    policy(crew, step(900, person(crew, "mute")), catch_all=[person(crew, "mute")])
    begin(crew, fixed)
    assert paged() == [("Boss", 0)]


def test_repeats_are_counted_and_may_go_on_for_ever(crew: Crew, fixed: FixedClock) -> None:
    saved = policy(crew, step(60, person(crew, "ben")), repeat=-1)
    begin(crew, fixed)
    play(fixed, 200)
    assert len(paged()) == 201 and Escalation.objects.get().state == "live"
    save_policy(ENGINE, crew.client, "main", saved.steps, repeat=2, row=saved)
    play(fixed, 1)
    assert Escalation.objects.get().state == "exhausted", "an edit counts from the next step on"


def test_a_step_that_is_gone_is_the_one_now_at_its_number_else_the_first(crew: Crew, fixed: FixedClock) -> None:
    saved = policy(crew, step(60, person(crew, "ada")), step(60, person(crew, "ben")), step(60, person(crew, "cleo")))
    begin(crew, fixed)
    play(fixed, 1)
    save_policy(ENGINE, crew.client, "main", [saved.steps[0], saved.steps[2]], row=saved)
    play(fixed, 1)
    assert [name for name, _ in paged()] == ["Ada", "Ben", "Ada"]


def test_an_acknowledged_p1_pages_again_after_30_minutes_unless_harm_has_stopped(crew: Crew, fixed: FixedClock) -> None:
    policy(crew, step(60, person(crew, "ada")))
    begin(crew, fixed)
    assert escalation.stop(TOPIC, "acknowledged", "acknowledged", fixed.now(), by=crew["ada"].pk)
    play(fixed, 29)
    assert len(paged()) == 1
    play(fixed, 2)
    assert paged() == [("Ada", 0), ("Ada", 30), ("Ada", 31)]
    escalation.stop(TOPIC, "acknowledged", "acknowledged", fixed.now())
    escalation.no_more(TOPIC)
    play(fixed, 90)
    assert len(paged()) == 3


def test_a_p2_does_not_page_again_by_default(crew: Crew, fixed: FixedClock) -> None:
    begin(crew, fixed, "P2")
    escalation.stop(TOPIC, "acknowledged", "acknowledged", fixed.now())
    play(fixed, 200)
    assert len(paged()) == 1


def test_where_everyone_must_acknowledge_it_goes_on_until_the_last_did(crew: Crew, fixed: FixedClock) -> None:
    targets = [person(crew, "ada"), person(crew, "ben")]
    policy(crew, step(60, *targets), ack_mode="all_targets", repeat=5)
    begin(crew, fixed)
    assert not escalation.stop(TOPIC, "acknowledged", "acknowledged", fixed.now(), by=crew["ada"].pk)
    play(fixed, 2)
    assert [name for name, _ in paged()] == ["Ada", "Ben", "Ben", "Ben"]
    assert {who for _, who, _ in future_pages(live(TOPIC), fixed.now())} == {crew["ben"], crew["boss"]}
    assert escalation.stop(TOPIC, "acknowledged", "acknowledged", fixed.now(), by=crew["ben"].pk)
    play(fixed, 5)
    assert len(paged()) == 4


def test_maintenance_holds_a_step_and_loses_none(crew: Crew, fixed: FixedClock) -> None:
    policy(crew, step(60, person(crew, "ada")), step(60, person(crew, "ben")))
    begin(crew, fixed)
    escalation.hold(TOPIC, AT + HOUR)
    play(fixed, 59)
    assert [name for name, _ in paged()] == ["Ada"]
    play(fixed, 1)
    assert paged()[-1] == ("Ben", 60)
    escalation.hold(TOPIC, AT + DAY)
    escalation.release(TOPIC, fixed.now())
    play(fixed, 1)
    assert len(paged()) == 3


def test_a_system_goes_by_its_own_policy_else_by_the_default(crew: Crew, fixed: FixedClock) -> None:
    default = policy(crew, step(60, person(crew, "ada")))
    own = save_policy(ENGINE, crew.client, "own", [step(60, person(crew, "ben"))])
    assert default.default and not own.default
    assign_policy(ENGINE, crew.system, own)
    begin(crew, fixed)
    assert paged() == [("Ben", 0)]
    with pytest.raises(Conflict, match="default"):
        remove_policy(ENGINE, default)
    remove_policy(ENGINE, own)
    play(fixed, 1)
    assert paged()[-1] == ("Ada", 1)


@pytest.mark.parametrize(
    ("steps", "rest", "said"),
    [
        ([], {}, "steps must be a list"),
        ([{"delay": 5, "targets": [{"kind": "owner"}]}], {}, r"steps\[0\].delay"),
        ([{"delay": 60, "targets": [{"kind": "crowd"}]}], {}, r"targets\[0\].kind"),
        ([{"delay": 60, "targets": [{"kind": "person", "id": 999_999}]}], {}, "no such person"),
        ([{"delay": 60, "targets": [{"kind": "owner"}]}], {"catch_all": []}, "needs a catch-all"),
        ([{"delay": 60, "targets": [{"kind": "owner"}], "conditions": {"calendar": "ajar"}}], {}, "calendar"),
        ([{"delay": 60, "targets": [{"kind": "owner"}]}], {"repeat": -2}, "repeat"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_place(crew: Crew, steps: Any, rest: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        save_policy(ENGINE, crew.client, "main", steps, **rest)


def test_a_responder_changes_no_policy(crew: Crew) -> None:
    for role in (Role.RESPONDER, Role.VIEWER):
        with pytest.raises(NotAllowed):
            save_policy(crew.actor("ada", role), crew.client, "main", [step(60, {"kind": "owner"})])
