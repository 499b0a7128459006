from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import User
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.tests.conftest import AT, World, fixed, world
from afterlaunch.notify.duties import send_pages
from afterlaunch.notify.models import Channel, ContactMethod, Thread
from afterlaunch.notify.sealed import seal
from afterlaunch.notify.tests.conftest import loopback
from afterlaunch.notify.tests.fakes import FakeProvider, provider
from afterlaunch.replies.duties import act_on_replies
from afterlaunch.replies.models import LinkedAccount

__all__ = ["fixed", "loopback", "world"]
SECRET, HOOK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5", "pd-secret"


def sign_slack(body: bytes, stamp: int, secret: str = SECRET) -> str:
    mac = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256)
    return "v0=" + mac.hexdigest()


@dataclass
class Slack:
    """A workspace: one channel of ours in it, and people who press buttons."""

    world: World
    fake: FakeProvider
    channel: Channel
    browser: Browser = field(default_factory=Browser)

    def incident(self, number: int = 1) -> Incident:
        made = self.world.incident(f"f{number}")
        send_pages(clock.now())
        return made

    def mate(self, name: str = "mate", role: Role = Role.RESPONDER, client: str = "acme") -> User:
        self.world.person(name, role, client)
        return User.objects.get(email=f"{name}@example.test")

    def link(self, user: User, external: str = "U1") -> None:
        LinkedAccount.objects.create(
            client=self.channel.client, kind="slack", team="T1", external=external, user=user, linked_at=AT
        )

    def payload(self, deed: str, incident: Incident, user: str = "U1", **more: Any) -> dict[str, Any]:
        thread = Thread.objects.get(topic=incident.topic, channel=self.channel)
        return {
            "type": "block_actions",
            "team": {"id": "T1", "domain": "d"},
            "channel": {"id": "C1"},
            "user": {"id": user, "team_id": "T1", "username": "x", "name": "Somebody"},
            "trigger_id": "1.2",
            "response_url": self.fake.url,
            "actions": [{"action_id": deed, "block_id": "act", "value": thread.callback}],
            **more,
        }

    def note(self, incident: Incident, text: str, user: str = "U1") -> dict[str, Any]:
        thread = Thread.objects.get(topic=incident.topic, channel=self.channel)
        state = {"values": {"note": {"text": {"type": "plain_text_input", "value": text}}}}
        return {
            "type": "view_submission",
            "team": {"id": "T1"},
            "user": {"id": user, "team_id": "T1"},
            "view": {"callback_id": "note", "private_metadata": thread.callback, "state": state},
        }

    def send(self, payload: Any, ago: int = 0, signature: str | None = None, secret: str = SECRET) -> Any:
        body = payload if isinstance(payload, bytes) else urlencode({"payload": json.dumps(payload)}).encode()
        stamp = int(clock.real()) - ago
        headers = {
            "X-Slack-Request-Timestamp": str(stamp),
            "X-Slack-Signature": sign_slack(body, stamp, secret) if signature is None else signature,
        }
        form = "application/x-www-form-urlencoded"
        return self.browser.post("/hooks/slack", body, content_type=form, headers=headers)

    def press(self, deed: str, incident: Incident, user: str = "U1") -> Any:
        answer = self.send(self.payload(deed, incident, user))
        act_on_replies(clock.now())
        return answer

    def said(self) -> list[str]:
        """What was said to people alone."""
        bodies = [json.loads(got.body) for got in self.fake.got]
        return [body["text"] for body in bodies if body.get("response_type") == "ephemeral"]

    def opened(self) -> list[dict[str, Any]]:
        """Forms that were opened."""
        return [json.loads(got.body) for got in self.fake.got if got.path.endswith("/views.open")]


@pytest.fixture
def slack(world: World, loopback: None) -> Iterator[Slack]:
    ContactMethod.objects.all().delete()
    with provider(200) as fake:
        fake.body = '{"ok": true, "channel": "C1", "ts": "1.5"}'
        channel = Channel.objects.create(
            client=world.client, name="incidents", kind="slack_bot", address="C0123456789", config={"api": fake.url},
            secrets=seal({"token": "xoxb-1", "signing_secret": SECRET}), created_at=AT,
        )  # fmt: skip
        yield Slack(world, fake, channel)
