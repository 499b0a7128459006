from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.changes.models import Change
from afterlaunch.diagnosis import questions
from afterlaunch.diagnosis.rules import concentrate
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import Unavailable
from afterlaunch.incidents.models import Incident
from afterlaunch.telemetry.windows import Window

AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def row(dimension: str, value: str | None, **counts: Any) -> Window:
    return Window(AT, AT + timedelta(minutes=15), {dimension: value}, **counts)


ARMS = [row("arm", "baseline", calls=900, refused=4), row("arm", "candidate", calls=100, refused=40)]


def test_the_arm_that_holds_the_trouble_comes_first_with_its_figures() -> None:
    models = [row("model", "m", calls=1000, refused=44)]
    tenants = [row("tenant", "a", calls=500, refused=23), row("tenant", None, calls=500, refused=21)]
    answer = concentrate({"tenant": tenants, "model": models, "arm": ARMS})
    assert answer.reason == "concentrated"
    assert [(one.dimension, one.value) for one in answer.rows] == [("arm", "candidate")]
    assert answer.explanation == ("40 of 44 refused calls (91%) come from arm candidate, which has 10% of the calls.")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "too_few_calls"),
        ([row("arm", "candidate", calls=19, failed=19)], "too_few_calls"),
        ([row("arm", "baseline", calls=50), row("arm", "candidate", calls=50)], "no_trouble_seen"),
        ([row("arm", "baseline", calls=50, failed=9), row("arm", "candidate", calls=50, failed=11)], "spread"),
        ([row("arm", "baseline", calls=50, failed=50)], "spread"),
    ],
)
def test_it_names_why_it_points_at_nothing(rows: list[Window], reason: str) -> None:
    answer = concentrate({"arm": rows})
    assert (answer.reason, answer.rows) == (reason, ())
    assert answer.explanation


@pytest.mark.django_db
def test_it_asks_only_for_the_incidents_own_client_and_shows_the_changes_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    def ask(start: datetime, end: datetime, names: list[str], clients: Any, **equals: Any) -> list[Window]:
        asked.append((start, end, clients, equals))
        return ARMS if names == ["arm"] else []

    monkeypatch.setattr(questions, "windows", ask)
    client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
    system = System.objects.create(client=client, key="support", name="Support")
    common = {"system": system, "environment": "prod", "kind": "prompt", "author": "Ada", "state": "rolling_out"}
    for title, hours in (("old", -30), ("suspect", -1), ("later", 1)):
        Change.objects.create(title=title, proposed_at=AT + timedelta(hours=hours), **common)
    incident = Incident.objects.create(
        system=system, environment="prod", title="t", severity="P2", peak_severity="P2", fingerprint="f", detected_at=AT
    )
    with clock.frozen(AT + timedelta(minutes=5)):
        found = questions.diagnose(Actor("person", "Ada", (Held(Role.VIEWER, "acme"),)), incident)
    assert found.answer.reason == "concentrated"
    assert [change.title for change in found.changes] == ["suspect"]
    place = {"system": "support", "environment": "prod"}
    start, end = AT - timedelta(minutes=15), AT + timedelta(minutes=6)
    assert asked == [(start, end, frozenset({"acme"}), place)] * len(questions.DIMENSIONS)


@pytest.mark.django_db
def test_a_telemetry_store_that_cannot_be_read_is_told_and_hides_no_incident(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: Any, **__: Any) -> list[Window]:
        raise Unavailable("The telemetry store is not open.")

    monkeypatch.setattr(questions, "windows", ask)
    client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
    system = System.objects.create(client=client, key="support", name="Support")
    incident = Incident.objects.create(
        system=system, title="t", severity="P2", peak_severity="P2", fingerprint="f", detected_at=AT
    )
    answer = questions.diagnose(Actor("person", "Ada", (Held(Role.VIEWER, "acme"),)), incident).answer
    assert (answer.reason, answer.rows) == ("telemetry_unavailable", ())
    assert answer.explanation.startswith("Not assessed")
