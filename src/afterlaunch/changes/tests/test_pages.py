from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.accounts.models import Client
from afterlaunch.changes.actions import advance, approve, propose
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
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


def test_a_change_is_rolled_back_from_its_page(browser: Browser) -> None:
    client = Client.objects.create(slug="acme", name="Acme", created_at=clock.now())
    system = System.objects.create(client=client, key="support", name="Support")
    put_upstream(ENGINE, "openai", "https://api.openai.com", "openai")
    route = put_route(ENGINE, "answers", system, ArmValues("openai", "", "v1"))
    change = advance(ENGINE, approve(ENGINE, propose(ENGINE, route, "Friendlier", ArmValues("openai", "", "v2"))))
    assert "Friendlier" in browser.get("/changes").content.decode()
    assert "Roll back now" in browser.get(f"/changes/{change.pk}").content.decode()
    answer = browser.post(f"/changes/{change.pk}/rollback", {"reason": "refused answers"}, follow=True)
    assert "refused answers" in answer.content.decode() and "Not assessed" in answer.content.decode()
    assert "change.rolled_back" in browser.get("/evidence?deed=rolled").content.decode()
