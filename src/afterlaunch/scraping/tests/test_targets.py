"""Who may declare what, and what the server then does for them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.app.configuration.apply import apply, parse
from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Invalid, NotAllowed
from afterlaunch.scraping.actions import Values, put_target, remove_target, targets_seen_by
from afterlaunch.scraping.models import Target
from afterlaunch.scraping.scraper import Scraper
from afterlaunch.scraping.tests.exporter import exporter
from afterlaunch.telemetry.store import Store

pytestmark = pytest.mark.django_db
LOCAL = automation("test")
OWNER = Actor("person", "owner", (Held(Role.OPERATOR, "acme"),))
MATE = Actor("person", "mate", (Held(Role.VIEWER, "acme"),))
STRANGER = Actor("person", "stranger", (Held(Role.ADMIN, "globex"),))
PUBLIC = Values("support", "https://metrics.example.org/metrics")


def test_an_operator_declares_what_everybody_of_the_client_sees(acme: Client) -> None:
    row = put_target(OWNER, acme, "node", PUBLIC)
    assert System.objects.filter(client=acme, key="support", environments__name="prod").exists()
    assert [list(targets_seen_by(actor)) for actor in (OWNER, MATE, STRANGER)] == [[row], [row], []]
    for actor in (MATE, STRANGER):
        with pytest.raises(NotAllowed):
            put_target(actor, acme, "node", PUBLIC)
        with pytest.raises(NotAllowed):
            remove_target(actor, row)
    remove_target(OWNER, row)
    assert list(Entry.objects.values_list("deed", flat=True)) == ["target.put", "target.removed"]


def test_a_credential_of_the_server_takes_an_administrator_of_the_house(acme: Client) -> None:
    """Else an operator could have the server send its own secrets to an address of theirs."""
    with pytest.raises(NotAllowed, match="administrator of the house"):
        put_target(OWNER, acme, "node", Values("support", PUBLIC.url, bearer="env:AFTERLAUNCH_SECRET_KEY"))
    vouched = Values("support", PUBLIC.url, bearer="env:NODE_TOKEN")
    put_target(LOCAL, acme, "node", vouched)
    with pytest.raises(NotAllowed):
        put_target(OWNER, acme, "node", Values("support", "https://elsewhere.example.org/", bearer="env:NODE_TOKEN"))
    with pytest.raises(NotAllowed):
        put_target(OWNER, acme, "node", Values("support", "https://elsewhere.example.org/"))
    slower = put_target(OWNER, acme, "node", Values("support", PUBLIC.url, bearer="env:NODE_TOKEN", interval=60))
    assert slower.trusted and slower.interval == 60


@pytest.mark.usefixtures("loopback_allowed")
def test_an_allowed_private_network_is_for_targets_that_the_house_vouched_for(store: Store, acme: Client) -> None:
    with exporter() as fake:
        row = put_target(OWNER, acme, "node", Values("support", fake.url))
        Scraper().run(clock.now(), 20)
        row.refresh_from_db()
        assert row.reason == "address_refused" and not fake.asked
        put_target(LOCAL, acme, "node", Values("support", fake.url))
        Scraper().run(clock.now(), 20)
        row.refresh_from_db()
        assert row.state == "up" and fake.asked


def test_without_an_allow_list_nothing_private_is_fetched(store: Store, acme: Client) -> None:
    with exporter() as fake:
        row = put_target(LOCAL, acme, "node", Values("support", fake.url))
        Scraper().run(clock.now(), 20)
        row.refresh_from_db()
    assert row.reason == "address_refused" and "AFTERLAUNCH_OUTBOUND_ALLOW" in row.advice and not fake.asked


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"url": "ftp://x/"}, "no address"),
        ({"url": "https://user:pw@x/"}, "no address"),
        ({"url": "node:9100/metrics"}, "no address"),
        ({"system": " "}, "needs a system"),
        ({"interval": 1}, "5 to 3,600"),
        ({"sample_limit": 0}, "limit of samples"),
        ({"bearer": "sesame"}, "reference"),
        ({"bearer": "env:A", "username": "u", "password": "env:B"}, "not both"),
        ({"username": "u"}, "needs a password"),
        ({"labels": {"1": "x"}}, "no label"),
        ({"labels": {"__name__": "x"}}, "no label"),
        ({"labels": {f"a{n}": "x" for n in range(21)}}, "at most 20"),
    ],
)
def test_what_can_not_be_is_refused(wrong: dict[str, Any], says: str, acme: Client) -> None:
    with pytest.raises(Invalid, match=says):
        put_target(LOCAL, acme, "node", Values(**{"system": "support", "url": PUBLIC.url, **wrong}))
    with pytest.raises(Invalid, match="no name"):
        put_target(LOCAL, acme, "a b", PUBLIC)


def test_a_document_alters_only_what_it_names(acme: Client) -> None:
    text = "apiVersion: afterlaunch/v1\nkind: Target\nmetadata: {client: acme, name: node}\nspec: "
    apply(LOCAL, parse(text + "{system: s, url: 'http://n:9100/metrics', labels: {rack: r1}}", "a"))
    apply(LOCAL, parse(text + "{system: s, url: 'http://n:9100/metrics', intervalSeconds: 60}", "a"))
    row = Target.objects.get()
    assert (row.labels, row.interval, row.revision) == ({"rack": "r1"}, 60, 2)
    with pytest.raises(Invalid, match="never the secret"):
        parse(text + "{system: s, url: 'http://n/', bearerToken: sesame}", "a")


def test_the_page_says_what_is_wrong_and_takes_another(acme: Client) -> None:
    user = User.objects.create_user("owner@acme.example", "Owner")
    Grant.objects.create(user=user, role="operator", client=acme)
    browser = Browser()
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert "node_exporter" in browser.get("/targets").content.decode()
    form = {"client": "acme", "name": "node", "system": "support", "url": PUBLIC.url, "labels": "rack=r1, zone = b"}
    assert browser.post("/targets", form).status_code == 302
    row = Target.objects.get()
    assert row.labels == {"rack": "r1", "zone": "b"} and not row.trusted
    Target.objects.update(reason="not_found", error="It answers 404.", last_at=clock.now())
    text = browser.get(f"/targets?edit={row.pk}").content.decode()
    assert "It answers 404." in text and "/metrics; check the path" in text and "rack=r1, zone=b" in text
    assert browser.post("/targets", {**form, "labels": "nonsense"}).status_code == 400
    assert browser.post(f"/targets/{row.pk}/remove").status_code == 302 and not Target.objects.exists()
