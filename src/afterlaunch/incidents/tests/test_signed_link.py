from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import Grant
from afterlaunch.evidence.models import Entry
from afterlaunch.ground.clock import FixedClock
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.tests.conftest import World
from afterlaunch.notify import links
from afterlaunch.notify.models import Page
from afterlaunch.oncall.models import Escalation
from afterlaunch.sla.models import Clock


@pytest.fixture
def link(world: World) -> str:
    world.incident()
    return f"/ack/{links.token(Page.objects.get())}"


def confirm(browser: Browser, link: str) -> str:
    found = re.search(r'name="confirm" value="([^"]+)"', browser.get(link).content.decode())
    assert found
    return found[1]


def test_a_previewer_that_gets_every_link_acknowledges_nothing(link: str) -> None:
    browser = Browser(enforce_csrf_checks=True)
    for _ in range(3):
        response = browser.get(link)
        assert response.status_code == 200 and b"Answers are refused" in response.content
        assert response["Cache-Control"] == "no-store" and response["Referrer-Policy"] == "no-referrer"
        assert b"31 %" not in response.content
        browser.head(link)
    assert Incident.objects.get().acknowledged_at is None


def test_two_posts_acknowledge_once_without_signing_in(link: str) -> None:
    browser = Browser(enforce_csrf_checks=True)
    token = confirm(browser, link)
    first = browser.post(link, {"confirm": token}, HTTP_ORIGIN="null")
    second = browser.post(link, {"confirm": token}, HTTP_ORIGIN="null")
    assert (first.status_code, second.status_code) == (200, 409)
    assert b"Already acknowledged by Ada" in second.content
    incident = Incident.objects.get()
    assert incident.acknowledged_by == "Ada" and Escalation.objects.get().state == "acknowledged"
    assert Clock.objects.get().met_at is not None
    assert Entry.objects.filter(deed="incident.acknowledged").count() == 1


def test_a_post_without_the_forms_own_token_does_nothing(link: str) -> None:
    assert Browser().post(link, {"confirm": "guess"}).status_code == 400
    assert Incident.objects.get().acknowledged_at is None


def test_an_altered_or_expired_link_opens_nothing(link: str, fixed: FixedClock) -> None:
    browser = Browser()
    middle = len(link) // 2
    altered = link[:middle] + ("A" if link[middle] != "A" else "B") + link[middle + 1 :]
    assert browser.get(altered).status_code == 404 and browser.get("/ack/nonsense").status_code == 404
    token = confirm(browser, link)
    fixed.advance(timedelta(hours=24))
    assert b"expired" in browser.get(link).content
    assert browser.post(link, {"confirm": token}).status_code == 409


def test_a_person_who_lost_the_role_can_not_use_an_old_link(link: str) -> None:
    browser = Browser()
    token = confirm(browser, link)
    Grant.objects.all().delete()
    assert browser.post(link, {"confirm": token}).status_code == 403
    page = Page.objects.get()
    assert page.link_used_at is None and Incident.objects.get().acknowledged_at is None
