from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.ground import clock, settings
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.notify.channels import tell
from afterlaunch.notify.models import Channel, ContactMethod, Page
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.notify.sealed import seal
from afterlaunch.notify.tests.fakes import FakeMail, mail_server
from afterlaunch.notify.webhook.signing import new_secret

AT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)  # a Tuesday


@dataclass
class House:
    client: Client
    people: dict[str, User] = field(default_factory=dict)

    def person(self, name: str, kind: str = "email", address: str = "", role: str = "responder") -> User:
        user = User.objects.create_user(f"{name}@example.test", name.capitalize())
        Grant.objects.create(user=user, role=role, client=self.client)
        self.contact(user, kind, address or user.email)
        self.people[name] = user
        return user

    def actor(self, name: str) -> Actor:
        user = self.people[name]
        grant = Grant.objects.get(user=user)
        return Actor("person", user.name, (Held(Role(grant.role), self.client.slug),), user_id=user.pk)

    def contact(self, user: User, kind: str, address: str, position: int = 0) -> ContactMethod:
        secret = new_secret() if kind == "webhook" else ""
        return ContactMethod.objects.create(
            user=user, kind=kind, address=address, secret=secret, position=position, created_at=AT, verified_at=AT
        )

    def channel(self, kind: str, address: str = "", name: str = "", secrets: Any = None, **config: Any) -> Channel:
        return Channel.objects.create(
            client=self.client,
            name=name or kind,
            kind=kind,
            address=address,
            config=config,
            secrets=seal(secrets or {}),
            created_at=AT,
            created_by="test",
        )

    def notice(self, number: int = 1, occurrence: str = "s0", purpose: str = "page", **facts: Any) -> Notice:
        told: Mapping[str, Any] = {
            "type": "incident.opened",
            "title": f"Trouble {number}",
            "lines": ["31 % of answers were refused."],
            "severity": "P1",
            "system": "Helpdesk",
            "path": f"/incidents/{number}",
            **facts,
        }
        return Notice(f"incident/{number}", occurrence, self.client.slug, told, purpose)

    def page(self, user: User, number: int = 1, occurrence: str = "s0", **facts: Any) -> Page:
        with transaction.atomic():
            made = enqueue(user, self.notice(number, occurrence, **facts), clock.now())
        assert made is not None
        return made

    def tell(self, channel: Channel, number: int = 1, occurrence: str = "n1", **facts: Any) -> Page:
        with transaction.atomic():
            made = tell(channel, self.notice(number, occurrence, **facts), clock.now())
        assert made is not None
        return made


@pytest.fixture
def fixed() -> Iterator[clock.FixedClock]:
    with clock.frozen(AT) as one:
        yield one


@pytest.fixture
def house(db: None, fixed: clock.FixedClock) -> House:
    return House(Client.objects.create(slug="acme", name="Acme", time_zone="UTC", created_at=AT))


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AFTERLAUNCH_OUTBOUND_ALLOW", "127.0.0.0/8")
    settings.reload()
    yield
    monkeypatch.undo()
    settings.reload()


@pytest.fixture
def mail(loopback: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMail]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    with mail_server(port) as fake:
        monkeypatch.setenv("AFTERLAUNCH_SMTP_URL", fake.url)
        settings.reload()
        yield fake
