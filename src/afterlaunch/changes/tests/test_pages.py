from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.changes.actions import advance, approve, propose
from afterlaunch.changes.models import Change
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.incidents.actions import open_incident
from afterlaunch.incidents.models import Incident
from afterlaunch.routes.actions import ArmValues, put_route, put_upstream
from afterlaunch.telemetry import store as stores

pytestmark = pytest.mark.django_db
ENGINE = automation("test")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    stores.open_store(tmp_path / "t.duckdb")
    made = Browser()
    made.force_login(first_administrator())
    yield made
    stores.close_store()


def test_the_pages_say_what_to_do_when_there_is_nothing(browser: Browser) -> None:
    assert "No changes here" in browser.get("/changes").content.decode()
    assert "afterlaunch verify" in browser.get("/evidence").content.decode()


@pytest.fixture
def change() -> Change:
    """Rolling out at 10 %."""
    client = Client.objects.create(slug="acme", name="Acme", created_at=clock.now())
    system = System.objects.create(client=client, key="support", name="Support")
    put_upstream(ENGINE, "openai", "https://api.openai.com", "openai")
    route = put_route(ENGINE, "answers", system, ArmValues("openai", "", "v1"))
    return advance(ENGINE, approve(ENGINE, propose(ENGINE, route, "Friendlier", ArmValues("openai", "", "v2"))))


def _incident(change: Change) -> Incident:
    now = clock.now()
    return open_incident(
        ENGINE,
        system=change.system,
        environment=change.environment,
        detected_at=now,
        occurred_at=None,
        title="Refused answers",
        severity="P2",
        summary="9 of 21",
        fingerprint="f",
    )


def test_an_incident_is_contained_from_its_page(browser: Browser, change: Change) -> None:
    incident = _incident(change)
    page = browser.get(f"/incidents/{incident.pk}").content.decode()
    assert "Put the last good version back" in page and "Friendlier" in page
    assert page.count('id="containment"') == 1 and page.count("Do it now") == 1, "one place to stop the harm"
    door = f"/incidents/{incident.pk}/containment/rollback"
    form = {"reason": "now", "plan": re.search(r'name="plan" value="([^"]+)"', page)[1]}  # type: ignore[index]
    after = browser.post(door, form, follow=True).content.decode()
    assert "Do it now" not in after and "Not verified yet" in after
    change.refresh_from_db()
    assert change.state == "rolled_back" and change.rollbacks.get().description == "now"
    assert browser.post(door, form).status_code == 409


def test_an_incident_without_a_rollout_says_so(browser: Browser, change: Change) -> None:
    browser.post(f"/changes/{change.pk}/rollback", {"reason": "x"})
    later = _incident(change)
    assert "so there is no version to put back" in browser.get(f"/incidents/{later.pk}").content.decode()


def test_a_viewer_cannot_contain(browser: Browser, change: Change) -> None:
    incident = _incident(change)
    viewer = User.objects.create(email="v@acme.example")
    Grant.objects.create(user=viewer, client=change.system.client, role="viewer")
    browser.force_login(viewer)
    page = browser.get(f"/incidents/{incident.pk}").content.decode()
    assert "Do it now" not in page and 'value="run"' not in page and "A responder can do it" in page
    assert browser.post(f"/incidents/{incident.pk}/containment/rollback", {"plan": "x"}).status_code == 403
    change.refresh_from_db()
    assert change.state == "rolling_out"


def test_a_change_is_proposed_on_the_page(browser: Browser, change: Change) -> None:
    browser.post(f"/changes/{change.pk}/rollback", {"reason": "x"})
    assert "Propose a change" in browser.get("/changes").content.decode()
    form = {"route": "answers", "title": "Cheaper", "model": "gpt-4o-mini", "prompt_version": "", "upstream": ""}
    page = browser.post("/changes/propose", form, follow=True).content.decode()
    assert "Cheaper" in page and "Approve" in page and "gpt-4o-mini" in page
    made = Change.objects.get(title="Cheaper")
    assert made.after == {"upstream": "openai", "model": "gpt-4o-mini", "prompt_version": "v1"}
    assert browser.post("/changes/propose", {"route": "answers", "title": "Same"}).status_code == 400


def test_a_change_is_rolled_back_from_its_page(browser: Browser, change: Change) -> None:
    assert "Friendlier" in browser.get("/changes").content.decode()
    assert "Roll back now" in browser.get(f"/changes/{change.pk}").content.decode()
    answer = browser.post(f"/changes/{change.pk}/rollback", {"reason": "refused answers"}, follow=True)
    assert "refused answers" in answer.content.decode() and "Not assessed" in answer.content.decode()
    assert "change.rolled_back" in browser.get("/evidence?deed=rolled").content.decode()
