from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.alerts.intake import Incoming, Taken, take
from afterlaunch.alerts.models import Integration
from afterlaunch.alerts.raising import raise_due
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.notify.models import ContactMethod

AT = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
SENDER = Actor("token", "integration", (Held(Role.INGEST, "acme"),))
BEN = Actor("person", "Ben", (Held(Role.RESPONDER, "acme"),))
OPS = Actor("person", "Olga", (Held(Role.OPERATOR, "acme"),))
STRANGER = Actor("person", "Sly", (Held(Role.ADMIN, "other"),))


@dataclass
class Place:
    """A client with a system, an integration and somebody to page; time moves by `go`."""

    system: System
    integration: Integration
    clock: clock.FixedClock
    made: int = field(default=0)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def incoming(self, name: str = "Down", status: Any = "firing", **fields: Any) -> Incoming:
        labels = {"alertname": name, **fields.pop("labels", {})}
        severity = fields.pop("severity", "P2")
        values = {"source": "webhook", "integration": self.integration, "environment": "prod", **fields}
        return Incoming(
            system=values.pop("system", self.system),
            name=name, status=status, severity=severity, labels=labels, **values,
        )  # fmt: skip

    def tell(self, name: str = "Down", status: Any = "firing", **fields: Any) -> Taken:
        return take(SENDER, [self.incoming(name, status, **fields)], self.now)[0]

    def go(self, seconds: float = 0) -> None:
        """Time passes, then the engine looks."""
        self.clock.advance(seconds)
        raise_due(self.now)

    def other_system(self, key: str) -> System:
        return System.objects.create(client=self.system.client, key=key, name=key)


def at(minutes: float) -> datetime:
    return AT + timedelta(minutes=minutes)


@pytest.fixture
def place(db: None) -> Iterator[Place]:
    client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
    Client.objects.create(slug="other", name="Other", created_at=AT)
    system = System.objects.create(client=client, key="support", name="Support")
    person = User.objects.create_user("ada@example.test", "Ada")
    Grant.objects.create(user=person, role="admin", client=None)
    ContactMethod.objects.create(user=person, kind="email", address=person.email, created_at=AT, verified_at=AT)
    integration = Integration.objects.create(
        client=client, name="prometheus", kind="alertmanager", public_id="p1", system=system, created_at=AT,
        created_by="test",
    )  # fmt: skip
    with clock.frozen(AT) as fixed:
        yield Place(system, integration, fixed)
