from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.alerts.models import Alert, Integration, RawEvent
from afterlaunch.alerts.raising import raise_due
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.notify.models import ContactMethod
from afterlaunch.receivers import doors
from afterlaunch.receivers.integrations import Values, put_integration
from afterlaunch.receivers.keys import add_key
from afterlaunch.receivers.wire import Answer, Request

AT = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
OLGA = Actor("person", "Olga", (Held(Role.OPERATOR, "acme"),))
MATE = Actor("person", "Mate", (Held(Role.RESPONDER, "acme"),))
STRANGER = Actor("person", "Sly", (Held(Role.ADMIN, "other"),))


@dataclass
class House:
    """A client with a system and a person to page; integrations are made with a key each."""

    system: System
    other: Client
    clock: clock.FixedClock
    keys: dict[str, str] = field(default_factory=dict)

    def integration(self, kind: str, **values: Any) -> Integration:
        made, _ = put_integration(OLGA, self.system.client, kind, Values(kind=kind, system=self.system.key, **values))
        self.keys[kind] = add_key(OLGA, made)[1]
        return made

    def send(self, path: str, body: object, key: str = "", method: str = "POST", **headers: str) -> Answer:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        if key:
            named["authorization"] = f"Bearer {key}"
        path, _, query = path.partition("?")
        return doors.answer(Request(method, path, named, raw, query))

    def token(self, role: str, client: Client | None = None) -> str:
        return create_token(automation("test"), role, role, client or self.system.client)[1]

    def go(self, seconds: float = 0) -> None:
        self.clock.advance(seconds)
        raise_due(self.clock.now())

    @property
    def firing(self) -> list[str]:
        return sorted(Alert.objects.filter(resolved_at=None).values_list("name", flat=True))


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"prometheus:{secret}".encode()).decode()


def newest_raw() -> RawEvent:
    return RawEvent.objects.latest("pk")


@pytest.fixture
def house(db: None) -> Iterator[House]:
    client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
    other = Client.objects.create(slug="other", name="Other", created_at=AT)
    system = System.objects.create(client=client, key="support", name="Support")
    person = User.objects.create_user("ada@example.test", "Ada")
    Grant.objects.create(user=person, role="admin", client=None)
    ContactMethod.objects.create(user=person, kind="email", address=person.email, created_at=AT, verified_at=AT)
    with clock.frozen(AT) as fixed:
        yield House(system, other, fixed)
