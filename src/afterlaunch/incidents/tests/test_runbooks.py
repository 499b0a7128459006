from __future__ import annotations

import pytest

from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed
from afterlaunch.incidents.actions import change_kind
from afterlaunch.incidents.models import Incident, Tick, TimelineEntry
from afterlaunch.incidents.places import LABELS
from afterlaunch.incidents.runbooks import actions, versions
from afterlaunch.incidents.runbooks.models import IncidentRunbook, RunbookVersion
from afterlaunch.incidents.runbooks.rules import check, parse
from afterlaunch.incidents.tests.conftest import World

OWN = """What to do here.

## Look
- Take it.
  run: acknowledge
- See the [calls]({calls}),
  all of them.
- Open the log.
  run: open logs
"""


def test_a_text_becomes_steps() -> None:
    book = parse(OWN)
    assert book.intro == "What to do here."
    assert [(one.number, one.section, one.run) for one in book.steps] == [
        (1, "Look", "acknowledge"),
        (2, "Look", ""),
        (3, "Look", "open logs"),
    ]
    assert book.steps[1].text == "See the [calls]({calls}), all of them."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs a step"),
        ("## Look\nnot a step\n- one", "belongs to no step"),
        ("- one\n  run: explode", "named 'explode'"),
        ("- one\n  run: acknowledge\n  run: contain", "runs two things"),
        ("- see [this]({nowhere})", "no page named 'nowhere'"),
        ("- see [this](javascript:alert)", "is no link"),
        ("- " + "x" * 20_001, "at most 20000"),
        ("\n".join(["- step"] * 61), "at most 60 steps"),
    ],
)
def test_what_would_be_lost_or_harm_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        check(text, LABELS, actions.names_to_run())


def test_an_incident_keeps_the_version_it_began_with(world: World) -> None:
    chief, mate = world.person("chief", Role.OPERATOR, "acme"), world.person("mate", Role.RESPONDER, "acme")
    first = world.incident("first")
    shipped = versions.followed(first)
    assert shipped is not None and shipped.client is None and shipped.version == 1
    with pytest.raises(NotAllowed):
        actions.save(mate, world.client, "other", OWN)
    saved = actions.save(chief, world.client, "other", OWN, "ours", 0)
    assert (saved.version, saved.client) == (1, world.client)
    with pytest.raises(Conflict):
        actions.save(chief, world.client, "other", OWN + "- More.\n", "", 0)
    with pytest.raises(Invalid):
        actions.save(chief, world.client, "other", OWN)
    second = world.incident("second")
    assert versions.followed(first) == shipped and versions.followed(second) == saved
    assert RunbookVersion.objects.filter(client=None, kind="other").count() == 1


def test_another_kind_brings_another_runbook(world: World) -> None:
    incident, mate = world.incident(), world.person("mate", Role.RESPONDER, "acme")
    change_kind(mate, incident, "drift")
    now = versions.followed(incident)
    assert now is not None and now.kind == "drift"
    assert IncidentRunbook.objects.filter(incident=incident).count() == 2


def test_steps_are_ticked_and_run_with_ones_own_permission(world: World) -> None:
    chief, mate = world.person("chief", Role.OPERATOR, "acme"), world.person("mate", Role.RESPONDER, "acme")
    actions.save(chief, world.client, "other", OWN)
    incident, viewer = world.incident(), world.person("viewer", Role.VIEWER, "acme")
    for deed in (actions.run_step, actions.tick_step):
        with pytest.raises(NotAllowed):
            deed(viewer, incident, 1)
    actions.run_step(mate, incident, 1)
    assert Incident.objects.get().acknowledged_by == "mate"
    actions.tick_step(mate, incident, 2, "all red")
    actions.tick_step(mate, incident, 2, "again")
    assert actions.run_step(mate, incident, 3).address == "place:logs"
    with pytest.raises(Invalid):
        actions.run_step(mate, incident, 2)
    assert [(one.run, one.said, one.by) for one in Tick.objects.filter(list="runbook")] == [
        ("acknowledge", "Acknowledged.", "mate"),
        ("", "all red", "mate"),
        ("open logs", "Opened.", "mate"),
    ]
    assert "Runbook: See the calls, all of them. — all red" in TimelineEntry.objects.values_list("text", flat=True)


def test_what_stops_harm_is_run_through_its_dry_run(world: World) -> None:
    mate, incident = world.person("mate", Role.RESPONDER, "acme"), world.incident()
    book = versions.followed(incident)
    assert book is not None
    number = next(step.number for step in parse(book.text).steps if step.run == "contain")
    assert actions.run_step(mate, incident, number).address == f"/incidents/{incident.pk}/containment/contain"
    assert not Tick.objects.exists()


def test_evidence_is_ticked_and_untick_stays_in_the_timeline(world: World) -> None:
    mate, incident = world.person("mate", Role.RESPONDER, "acme"), world.incident()
    actions.tick_evidence(mate, incident, "where", "only tenant nine")
    actions.untick(mate, incident, "evidence", "other/where")
    assert not Tick.objects.exists()
    assert TimelineEntry.objects.filter(kind__startswith="evidence.").count() == 2
