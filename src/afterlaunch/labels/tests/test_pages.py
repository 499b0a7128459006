"""What people see of performance, and what they decide."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import Grant, User
from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.labels.models import Baseline, Place, Source
from afterlaunch.labels.tests.conftest import AT, House
from afterlaunch.labels.tests.test_judging import day, look
from afterlaunch.predictions.models import Task


def signed_in(client: Browser, role: str) -> Browser:
    person = User.objects.create_user(f"{role}@example.org", role, password="long enough 1")
    Grant.objects.create(user=person, role=role)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def told(house: House, client: Any) -> tuple[House, Browser, str]:
    house.clock.set(AT)
    house.reference()
    for number in range(2):
        day(house, number)
    return house, signed_in(client, "operator"), f"/systems/{System.objects.get(key='scoring').pk}/performance"


def test_empty_pages_say_what_to_send(house: House, client: Any) -> None:
    house.clock.set(AT)
    house.reference()
    browser = signed_in(client, "viewer")
    address = f"/systems/{System.objects.get().pk}/performance"
    assert "/labels?environment" in browser.get(address).content.decode()
    assert browser.get(f"/api/v1{address}").json()["environments"] == []
    day(house, 0, rows=5, labels=False)
    page = browser.get(address).content.decode()
    assert "The baseline is learnt" in page and "Not assessed" in page and "No label has come yet" in page


def test_the_page_and_the_api_tell_it(told: tuple[House, Browser, str]) -> None:
    _, browser, address = told
    page = browser.get(address).content.decode()
    for words in ("Accuracy falls", "Estimate and truth, by day", "<svg", "Recall", "desk", "Baseline 1", "isotonic"):
        assert words in page, words
    found = browser.get(f"/api/v1{address}").json()["environments"][0]
    accuracy = found["verdicts"]["performance.accuracy"]
    assert accuracy["status"] == "ok" and accuracy["low"] < accuracy["value"] < accuracy["high"] and accuracy["n"] > 0
    assert accuracy["false_alarms_per_month"]["breaches"] == pytest.approx(0.7305, abs=0.001)
    assert "False alarms a month: at most 0.73 breaches and at most 0.73 warnings." in page
    assert found["verdicts"]["performance.estimate"]["false_alarms_per_month"] == {"breaches": None, "warnings": None}
    assert "of “Expected accuracy falls” it is not known" in page
    assert [one["labelled"] for one in found["days"]] == [1_200] * 2
    assert found["sources"][0]["labels"] == 2_400 and found["labels_waiting"] == 0
    assert browser.get(f"{address}?environment=none").status_code == 404


def test_a_source_is_set_aside_by_a_person_on_record_and_counts_again(told: tuple[House, Browser, str]) -> None:
    house, browser, address = told
    source = Source.objects.get()
    assert browser.post(f"{address}/sources/{source.pk}/stop", {"reason": " "}).status_code == 400
    assert browser.post(f"{address}/sources/{source.pk}/stop", {"reason": "a\0b"}).status_code == 400
    assert browser.post(f"{address}/sources/{source.pk}/stop", {"reason": "a burst"}).status_code == 302
    for _ in range(2):
        look(house)
    page = browser.get(address).content.decode()
    assert "set aside" in page and "a burst" in page
    assert browser.get(f"/api/v1{address}").json()["environments"][0]["labelled"] == 0
    browser.post(f"/api/v1{address}/sources/{source.pk}/resume")
    for _ in range(2):
        look(house)
    assert browser.get(f"/api/v1{address}").json()["environments"][0]["labelled"] == 2_400
    assert Entry.objects.filter(deed__startswith="labels.source.").count() == 2


def test_a_period_becomes_the_baseline(told: tuple[House, Browser, str]) -> None:
    house, browser, address = told
    period = {"start": (AT + timedelta(days=1)).isoformat(), "end": (AT + timedelta(days=2)).isoformat()}
    answer = browser.post(f"/api/v1{address}/baseline", period, content_type="application/json")
    assert answer.status_code == 200 and answer.json()["labelled"] == 1_200, answer.content
    assert Baseline.objects.first().version == 2  # type: ignore[union-attr]
    future = {"start": "2026-03-20T00:00", "end": "2026-03-21T00:00"}
    assert browser.post(f"{address}/baseline", future).status_code == 400
    assert browser.post(f"{address}/baseline", {"start": "x", "end": "y"}).status_code == 400
    look(house)
    assert "Baseline 2" in browser.get(address).content.decode()


def test_what_predictions_are_is_declared(told: tuple[House, Browser, str]) -> None:
    house, browser, address = told
    form = {"segments": "desk, , desk", "floor": "0.6", "delay_hours": "", "tolerance": "0.03", "positive": "0"}
    assert browser.post(f"{address}/task", {**form, "environment": "prod"}).status_code == 302
    task = Task.objects.get()
    assert (task.segments, task.floor, task.delay_hours, task.positive) == (["desk"], 0.6, None, "0")
    look(house)
    look(house)
    assert Baseline.objects.latest("version").made_at > task.noted_at  # what was counted otherwise is no comparison
    for wrong in ({"floor": "2"}, {"tolerance": "much"}, {"kind": "poetry"}):
        assert browser.post(f"{address}/task", {**wrong, "environment": "prod"}).status_code == 400
    answer = browser.post(f"/api/v1{address}/task", {"segments": None}, content_type="application/json")
    assert answer.status_code == 400
    assert Place.objects.count() == 1
