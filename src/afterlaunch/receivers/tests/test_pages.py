from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import Grant, User
from afterlaunch.alerts.maintenance import turn_windows
from afterlaunch.alerts.models import Alert, Integration, MaintenanceWindow, RawEvent
from afterlaunch.ground import clock
from afterlaunch.receivers.tests.conftest import House


@pytest.fixture
def browser(house: House) -> Browser:
    person = User.objects.create_user("olga@example.test", "Olga")
    Grant.objects.create(user=person, role="operator", client=house.system.client)
    one = Browser()
    one.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return one


def text(browser: Browser, address: str, status: int = 200) -> str:
    answer = browser.get(address)
    assert answer.status_code == status, answer.content.decode()[:500]
    return answer.content.decode()


def test_with_nothing_there_the_pages_say_what_to_do(browser: Browser) -> None:
    assert "Set up an integration" in text(browser, "/alerts")
    assert "No integration yet" in text(browser, "/integrations")
    assert "No maintenance is planned" in text(browser, "/maintenance")
    assert "No inhibition rule" in text(browser, "/inhibition")


def made(browser: Browser, **fields: Any) -> str:
    form = {"client": "acme", "name": "prom", "kind": "prometheus", "system": "support", **fields}
    answer = browser.post("/integrations", form)
    assert answer.status_code == 200, answer.content.decode()[:500]
    found = re.search(r"ali_[0-9a-f]{28}", answer.content.decode())
    assert found is not None
    return found.group()


def test_an_integration_is_made_its_key_shown_once_and_its_snippet_works(browser: Browser, house: House) -> None:
    key = made(browser, severities="page-me=P1")
    row = Integration.objects.get()
    shown = text(browser, f"/integrations/{row.pk}")
    assert key not in shown and "YOUR_KEY" in shown and "basic_auth" in shown and "Nothing has come yet" in shown
    told = [{"labels": {"alertname": "Slow", "severity": "page-me", "instance": "a"}}, {"labels": {}}]
    assert house.send("/api/v2/alerts", told, key).status == 400
    shown = text(browser, f"/integrations/{row.pk}?state=unparsed")
    assert "At least one label" in shown
    event = RawEvent.objects.get()
    assert "page-me" in text(browser, f"/integrations/events/{event.pk}")
    assert browser.post(f"/integrations/{row.pk}/test").status_code == 302
    again = browser.post(f"/integrations/{row.pk}/keys").content.decode()
    assert "shown once" in again
    assert browser.post(f"/integrations/{row.pk}/keys/{row.keys.earliest('pk').pk}/revoke").status_code == 302
    assert house.send("/api/v2/alerts", told[:1], key).status == 401
    form = {"kind": "prometheus", "system": "support", "environment": "staging", "may_silence": "1"}
    assert browser.post(f"/integrations/{row.pk}", form).status_code == 302
    row.refresh_from_db()
    assert row.environment == "staging" and row.may_silence
    assert browser.post(f"/integrations/{row.pk}", {**form, "options": "[1]"}).status_code == 400
    assert browser.post(f"/integrations/{row.pk}/remove").status_code == 302
    assert text(browser, f"/integrations/{row.pk}", 404)


def test_alerts_are_listed_searched_and_told_with_their_history(browser: Browser, house: House) -> None:
    key = made(browser)
    told = [{"labels": {"alertname": name, "job": job}} for name, job in (("Slow", "api"), ("Down", "db"))]
    house.send("/api/v2/alerts", told, key)
    house.go(30)
    listed = text(browser, "/alerts")
    assert "Slow" in listed and "Down" in listed and "incident #" in listed
    for query in ("q=api", "q=%7Bjob%3D%22api%22%7D", "q=Slow&severity=P2"):
        found = text(browser, f"/alerts?{query}")
        assert "Slow" in found and f"/alerts/{Alert.objects.get(name='Down').pk}" not in found
    assert "No alert fits" in text(browser, "/alerts?state=suppressed")
    assert text(browser, "/alerts?q=%7Bbad", 400)
    alert = Alert.objects.get(name="Slow")
    shown = text(browser, f"/alerts/{alert.pk}")
    assert "history" in shown and "as it came" in shown and "job" in shown and "Silence it" in shown
    assert "Slow" in text(browser, "/silences/preview?system=client:acme&matchers=job%3Dapi")
    assert "Nothing that fires" in text(browser, f"/silences/preview?system={house.system.pk}&matchers=job%3Dx")
    assert "no matcher" in text(browser, "/silences/preview?system=client:acme&matchers=%7B%7B")
    form = {"system": "client:acme", "matchers": "job=api", "hours": "1", "reason": "known"}
    assert browser.post("/silences", form).status_code == 302
    house.go(1)
    assert "silence" in text(browser, "/alerts?state=suppressed")
    assert browser.post(f"/alerts/{alert.pk}/end", {"reason": "forgotten"}).status_code == 302
    assert "ended by a person" in text(browser, "/alerts?state=ended")


def test_a_window_is_planned_made_longer_ended_and_removed(browser: Browser, house: House) -> None:
    now = clock.now()
    form = {
        "system": str(house.system.pk), "name": "Upgrade", "zone": "Europe/Berlin",
        "starts_at": "2026-03-03T10:00", "ends_at": "2026-03-03T12:00",
    }  # fmt: skip
    assert browser.post("/maintenance", form).status_code == 302
    turn_windows(now)
    row = MaintenanceWindow.objects.get()
    assert row.running_until is not None and row.running_until.hour == 11, "Berlin's noon"
    assert "runs now" in text(browser, "/maintenance")
    assert browser.post(f"/maintenance/{row.pk}/extend", {"minutes": "30"}).status_code == 302
    assert browser.post(f"/maintenance/{row.pk}/extend", {"minutes": "x"}).status_code == 400
    assert "made longer by hand" in text(browser, "/maintenance")
    assert browser.post(f"/maintenance/{row.pk}/end").status_code == 302
    weekly = {
        "system": "client:acme", "matchers": "team=core", "name": "Weekly", "zone": "UTC", "again": "1",
        "weekday": ["sunday"], "from": "22:00", "to": "00:00",
    }  # fmt: skip
    assert browser.post("/maintenance", weekly).status_code == 302
    shown = text(browser, "/maintenance")
    assert "Sun 8 Mar" in shown and "Sun 29 Mar" in shown and "22:00" in shown
    other = MaintenanceWindow.objects.get(name="Weekly")
    assert browser.post(f"/maintenance/{other.pk}/remove").status_code == 302
    for bad in ({"starts_at": "soon"}, {"zone": "Mars"}, {"system": ""}, {"system": "client:other"}):
        assert browser.post("/maintenance", {**form, "name": "Bad", **bad}).status_code in (400, 404)


def test_rules_of_inhibition_are_declared_and_removed(browser: Browser) -> None:
    form = {"client": "acme", "name": "r", "source": "{a=b}", "target": "{c=d}", "equal": "zone, rack"}
    assert browser.post("/inhibition", form).status_code == 302
    shown = text(browser, "/inhibition")
    assert "rack, zone" in shown
    assert browser.post("/inhibition", {**form, "source": "{"}).status_code == 400
    pk = re.search(r"/inhibition/(\d+)/remove", shown)
    assert pk is not None and browser.post(f"/inhibition/{pk.group(1)}/remove").status_code == 302
