from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.oncall.actions import make_schedule
from afterlaunch.oncall.models import Schedule

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday
ENGINE = automation("engine")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def turning(*members: Any, kind: str = "weekly", name: str = "main", **rest: Any) -> dict[str, Any]:
    """A layer that turns at 09:00 UTC, the first handoff at AT."""
    rotation = {"type": kind, "start": "2026-03-02T09:00", "members": list(members), "advanceOn": "calendar"}
    rotation |= {key: rest.pop(key) for key in ("length", "start", "advanceOn") if key in rest}
    return {"name": name, "timeZone": "UTC", "rotation": rotation, **rest}


@dataclass
class Crew:
    client: Client
    system: System
    people: dict[str, User] = field(default_factory=dict)

    def __getitem__(self, name: str) -> User:
        return self.people[name]

    def add(self, name: str, role: Role = Role.RESPONDER, reachable: bool = True, zone: str = "") -> User:
        user = User.objects.create_user(f"{name}@acme.example", name.capitalize(), time_zone=zone)
        Grant.objects.create(user=user, role=role.value, client=self.client)
        if reachable:
            now = clock.now()
            ContactMethod.objects.create(user=user, kind="email", address=user.email, created_at=now, verified_at=now)
        self.people[name] = user
        return user

    def actor(self, name: str, role: Role = Role.RESPONDER) -> Actor:
        user = self.people[name]
        return Actor("person", str(user), (Held(role, self.client.slug),), user_id=user.pk)

    def schedule(self, *layers: dict[str, Any], name: str = "primary") -> Schedule:
        return make_schedule(ENGINE, self.client, name, "UTC", list(layers))

    def notices(self, name: str) -> list[str]:
        """Titles of what somebody was told that is no page."""
        rows = Page.objects.filter(person=self.people[name], purpose="notice").order_by("pk")
        return [row.facts["title"] for row in rows]


@pytest.fixture
def fixed() -> Iterator[clock.FixedClock]:
    with clock.frozen(AT) as one:
        yield one


@pytest.fixture
def crew(db: None, fixed: clock.FixedClock) -> Crew:
    client = Client.objects.create(slug="acme", name="Acme", time_zone="UTC", created_at=AT)
    Client.objects.create(slug="other", name="Other", created_at=AT)
    made = Crew(client, System.objects.create(client=client, key="helpdesk", name="Helpdesk"))
    for name in ("ada", "ben", "cleo"):
        made.add(name)
    made.add("boss", Role.ADMIN)
    return made
