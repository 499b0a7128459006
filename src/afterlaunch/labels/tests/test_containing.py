"""Stop learning from a source: by itself where the posture allows it, asked for in the incident otherwise."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from afterlaunch.accounts.models import Grant, User
from afterlaunch.alerts.actions import work
from afterlaunch.app.judges import TITLES
from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import NotAllowed
from afterlaunch.incidents.containment.actions import act, dry_run, undo
from afterlaunch.incidents.containment.models import Measure
from afterlaunch.incidents.models import Incident
from afterlaunch.labels import containing
from afterlaunch.labels.duties import join
from afterlaunch.labels.models import Source
from afterlaunch.labels.tests.conftest import AT, House, Stream
from afterlaunch.verdicts.models import Verdict

OPERATOR = Actor("person", "o@example.org", (Held(Role.OPERATOR, None),))


def day(house: House, number: int, crowd: float = 0.0) -> None:
    """Two sources label half each; the crowd turns so many of its labels."""
    parts = [Stream(rows=60).hour(24 * number + hour) for hour in range(24)]
    labels = []
    for at, one in enumerate(row for _, labelled in parts for row in labelled):
        turned = at % 2 == 1 and (at // 2) % 100 < 100 * crowd
        source = "crowd" if at % 2 else "desk"
        labels.append({**one, "source": source, "label": 1 - one["label"] if turned else one["label"]})
    house.clock.set(AT + timedelta(days=number + 1))
    house.predict([row for predicted, _ in parts for row in predicted])
    house.clock.set(AT + timedelta(days=number + 1, hours=3))
    house.label(labels)
    for _ in range(2):
        look(house, 61)


def look(house: House, minutes: int) -> None:
    house.clock.set(house.clock.now() + timedelta(minutes=minutes))
    while join(house.clock.now()):
        pass


def sources_verdict() -> Verdict:
    return Verdict.objects.get(judge="labels.sources")


@pytest.fixture
def bad(house: House, request: Any) -> House:
    """Three good days, then a crowd that is wrong in a third of its labels; judged once."""
    house.clock.set(AT)
    house.reference()
    System.objects.update(posture=request.param)
    for number in range(3):
        day(house, number)
    assert sources_verdict().status == "ok", sources_verdict().explanation
    parts = [Stream(rows=60).hour(72 + hour) for hour in range(24)]
    labelled = [row for _, one in parts for row in one]
    house.clock.set(AT + timedelta(days=4))
    house.predict([row for predicted, _ in parts for row in predicted])
    house.clock.set(AT + timedelta(days=4, hours=6))
    both = [
        {**row, "source": "crowd" if at % 2 else "desk", "label": 1 - row["label"] if at % 6 == 1 else row["label"]}
        for at, row in enumerate(labelled)
    ]
    house.label(both)
    look(house, 61)
    return house


def incident_of(house: House) -> Incident:
    person = User.objects.create_user("o@example.org", "O", password="long enough 1")
    Grant.objects.create(user=person, role="admin")
    work(house.clock.now() + timedelta(minutes=5), {name: title for name, (title, _) in TITLES.items()})
    return Incident.objects.get()


@pytest.mark.parametrize("bad", ["pilot"], indirect=True)
def test_a_pilots_bad_source_is_set_aside_by_itself_once_the_breach_holds(bad: House) -> None:
    verdict = sources_verdict()
    assert (verdict.status, verdict.reason) == ("breach", "noise"), verdict.explanation
    assert not Source.objects.exclude(stopped_at=None).exists()
    incident = incident_of(bad)
    look(bad, 61)
    crowd = Source.objects.get(name="crowd")
    assert crowd.stopped_by == "containment policy" and "contradict" in crowd.stopped_why
    assert Source.objects.get(name="desk").stopped_at is None
    assert Entry.objects.filter(deed="labels.source.stopped").count() == 1
    assert Measure.objects.get(incident=incident).run == containing.RUN
    look(bad, 61)
    assert sources_verdict().status == "ok"
    undo(OPERATOR, incident, Measure.objects.get().pk, "it was right")
    look(bad, 61)
    look(bad, 61)
    crowd.refresh_from_db()
    assert crowd.stopped_at is None and sources_verdict().status == "breach"  # a person trusts it: nothing by itself


@pytest.mark.parametrize("bad", ["governed"], indirect=True)
def test_a_governed_system_asks_in_the_incident(bad: House) -> None:
    incident = incident_of(bad)
    look(bad, 61)
    assert not Source.objects.exclude(stopped_at=None).exists()
    viewer = Actor("person", "v@example.org", (Held(Role.VIEWER, None),))
    told = dry_run(OPERATOR, incident, "stop-source")
    assert told.plan.possible and "crowd" in told.plan.text and told.decision.yes and told.plan.reach == 0
    with pytest.raises(NotAllowed):
        act(viewer, incident, "stop-source", told.plan.digest, "wrong labels")
    act(OPERATOR, incident, "stop-source", told.plan.digest, "wrong labels")
    crowd = Source.objects.get(name="crowd")
    assert crowd.stopped_why == "wrong labels" and not dry_run(OPERATOR, incident, "stop-source").plan.possible


def test_the_last_source_is_never_set_aside_by_a_machine() -> None:
    only = Source(name="desk")
    now = AT + timedelta(days=9)
    assert containing.decide("pilot", [only], [only], True, now).reason == "no_other_source"
    other = Source(name="crowd")
    assert containing.decide("pilot", [only], [only, other], True, now).sources == (only,)
    assert containing.decide("pilot", [only], [only, other], False, now).reason == "not_held_yet"
    assert containing.decide("governed", [only], [only, other], True, now).reason == "posture_asks"
    only.resumed_at = now - timedelta(days=1)
    assert containing.decide("pilot", [only], [only, other], True, now).reason == "trusted_by_a_person"


def test_a_hold_out_and_models_labels_are_told(house: House, client: Any) -> None:
    house.clock.set(AT)
    house.reference()
    for number in range(3):
        parts = [Stream(rows=60).hour(24 * number + hour) for hour in range(24)]
        predicted = [{**row, "exposed": at % 5 > 0} for at, row in enumerate(row for one, _ in parts for row in one)]
        copied = number == 2
        labels = [
            {**row, "label": told["output"] if copied and told["exposed"] else row["label"]}
            for told, row in zip(predicted, (row for _, one in parts for row in one), strict=True)
        ]
        house.clock.set(AT + timedelta(days=number + 1))
        house.predict(predicted)
        house.clock.set(AT + timedelta(days=number + 1, hours=3))
        house.label(labels)
        look(house, 61)
        look(house, 61)
    verdict = sources_verdict()
    assert verdict.status == "warning" and "outputs make labels" in verdict.explanation, verdict.explanation
    from afterlaunch.labels.tests.test_pages import signed_in

    address = f"/systems/{System.objects.get(key='scoring').pk}/performance"
    page = signed_in(client, "viewer").get(address).content.decode()
    assert "Labels equal the output in 100.0 % where it was seen" in page and "Wrong, estimated" in page
