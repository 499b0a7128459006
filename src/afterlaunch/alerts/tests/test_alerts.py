from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.alerts.actions import end_alert, scope_returned, scope_withdrawn, work
from afterlaunch.alerts.models import Alert, Silence
from afterlaunch.alerts.rules import ends, fires
from afterlaunch.alerts.silences import end_silence, silence, silence_by_id
from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.incidents.actions import acknowledge, resolve
from afterlaunch.incidents.models import Incident
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.verdicts.models import Verdict

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
BEN = Actor("person", "Ben", (Held(Role.RESPONDER, "acme"),))
MATE = Actor("person", "Mate", (Held(Role.VIEWER, "acme"),))
STRANGER = Actor("person", "Sly", (Held(Role.ADMIN, "other"),))
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
            silence(Actor("person", "r", (Held(Role.RESPONDER, "acme"),)), system, at(60 * 24 * 31), "x")


def test_the_reasons_have_names() -> None:
    assert fires("breach", AT, at(1)) == "too_short_yet"
    assert fires("warning", AT, at(9)) == "no_breach"
    assert ends("ok", AT, at(9)) == "ok_not_long_enough"
    assert ends("not_assessed", AT, at(600)) == "no_data"
    assert fires("breach", AT, at(9), withdrawn_at=at(5)) == "scope_withdrawn"


def only(incident: Incident, kind: str) -> str:
    return incident.timeline.get(kind=kind).text


def test_a_scope_that_goes_silent_is_no_recovery(system: System) -> None:
    verdict("breach", AT)
    go(3)
    verdict("not_assessed", at(10))
    for minutes in (11, 60, 600):
        go(minutes)
    alert, incident = Alert.objects.get(), Incident.objects.get()
    assert alert.resolved_at is None and alert.silent_since == at(10) and incident.recovered_at is None
    assert "no data since 02:10 UTC" in only(incident, "alert.silent")
    verdict("ok", at(700))
    go(711)
    assert Alert.objects.get().ended_because == "ok_long_enough" and Incident.objects.get().recovered_at == at(711)


def test_a_warning_that_stays_keeps_the_alert_open(system: System) -> None:
    verdict("breach", AT)
    go(3)
    verdict("warning", at(10))
    go(60)
    assert Alert.objects.get().resolved_at is None


def test_a_verified_rollback_ends_the_alerts_of_the_arm_it_emptied_and_no_other(system: System) -> None:
    row = verdict("breach", AT, arm="candidate")
    Verdict.objects.filter(pk=row.pk).update(route="answers")
    verdict("breach", AT, judge="slo.error_rate")
    go(3)
    with clock.frozen(at(5)):
        assert scope_withdrawn(BEN, system, "prod", "answers", "candidate", "Verified.") == 1
    incident = Incident.objects.get()
    assert "candidate arm of answers serves nobody" in only(incident, "alert.withdrawn")
    assert incident.recovered_at is None, "another alert still fires"
    go(6)
    assert Alert.objects.filter(resolved_at=None).count() == 1, "its last calls raise nothing"
    scope_returned(system, "prod", "answers", "candidate")
    go(7)
    assert Alert.objects.filter(resolved_at=None).count() == 2, "it serves again, and is in breach"


def test_a_person_ends_what_tells_nothing_but_not_what_is_in_breach(system: System) -> None:
    verdict("breach", AT)
    go(3)
    alert = Alert.objects.get()
    with clock.frozen(at(4)):
        with pytest.raises(Conflict):
            end_alert(BEN, alert, "tired of it")
        verdict("not_assessed", at(4))
        for actor in (MATE, STRANGER):
            with pytest.raises(NotAllowed):
                end_alert(actor, alert, "no")
        with pytest.raises(Invalid):
            end_alert(BEN, alert, " ")
        end_alert(BEN, alert, "the feature was switched off")
    assert "switched off" in only(Incident.objects.get(), "alert.ended")
    assert Entry.objects.filter(deed="alert.ended").count() == 1
    assert Incident.objects.get().recovered_at == at(4)


def test_what_flaps_rejoins_its_incident_without_a_page_and_pages_when_it_stays(system: System) -> None:
    person = User.objects.create_user("ada@example.test", "Ada")
    Grant.objects.create(user=person, role="admin", client=None)
    ContactMethod.objects.create(user=person, kind="email", address=person.email, created_at=AT, verified_at=AT)
    verdict("breach", AT)
    go(3)
    incident = Incident.objects.get()
    with clock.frozen(at(4)):
        acknowledge(BEN, incident)
    verdict("ok", at(5))
    go(16)
    with clock.frozen(at(17)):
        resolve(BEN, incident, "mended")
    verdict("breach", at(18))
    go(20)
    incident = Incident.objects.get()
    assert incident.status == "open" and incident.acknowledged_at == at(4)
    assert Page.objects.count() == 1, "perhaps it only flaps"
    go(29)
    assert Page.objects.count() == 1
    go(31)
    assert Page.objects.count() == 2, "it stays: somebody is paged again"
    assert Incident.objects.get().acknowledged_at is None
    go(40)
    assert Page.objects.count() == 2 and Incident.objects.count() == 1


