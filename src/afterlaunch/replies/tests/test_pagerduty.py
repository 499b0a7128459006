from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.settings import settings
from afterlaunch.incidents.actions import acknowledge, reopen, resolve
from afterlaunch.incidents.clocks import response_of
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.tests.conftest import AT, World
from afterlaunch.notify.duties import send_pages
from afterlaunch.notify.models import Channel, ContactMethod
from afterlaunch.notify.pagerduty.events import dedup_key
from afterlaunch.notify.sealed import seal
from afterlaunch.notify.tests.fakes import FakeProvider, provider
from afterlaunch.replies import signatures
from afterlaunch.replies.duties import act_on_replies
from afterlaunch.replies.models import Reply
from afterlaunch.replies.tests.conftest import HOOK_SECRET

ADA = {"id": "PADA", "type": "user_reference", "summary": "Ada Lovelace"}


@dataclass
class Pager:
    world: World
    fake: FakeProvider
    channel: Channel
    browser: Browser = field(default_factory=Browser)
    count: int = 0

    def incident(self) -> Incident:
        made = self.world.incident()
        send_pages(clock.now())
        return made

    def document(self, kind: str, incident: Incident, agent: Any = ADA, event: str = "", **data: Any) -> dict[str, Any]:
        self.count += 1
        key = dedup_key(incident.topic, settings().public_url)
        told = {"id": "PINC", "type": "incident", "incident_key": key, "status": "acknowledged", **data}
        return {
            "event": {
                "id": event or f"E{self.count}",
                "event_type": kind,
                "resource_type": "incident",
                "occurred_at": clock.now().isoformat(),
                "agent": agent,
                "data": told,
            }
        }

    def send(self, document: Any, delivery: str = "", secret: str = HOOK_SECRET, signature: str | None = None) -> Any:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        mac = "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-PagerDuty-Signature": mac if signature is None else signature, "X-Webhook-Id": delivery}
        answer = self.browser.post("/hooks/pagerduty", body, content_type="application/json", headers=headers)
        act_on_replies(clock.now())
        return answer

    def told(self) -> list[str]:
        """What we sent there."""
        send_pages(clock.now())
        send_pages(clock.now())
        return [json.loads(got.body)["event_action"] for got in self.fake.got]


@pytest.fixture
def pager(world: World, loopback: None) -> Iterator[Pager]:
    ContactMethod.objects.all().delete()
    with provider(202) as fake:
        channel = Channel.objects.create(
            client=world.client, name="pager", kind="pagerduty", address=fake.url, created_at=AT,
            secrets=seal({"routing_key": "k", "webhook_secret": f"old, {HOOK_SECRET}"}),
        )  # fmt: skip
        yield Pager(world, fake, channel)


def test_an_acknowledgement_there_is_one_here_and_is_not_sent_back(pager: Pager) -> None:
    incident = pager.incident()
    assert pager.send(pager.document("incident.acknowledged", incident)).status_code == 202
    incident.refresh_from_db()
    assert incident.acknowledged_by == "Ada Lovelace (PagerDuty)"
    clock_row = response_of(incident)
    assert clock_row is not None and clock_row.met_at is not None, "a person did it"
    assert pager.told() == ["trigger"]


def test_one_here_is_one_there_and_its_echo_does_nothing(pager: Pager) -> None:
    incident = pager.incident()
    actor = pager.world.person("mate", Role.RESPONDER, "acme")
    acknowledge(actor, incident)
    assert pager.told() == ["trigger", "acknowledge"]
    pager.send(pager.document("incident.acknowledged", incident))
    assert Reply.objects.get().said == "echo_of_ours"
    incident.refresh_from_db()
    assert incident.acknowledged_by == "mate"


def test_a_late_echo_of_a_resolve_does_not_end_what_came_back(pager: Pager) -> None:
    incident = pager.incident()
    actor = pager.world.person("mate", Role.RESPONDER, "acme")
    resolve(actor, incident, "done")
    pager.told()
    echo = pager.document("incident.resolved", incident, {"id": "X", "type": "service_reference"})
    reopen(actor, incident, "it came back")
    pager.send(echo)
    incident.refresh_from_db()
    assert incident.status == "open" and Reply.objects.get().said == "a_machine_did_it"


def test_a_person_there_resolves_here(pager: Pager) -> None:
    incident = pager.incident()
    pager.send(pager.document("incident.resolved", incident))
    incident.refresh_from_db()
    assert incident.status == "resolved" and pager.told() == ["trigger"]


def test_a_replayed_event_acts_once_whatever_its_header_says(pager: Pager) -> None:
    incident = pager.incident()
    document = pager.document("incident.acknowledged", incident, event="E")
    for delivery in ("d1", "d1", "d2"):
        assert pager.send(document, delivery).status_code == 202
    other = pager.document("incident.resolved", incident, event="F")
    assert pager.send(other, "d1").status_code == 202
    assert Reply.objects.count() == 1
    incident.refresh_from_db()
    assert incident.status == "open"


def test_what_happened_long_ago_is_left(pager: Pager, fixed: clock.FixedClock) -> None:
    incident = pager.incident()
    document = pager.document("incident.resolved", incident)
    fixed.advance(2 * 86_400)
    pager.send(document)
    assert Reply.objects.get().said == "too_old"


def test_a_team_whose_pager_does_not_speak_for_people_says_so(pager: Pager) -> None:
    Channel.objects.update(config={"relays_people": "no"})
    incident = pager.incident()
    pager.send(pager.document("incident.acknowledged", incident))
    incident.refresh_from_db()
    assert incident.acknowledged_at is None


def test_an_incident_of_another_client_is_not_touched(pager: Pager) -> None:
    incident = pager.incident()
    Channel.objects.create(
        client=Client.objects.get(slug="other"), name="theirs", kind="pagerduty", address=pager.fake.url, created_at=AT,
        secrets=seal({"routing_key": "k", "webhook_secret": "theirs"}),
    )  # fmt: skip
    pager.send(pager.document("incident.resolved", incident), secret="theirs")
    incident.refresh_from_db()
    assert incident.status == "open" and Reply.objects.get().said == "no incident of this client"


@pytest.mark.parametrize("kind", ["incident.triggered", "incident.annotated", "incident.escalated", "pagey.ping", "x"])
def test_other_events_are_taken_and_do_nothing(pager: Pager, kind: str) -> None:
    incident = pager.incident()
    assert pager.send(pager.document(kind, incident)).status_code == 202
    assert Reply.objects.get().state == "ignored"


def test_wrong_signatures_and_bodies_are_refused(pager: Pager) -> None:
    incident = pager.incident()
    document = pager.document("incident.resolved", incident)
    assert pager.send(document, secret="wrong").status_code == 401
    assert pager.send(document, signature="").status_code == 401
    assert pager.send(document, signature="v1=ü").status_code == 401
    assert pager.send(b"{").status_code == 400 and pager.send(b"[]").status_code == 400
    assert pager.send(b"\xff").status_code == 400 and pager.send(b"x" * 10_000_000).status_code == 413
    assert not Reply.objects.exists()


def test_any_signature_that_matches_is_enough() -> None:
    good = "v1=" + hmac.new(b"b", b"body", hashlib.sha256).hexdigest()
    assert signatures.pagerduty(["a", "b"], f"v1=00,{good}", b"body") == "valid"
    assert signatures.pagerduty(["a"], good, b"body") == "no_signature_matches"
