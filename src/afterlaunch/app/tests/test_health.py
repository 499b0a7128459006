import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator, sign_in_link
from afterlaunch.engine.duties import cycle
from afterlaunch.ground import clock

pytestmark = pytest.mark.django_db


def test_ready_is_said_only_after_a_finished_cycle_and_not_when_the_engine_stalls() -> None:
    browser = Browser()
    assert browser.get("/readyz").status_code == 503
    with clock.frozen(clock.now()) as fixed:
        cycle((), "engine-1")
        assert browser.get("/readyz").json()["status"] == "ready"
        fixed.advance(61)
        assert browser.get("/readyz").status_code == 503


def test_a_preview_of_a_sign_in_link_does_not_use_it_up() -> None:
    secret = sign_in_link(first_administrator())
    browser = Browser()
    assert browser.get(f"/sign-in/{secret}").status_code == 200
    assert browser.get(f"/sign-in/{secret}").status_code == 200
    assert browser.post(f"/sign-in/{secret}").status_code == 302
    assert Browser().post(f"/sign-in/{secret}").status_code == 401


def test_without_signing_in_a_page_leads_to_the_door_and_the_api_says_401() -> None:
    browser = Browser()
    assert browser.get("/systems").status_code in (302, 404)
    refused = browser.get("/api/v1/systems")
    assert refused.status_code == 401 and refused["Content-Type"] == "application/problem+json"
