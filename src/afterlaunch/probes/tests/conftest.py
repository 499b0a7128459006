from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.estate.models import System
from afterlaunch.ground import clock, settings
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.notify.models import ContactMethod

AT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)  # a Tuesday


@dataclass
class World:
    client: Client
    system: System
    admin: User

    def person(self, role: Role, client: str | None) -> Actor:
        return Actor("person", f"{role} of {client}", (Held(role, client),))


@pytest.fixture
def fixed() -> Iterator[clock.FixedClock]:
    with clock.frozen(AT) as one:
        yield one


@pytest.fixture
def world(db: None, fixed: clock.FixedClock) -> World:
    client = Client.objects.create(slug="acme", name="Acme", time_zone="UTC", created_at=AT)
    Client.objects.create(slug="other", name="Other", created_at=AT)
    system = System.objects.create(client=client, key="helpdesk", name="Helpdesk", first_seen_at=AT)
    admin = User.objects.create_user("admin@example.test", "Ada")
    Grant.objects.create(user=admin, role="admin", client=None)
    ContactMethod.objects.create(user=admin, kind="email", address=admin.email, created_at=AT, verified_at=AT)
    return World(client, system, admin)


@pytest.fixture
def loopback_allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AFTERLAUNCH_OUTBOUND_ALLOW", "127.0.0.0/8")
    settings.reload()
    yield
    monkeypatch.undo()
    settings.reload()
