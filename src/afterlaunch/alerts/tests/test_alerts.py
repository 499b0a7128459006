from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.alerts.actions import silence, work
from afterlaunch.alerts.models import Alert
from afterlaunch.alerts.rules import ends, fires
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import Invalid, NotAllowed
from afterlaunch.incidents.models import Incident
from afterlaunch.verdicts.models import Verdict

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
TITLES = {"quality.refusals": "Refused answers", "slo.error_rate": "Error rate"}


@pytest.fixture
def system() -> System:
    client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
    return System.objects.create(client=client, key="support", name="Support")


def verdict(
    status: str, since: datetime, judge: str = "quality.refusals", arm: str = "", severity: str = "P2"
) -> Verdict:
    values = {"status": status, "since": since, "assessed_at": since, "severity": severity, "explanation": "40 of 100."}
    row, _ = Verdict.objects.update_or_create(
        judge=judge, client="acme", system="support", environment="prod", arm=arm, defaults={**values, "reason": "r"}
    )
    return row


def at(minutes: float) -> datetime:
    return AT + timedelta(minutes=minutes)


def go(minutes: float) -> None:
    with clock.frozen(at(minutes)):
        work(at(minutes), TITLES)


def test_a_breach_that_holds_opens_one_incident_however_often_it_is_looked_at(system: System) -> None:
    verdict("breach", AT)
    verdict("breach", AT, arm="candidate")
    go(1)
    assert not Incident.objects.exists()
    for minutes in (2, 3, 4):
        go(minutes)
    incident = Incident.objects.get()
    assert (incident.severity, incident.arm, incident.environment) == ("P2", "candidate", "prod")
    assert incident.occurred_at == AT and incident.detected_at == at(2)
    assert Alert.objects.filter(incident=incident, resolved_at=None).count() == 2


def test_a_graver_breach_joins_and_raises_the_severity(system: System) -> None:
    verdict("breach", AT)
    go(3)
    verdict("breach", at(4), judge="slo.error_rate", severity="P1")
    go(7)
    assert Incident.objects.get().severity == "P1"


def test_a_warning_and_a_verdict_not_assessed_open_nothing(system: System) -> None:
    verdict("warning", AT)
    verdict("not_assessed", AT, arm="candidate")
    go(30)
    assert not Alert.objects.exists()


def test_it_has_recovered_only_after_a_healthy_while(system: System) -> None:
    verdict("breach", AT)
    go(3)
    verdict("ok", at(10))
    go(15)
    assert Incident.objects.get().recovered_at is None
    go(20)
    assert Incident.objects.get().recovered_at == at(20)


def test_a_silence_pages_nobody_but_the_alert_is_recorded(system: System) -> None:
    ada = Actor("person", "Ada", (Held(Role.RESPONDER, "acme"),))
    with clock.frozen(AT):
        silence(ada, system, at(60), "planned load test")
    verdict("breach", AT)
    go(3)
    assert not Incident.objects.exists() and "Ada" in Alert.objects.get().suppressed_by


def test_responder_silences_viewer_and_stranger_do_not(system: System) -> None:
    viewer = Actor("person", "v", (Held(Role.VIEWER, "acme"),))
    stranger = Actor("person", "s", (Held(Role.ADMIN, "other"),))
    with clock.frozen(AT):
        for actor in (viewer, stranger):
            with pytest.raises(NotAllowed):
                silence(actor, system, at(60), "x")
        with pytest.raises(Invalid):
            silence(Actor("person", "r", (Held(Role.RESPONDER, "acme"),)), system, at(60 * 24 * 8), "x")


def test_the_reasons_have_names() -> None:
    assert fires("breach", AT, at(1)) == "too_short_yet"
    assert fires("warning", AT, at(9)) == "no_breach"
    assert ends("ok", AT, at(9)) == "healthy_not_long_enough"
