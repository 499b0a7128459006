from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import Client, User
from afterlaunch.ground.actors import Role, automation
from afterlaunch.ground.clock import FixedClock
from afterlaunch.incidents.actions import add_note, page_once_more
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.tests.conftest import World
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.oncall.duties import escalate


def signed_in(name: str) -> Browser:
    browser = Browser()
    browser.force_login(
        User.objects.get(email=f"{name}@example.test"), backend="django.contrib.auth.backends.ModelBackend"
    )
    return browser


@pytest.fixture
def people(world: World) -> World:
    world.person("mate", Role.RESPONDER, "acme")
    world.person("viewer", Role.VIEWER, "acme")
    world.person("stranger", Role.ADMIN, "other")
    return world


def test_the_pages_show_the_incident_to_its_client_only(people: World) -> None:
    incident = people.incident()
    for name in ("mate", "viewer"):
        page = signed_in(name).get(f"/incidents/{incident.pk}")
        assert page.status_code == 200 and b"First response" in page.content and b"Timeline" in page.content
        assert (b"/acknowledge" in page.content) == (name == "mate")
        assert b"Answers are refused" in signed_in(name).get("/incidents").content
    assert signed_in("stranger").get(f"/incidents/{incident.pk}").status_code == 404
    assert b"No incident yet" in signed_in("stranger").get("/incidents").content


def test_a_long_timeline_is_folded_in_the_middle_and_whole(people: World) -> None:
    incident = people.incident()
    for number in range(150):
        add_note(automation("test"), incident, f"note {number}.")
    entries = incident.timeline.count()
    page = signed_in("mate").get(f"/incidents/{incident.pk}").content.decode()
    assert f"{entries - 60} entries in between" in page and f"{entries} entries, each" in page
    assert all(f"note {number}." in page for number in range(150))


def test_the_buttons_work_for_those_who_may(people: World) -> None:
    incident = people.incident()
    assert signed_in("viewer").post(f"/incidents/{incident.pk}/acknowledge").status_code == 403
    assert signed_in("stranger").post(f"/incidents/{incident.pk}/acknowledge").status_code == 404
    mate = signed_in("mate")
    assert mate.post(f"/incidents/{incident.pk}/note", {"text": "looking"}).status_code == 302
    assert mate.post(f"/incidents/{incident.pk}/acknowledge").status_code == 302
    assert mate.post(f"/incidents/{incident.pk}/resolve", {"text": "rolled back"}).status_code == 302
    assert Incident.objects.get().status == "resolved"
    assert mate.post(f"/incidents/{incident.pk}/reopen", {"text": "again"}).status_code == 302


def test_a_list_asks_the_database_a_fixed_number_of_times(people: World) -> None:
    browser = signed_in("mate")
    counts = []
    for rounds in (1, 6):
        for number in range(rounds):
            people.incident(f"{rounds}-{number}")
        with CaptureQueriesContext(connection) as seen:
            assert browser.get("/incidents").status_code == 200
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_the_api_pages_and_acknowledges(people: World) -> None:
    ids = [people.incident(f"f{number}").pk for number in range(3)]
    _, secret = create_token(automation("test"), "ci", "responder", Client.objects.get(slug="acme"))
    browser = Browser(headers={"authorization": f"Bearer {secret}"})
    first = browser.get("/api/v1/incidents?limit=2").json()
    assert [row["id"] for row in first["incidents"]] == ids[:0:-1]
    rest = browser.get(f"/api/v1/incidents?limit=2&cursor={first['cursor']}").json()
    assert [row["id"] for row in rest["incidents"]] == ids[:1] and rest["cursor"] is None
    body = browser.post(f"/api/v1/incidents/{ids[0]}/acknowledge").json()
    assert body["acknowledged_by"] == "ci" and body["clock"]["met_at"] and body["pages"][0]["state"] == "withdrawn"
    assert browser.post(f"/api/v1/incidents/{ids[0]}/resolve", "", "application/json").json()["status"] == "resolved"
    _, other = create_token(automation("test"), "x", "admin", Client.objects.get(slug="other"))
    stranger = Browser(headers={"authorization": f"Bearer {other}"})
    assert stranger.get(f"/api/v1/incidents/{ids[0]}").status_code == 404


def test_on_call_page_says_when_nobody_can_be_reached(people: World) -> None:
    browser = signed_in("mate")
    assert b"Nobody has a verified" not in browser.get("/oncall").content
    ContactMethod.objects.all().delete()
    assert b"Nobody has a verified contact method" in browser.get("/oncall").content


def test_a_contact_method_is_verified_by_its_code(people: World) -> None:
    mate = signed_in("mate")
    assert b"No page can reach you" in mate.get("/settings/contacts").content
    assert mate.post("/settings/contacts/add", {"kind": "email", "address": "mate@x.test"}).status_code == 302
    contact = ContactMethod.objects.get(user__email="mate@example.test")
    assert contact.verified_at is None and Page.objects.get(contact=contact).purpose == "verify"
    assert signed_in("viewer").post(f"/settings/contacts/{contact.pk}/remove").status_code == 404
    mate.post(f"/settings/contacts/{contact.pk}/verify", {"code": contact.code})
    contact.refresh_from_db()
    assert contact.verified_at is not None
    assert mate.post("/settings/contacts/add", {"kind": "slack", "address": "https://10.0.0.1/x"}).status_code == 400


def test_a_page_that_comes_again_says_why_and_is_answered_on_the_page(people: World, fixed: FixedClock) -> None:
    incident, mate = people.incident(), signed_in("mate")
    mate.post(f"/incidents/{incident.pk}/acknowledge")
    escalate(fixed.advance(31 * 60))
    page = mate.get(f"/incidents/{incident.pk}").content.decode()
    assert "It pages again: mate took it 31 min ago, and it is neither contained nor healthy." in page
    assert "I am on it" in page
    mate.post(f"/incidents/{incident.pk}/acknowledge")
    page = mate.get(f"/incidents/{incident.pk}").content.decode()
    assert "It pages again" not in page and "mate acknowledged, again." in page
    assert "unless contained or recovered by then" in page, "and when it would come again"
    page_once_more(automation("engine"), incident, "It has not shown recovery within 15 min.")
    page = mate.get(f"/incidents/{incident.pk}").content.decode()
    assert "It was paged again: It has not shown recovery within 15 min. Nobody has it now." in page