def test_what_flapped_without_ever_being_acknowledged_pages_at_once(system: System) -> None:
    person = User.objects.create_user("ada@example.test", "Ada")
    Grant.objects.create(user=person, role="admin", client=None)
    ContactMethod.objects.create(user=person, kind="email", address=person.email, created_at=AT, verified_at=AT)
    verdict("breach", AT, severity="P3")
    go(3)
    verdict("ok", at(5))
    go(16)
    with clock.frozen(at(17)):
        resolve(automation("test"), Incident.objects.get(), "by itself")
    verdict("breach", at(18), severity="P3")
    go(20)
    assert Page.objects.count() == 2


def test_a_silence_names_as_much_as_it_likes_and_ends_when_told(system: System) -> None:
    with clock.frozen(AT):
        other = silence(BEN, system, at(60), "wrong arm", arm="baseline", judge="quality.refusals")
        row = silence(BEN, system, at(60), "known", arm="candidate", environment="prod")
    verdict("breach", AT, arm="candidate")
    go(3)
    assert not Incident.objects.exists() and f"silence {row.pk} of" in Alert.objects.get().suppressed_by
    with clock.frozen(at(4)):
        for actor in (MATE, STRANGER):
            with pytest.raises(NotAllowed):
                end_silence(actor, row)
        with pytest.raises(NotFound):
            silence_by_id(STRANGER, row.pk)
        end_silence(BEN, row)
        with pytest.raises(Conflict):
            end_silence(BEN, row)
    go(5)
    assert Incident.objects.get().alerts.count() == 1, "what still fires is raised when the silence ends"
    assert Alert.objects.get().suppressed_by == "" and other.ends_at == at(60)
    assert list(Entry.objects.filter(subject=f"silence/{row.pk}").values_list("deed", flat=True)) == [
        "silence.made",
        "silence.ended",
    ]


def test_silences_and_alerts_over_the_api(system: System) -> None:
    def call(token: str, method: str, path: str, **body: Any) -> Any:
        answer = getattr(Browser(), method)(
            f"/api/v1{path}", body or None, "application/json", headers={"Authorization": f"Bearer {token}"}
        )
        return answer.status_code, answer.json()

    tokens = {role: create_token(automation("test"), role, role, system.client)[1] for role in ("responder", "viewer")}
    other = Client.objects.create(slug="other", name="Other", created_at=AT)
    stranger = create_token(automation("test"), "stranger", "admin", other)[1]
    wanted = {"system": "support", "until": (clock.now() + timedelta(hours=1)).isoformat(), "reason": "load test"}
    assert call(tokens["viewer"], "post", "/silences", **wanted)[0] == 403
    assert call(stranger, "post", "/silences", **wanted)[0] == 404
    status, made = call(tokens["responder"], "post", "/silences", **wanted, judge="slo.error_rate")
    assert status == 201 and made["active"] and made["judge"] == "slo.error_rate" and made["arm"] is None
    assert call(tokens["responder"], "post", "/silences", **{**wanted, "arm": "both"})[0] == 400
    assert len(call(tokens["viewer"], "get", "/silences")[1]["silences"]) == 1
    assert call(stranger, "get", "/silences")[1]["silences"] == []
    assert call(stranger, "post", f"/silences/{made['id']}/end")[0] == 404
    assert call(tokens["responder"], "post", f"/silences/{made['id']}/end")[1]["active"] is False
    verdict("breach", clock.now() - timedelta(minutes=5))
    work(clock.now(), TITLES)
    (alert,) = call(tokens["viewer"], "get", "/alerts")[1]["alerts"]
    assert alert["judge"] == "quality.refusals" and alert["ended_at"] is None
    assert call(stranger, "get", "/alerts")[1]["alerts"] == []
    assert call(tokens["responder"], "post", f"/alerts/{alert['id']}/end", reason="x")[0] == 409


def test_the_silences_page_and_the_incidents_alerts_are_pages(system: System) -> None:
    person = User.objects.create_user("ada@example.test", "Ada")
    Grant.objects.create(user=person, role="responder", client=system.client)
    browser = Browser()
    browser.force_login(person)
    assert "Nothing is silenced" in browser.get("/silences").content.decode()
    form = {"system": system.pk, "hours": "4", "reason": "load test", "judge": "", "arm": ""}
    assert browser.post("/silences", form).status_code == 302
    shown = browser.get("/silences").content.decode()
    assert "load test" in shown and "End now" in shown
    assert browser.post("/silences", {**form, "hours": "9999"}).status_code == 400
    (row,) = Silence.objects.all()
    assert browser.post(f"/silences/{row.pk}/end").status_code == 302
    verdict("breach", clock.now() - timedelta(minutes=5))
    work(clock.now(), TITLES)
    verdict("not_assessed", clock.now())
    work(clock.now(), TITLES)
    incident = Incident.objects.get()
    assert "no data since" in browser.get(f"/incidents/{incident.pk}").content.decode()
    done = browser.post(f"/alerts/{Alert.objects.get().pk}/end", {"reason": "switched off"})
    assert done.status_code == 302 and "ended by a person" in browser.get(f"/incidents/{incident.pk}").content.decode()
