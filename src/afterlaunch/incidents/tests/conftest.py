from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.incidents.actions import open_incident
from afterlaunch.incidents.models import Incident
from afterlaunch.notify.models import ContactMethod

AT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)  # a Tuesday, 02:00 in the clients' zone


@dataclass
class World:
    client: Client
    system: System
    admin: User

    def person(self, name: str, role: Role, client: str | None) -> Actor:
        user = User.objects.create_user(f"{name}@example.test", name)
        held = Client.objects.get(slug=client) if client else None
        Grant.objects.create(user=user, role=role.value, client=held)
        return Actor("person", name, (Held(role, client),), user_id=user.pk)

    def incident(self, fingerprint: str = "f1", severity: str = "P1", at: datetime | None = None) -> Incident:
        return open_incident(
            automation("engine"),
            system=self.system,
            environment="prod",
            title="Answers are refused",
            severity=severity,
            summary="31 % of answers were refused since 01:55.",
            fingerprint=fingerprint,
            detected_at=at or clock.now(),
            occurred_at=None,
        )


@pytest.fixture
def fixed() -> Iterator[clock.FixedClock]:
    with clock.frozen(AT) as one:
        yield one


@pytest.fixture
def world(db: None, fixed: clock.FixedClock) -> World:
    client = Client.objects.create(slug="acme", name="Acme", time_zone="UTC", created_at=AT)
    Client.objects.create(slug="other", name="Other", created_at=AT)
    system = System.objects.create(client=client, key="helpdesk", name="Helpdesk")
    admin = User.objects.create_user("admin@example.test", "Ada")
    Grant.objects.create(user=admin, role="admin", client=None)
    ContactMethod.objects.create(user=admin, kind="email", address=admin.email, created_at=AT, verified_at=AT)
    return World(client, system, admin)
