"""Status pages through their doors: what outsiders read, what stays inside, mails, and the files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from unittest import mock

import orjson
import pytest
from django.db import DatabaseError
from django.test import Client as Browser

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound, RateLimited
from afterlaunch.incidents.actions import acknowledge, open_incident, recovered, resolve
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.updates.models import Update, UpdateText
from afterlaunch.notify.email import sender
from afterlaunch.notify.rules import Outcome
from afterlaunch.probes.tests.conftest import AT, World
from afterlaunch.status_pages import actions, letters, writing
from afterlaunch.status_pages.actions import Part, put_page
from afterlaunch.status_pages.following import follow
from afterlaunch.status_pages.models import Letter, Publication, StatusPage, Subscriber
from afterlaunch.status_pages.shown import document

pytestmark = pytest.mark.django_db
ENGINE = automation("test")


def opened(world: World, severity: str = "P2", kind: str = "", environment: str = "prod") -> Incident:
    return open_incident(
        ENGINE, system=world.system, environment=environment, title="Inner title of the secret pipeline",
        severity=severity, summary="Inner summary", fingerprint=f"f{severity}{kind}{environment}",
        detected_at=clock.now(), occurred_at=None, kind=kind,
    )  # fmt: skip


def shown(page: StatusPage) -> dict[str, Any]:
    answer = Browser().get(f"{page.get_absolute_url()}/status.json")
    assert answer.status_code == 200
    told: dict[str, Any] = orjson.loads(answer.content)
    return told


def everything(page: StatusPage) -> str:
    address = page.get_absolute_url()
    return "".join(Browser().get(f"{address}{rest}").content.decode() for rest in ("", "/status.json", "/feed.rss"))


def test_an_incident_is_published_without_what_it_is_called_inside(
    world: World, page: StatusPage, fixed: FixedClock
) -> None:
    assert shown(page)["headline"] == "All systems are operational"
    incident = opened(world)
    follow(fixed.now())
    told = shown(page)
    assert [one["state"] for one in told["components"]] == ["partial_outage", "operational"]
    assert told["incidents"][0]["title"] == "Problem with Answers"
    assert "Inner" not in everything(page)
    person = Actor("person", "Ada", (Held(Role.ADMIN, None),), user_id=world.admin.pk)
    acknowledge(person, incident)
    follow(fixed.advance(60))
    recovered(ENGINE, incident, fixed.advance(60))
    follow(fixed.now())
    resolve(person, incident, "Inner fix")
    follow(fixed.advance(60))
    follow(fixed.advance(60))
    told = shown(page)
    assert told["state"] == "operational" and not told["incidents"]
    assert [one["phase"] for one in told["history"][0]["posts"]] == [
        "resolved", "monitoring", "identified", "investigating",
    ]  # fmt: skip
    assert "Inner" not in everything(page)


def test_a_page_without_components_does_not_say_that_all_is_well(world: World, fixed: FixedClock) -> None:
    told = document(put_page(automation("test"), world.client, "empty", "Empty", []), fixed.now())
    assert (told["state"], told["tone"], told["headline"]) == (
        "unknown", "not_assessed", "No component is on this page yet",
    )  # fmt: skip


def test_several_incidents_of_a_component_are_told_as_one_after_the_other(
    world: World, page: StatusPage, fixed: FixedClock
) -> None:
    first = opened(world, "P2")
    opened(world, "P3")
    follow(fixed.now())
    assert Publication.objects.count() == 1
    resolve(ENGINE, first)
    follow(fixed.advance(60))
    follow(fixed.advance(60))
    assert [one.phase for one in Publication.objects.order_by("pk")] == ["resolved", "investigating"]


def test_what_customers_were_sent_stands_on_the_page_too(world: World, page: StatusPage, fixed: FixedClock) -> None:
    incident = opened(world)
    follow(fixed.now())
    made = Update.objects.create(incident=incident, number=1, at=AT, author="Ada", author_identity="person:1")
    for audience, state in (("customers", "sent"), ("internal", "sent"), ("executives", "waiting")):
        UpdateText.objects.create(update=made, audience=audience, text=f"for {audience}", state=state, sent_at=AT)
    for _ in range(2):
        follow(fixed.advance(60))
    told = [post["text"] for post in shown(page)["incidents"][0]["posts"]]
    assert told.count("for customers") == 1 and "for internal" not in everything(page)


def test_a_draft_is_seen_by_nobody_outside_until_a_person_publishes_it(
    world: World, page: StatusPage, fixed: FixedClock
) -> None:
    StatusPage.objects.update(policy="draft")
    opened(world)
    follow(fixed.now())
    draft = Publication.objects.get()
    assert draft.state == "draft" and not shown(page)["incidents"]
    actions.publish(world.person(Role.RESPONDER, "acme"), draft, "Answers are slow")
    assert shown(page)["incidents"][0]["title"] == "Answers are slow"
    actions.withhold(world.person(Role.RESPONDER, "acme"), draft)
    assert not shown(page)["incidents"]


def test_of_a_security_incident_nothing_is_told_until_a_person_does(
    world: World, page: StatusPage, fixed: FixedClock
) -> None:
    incident = opened(world, "P1", kind="safety_bypass")
    follow(fixed.now())
    assert not Publication.objects.exists() and shown(page)["state"] == "operational"
    made = Publication.objects.create(page=page, incident=incident, title="x", phase="investigating", starts_at=AT)
    actions.publish(world.person(Role.RESPONDER, "acme"), made)
    assert shown(page)["components"][0]["state"] == "major_outage"


def test_a_person_may_say_another_state_and_why(world: World, page: StatusPage, fixed: FixedClock) -> None:
    opened(world)
    fixed.advance(60)
    part = page.components.first()
    assert part is not None
    person = world.person(Role.RESPONDER, "acme")
    with pytest.raises(Invalid):
        actions.say_state(person, page, part.pk, "operational", "")
    actions.say_state(person, page, part.pk, "operational", "only an inner tool")
    assert shown(page)["components"][0]["state"] == "operational"
    actions.say_state(person, page, part.pk, "", "")
    assert shown(page)["components"][0]["state"] == "partial_outage"


def test_planned_work_is_told_ahead_and_shown_while_it_lasts(world: World, page: StatusPage, fixed: FixedClock) -> None:
    part = page.components.first()
    assert part is not None
    actions.plan_work(
        world.person(Role.OPERATOR, "acme"), page, "New index", "", AT + timedelta(hours=1), AT + timedelta(hours=2),
        [part.pk],
    )  # fmt: skip
    assert shown(page)["maintenance"][0]["under_way"] is False and shown(page)["state"] == "operational"
    fixed.advance(3_700)
    assert shown(page)["components"][0]["state"] == "maintenance"
    fixed.advance(3_700)
    assert not shown(page)["maintenance"]


def test_a_page_that_is_not_public_is_found_by_its_secret_alone(world: World, page: StatusPage) -> None:
    StatusPage.objects.update(public=False)
    page.refresh_from_db()
    assert Browser().get("/status/acme").status_code == 404
    answer = Browser().get(f"/status/{page.secret}")
    assert answer.status_code == 200 and answer["Cache-Control"] == "private, no-store"
    old = page.secret
    actions.new_address(world.person(Role.OPERATOR, "acme"), page)
    assert Browser().get(f"/status/{old}").status_code == 404


def test_the_feed_is_xml_whatever_is_told(world: World, page: StatusPage) -> None:
    person = world.person(Role.RESPONDER, "acme")
    actions.write(person, page, "<b>&\x00\x0b title", "a]]> <script>alert(1)</script> & \ufffe", [])
    channel = ET.fromstring(Browser().get("/status/acme/feed.rss").content).find("channel")
    assert channel is not None and len(channel.findall("item")) == 1
    assert "<script>" not in Browser().get("/status/acme").content.decode()


# -- subscribers -----------------------------------------------------------------------------------------------------


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EmailMessage]]:
    from afterlaunch.ground import settings

    sent: list[EmailMessage] = []
    monkeypatch.setenv("AFTERLAUNCH_SMTP_URL", "smtp://127.0.0.1:1")
    settings.reload()
    monkeypatch.setattr(sender, "_deliver", lambda _, mail: sent.append(mail))
    yield sent
    monkeypatch.undo()
    settings.reload()


def test_news_come_only_to_who_confirmed_and_one_click_ends_them(
    world: World, page: StatusPage, fixed: FixedClock, mails: list[EmailMessage]
) -> None:
    person = world.person(Role.RESPONDER, "acme")
    assert Browser().post("/status/acme/subscribe", {"email": "Eve@Example.org"}).status_code == 200
    letters.send(fixed.now())
    row = Subscriber.objects.get()
    assert [mail["To"] for mail in mails] == ["eve@example.org"] and f"/status/confirm/{row.token}" in str(mails[0])
    actions.write(person, page, "Before", "x", [])
    letters.send(fixed.advance(5))
    assert len(mails) == 1
    assert Browser().get(f"/status/confirm/{row.token}").status_code == 200  # a mail scanner looks
    row.refresh_from_db()
    assert row.confirmed_at is None
    Browser().post(f"/status/confirm/{row.token}")
    actions.write(person, page, "Answers are slow", "We look into it.", [])
    letters.send(fixed.advance(5))
    letters.send(fixed.advance(5))
    assert len(mails) == 2 and "Answers are slow" in mails[1]["Subject"]
    assert mails[1]["List-Unsubscribe"] == f"<http://127.0.0.1:8700/status/unsubscribe/{row.token}>"
    assert mails[1]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    answer = Browser(enforce_csrf_checks=True).post(
        f"/status/unsubscribe/{row.token}", {"List-Unsubscribe": "One-Click"}
    )
    assert answer.status_code == 200 and not Subscriber.objects.exists()


def test_asking_again_and_asking_for_many_sends_little(page: StatusPage, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        letters.subscribe(page, "eve@example.org")
    assert Letter.objects.count() == 1
    monkeypatch.setattr(letters, "ASKED_AN_HOUR", 2)
    letters.subscribe(page, "b@example.org")
    with pytest.raises(RateLimited):
        letters.subscribe(page, "c@example.org")
    with pytest.raises(Invalid):
        letters.subscribe(page, "no address")


def test_a_mail_that_fails_is_tried_again_and_then_given_up(page: StatusPage, fixed: FixedClock) -> None:
    letters.subscribe(page, "eve@example.org")
    failing = mock.Mock(send=lambda _: Outcome("temporary", "busy"))
    with mock.patch("afterlaunch.status_pages.letters.kind_named", return_value=failing):
        for _ in range(8):
            letters.send(fixed.advance(20_000))
            Subscriber.objects.update(asked_at=fixed.now())
    assert (Letter.objects.get().state, Letter.objects.get().attempts) == ("failed", 6)


# -- files -----------------------------------------------------------------------------------------------------------


def test_the_files_stand_alone_and_tell_their_age(
    world: World, page: StatusPage, fixed: FixedClock, folder: Path
) -> None:
    opened(world)
    follow(fixed.now())
    assert writing.write_all(fixed.now()) == 1
    place = folder / "acme"
    assert {one.name for one in place.iterdir()} == {
        "index.html", "status.json", "feed.rss", "status.css", "status.js", writing.MARK,
    }  # fmt: skip
    html = (place / "index.html").read_text()
    assert 'href="./status.css"' in html and f'data-written="{fixed.now().isoformat()}"' in html
    assert 'action="http://127.0.0.1:8700/status/acme/subscribe"' in html
    assert orjson.loads((place / "status.json").read_bytes())["written_at"] == fixed.now().isoformat()
    actions.remove_page(world.person(Role.OPERATOR, "acme"), page)
    (folder / "of-somebody-else").mkdir()
    writing.write_all(fixed.now())
    assert {one.name for one in folder.iterdir()} == {"of-somebody-else"}


def test_what_was_written_last_is_served_while_the_database_does_not_answer(
    page: StatusPage, fixed: FixedClock, folder: Path
) -> None:
    writing.write_all(fixed.now())
    with mock.patch("afterlaunch.status_pages.public.page_at", side_effect=DatabaseError("gone")):
        answer = Browser().get("/status/acme")
        assert answer.status_code == 200 and b"Acme status" in answer.content
        assert Browser().get("/status/other").status_code == 503
        assert Browser().get("/status/..%2F..%2Fetc").status_code in (404, 503)


# -- who may ---------------------------------------------------------------------------------------------------------


def test_clients_never_see_each_other(world: World, page: StatusPage) -> None:
    stranger, responder = world.person(Role.ADMIN, "other"), world.person(Role.RESPONDER, "acme")
    with pytest.raises(NotFound):
        actions.page_by_id(stranger, page.pk)
    for actor in (stranger, responder):
        with pytest.raises(NotAllowed):
            put_page(actor, world.client, "acme", "Mine", [])
    from afterlaunch.accounts.models import Client

    with pytest.raises(Conflict):
        put_page(stranger, Client.objects.get(slug="other"), "acme", "Mine", [])
    with pytest.raises(Invalid):
        put_page(stranger, Client.objects.get(slug="other"), "theirs", "x", [Part("helpdesk", "Stolen")])
