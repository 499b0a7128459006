from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from django.db import transaction

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.notify.models import ContactMethod
from afterlaunch.sla import clocks
from afterlaunch.sla.models import Clock

AT = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)  # a Tuesday, in business hours
TOPIC = "thing/1"  # what no room above listens to
ENGINE = automation("engine")


@dataclass
class World:
    client: Client
    system: System
    owner: User

    def person(self, name: str, role: Role, client: str | None = "acme") -> Actor:
        user = User.objects.create_user(f"{name}@example.test", name)
        Grant.objects.create(user=user, role=role.value, client=Client.objects.get(slug=client) if client else None)
        return Actor("person", name, (Held(role, client),), user_id=user.pk)

    def start(self, kind: str = "response", severity: str = "P1", topic: str = TOPIC) -> Clock:
        now = clock.now()
        with transaction.atomic():
            found = clocks.start(ENGINE, topic, self.system, kind, severity, now, now)
        assert found is not None
        return found


@pytest.fixture
def fixed() -> Iterator[clock.FixedClock]:
    with clock.frozen(AT) as one:
        yield one


@pytest.fixture
def world(db: None, fixed: clock.FixedClock) -> World:
    client = Client.objects.create(slug="acme", name="Acme", time_zone="UTC", created_at=AT)
    Client.objects.create(slug="other", name="Other", created_at=AT)
    owner = User.objects.create_user("owner@example.test", "Olga")
    Grant.objects.create(user=owner, role="operator", client=client)
    system = System.objects.create(client=client, key="helpdesk", name="Helpdesk", owner=owner)
    ContactMethod.objects.create(user=owner, kind="email", address=owner.email, created_at=AT, verified_at=AT)
    return World(client, system, owner)
