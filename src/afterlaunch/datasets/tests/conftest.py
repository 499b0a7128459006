from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import Client
from afterlaunch.datasets import doors
from afterlaunch.datasets.actions import put_contract
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.receivers.wire import Answer, Request

AT = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
CONTRACT = """\
apiVersion: afterlaunch/v1
kind: DataContract
metadata: {name: orders, owner: team-shop, version: 1.0.0}
spec:
  columns:
  - {name: id, type: integer, required: true, unique: true}
  - {name: state, values: [CA, OR]}
  - {name: placed_at, type: timestamp, required: true}
  freshness: {column: placed_at, most: 3h}
  delivery: {every: 1h, late: 30m}
"""


def table(rows: int = 200, bad: int = 0, first: int = 0, at: datetime = AT, head: str = "id,state,placed_at") -> bytes:
    """CSV; the last `bad` rows have an unknown state."""
    lines = [f"{first + row},{'XX' if row >= rows - bad else 'CA'},{at.isoformat()}" for row in range(rows)]
    return "\n".join([head, *lines, ""]).encode()


@dataclass
class House:
    clock: clock.FixedClock
    system: System
    tokens: dict[str, str] = field(default_factory=dict)

    def send(
        self,
        body: bytes,
        kind: str = "text/csv",
        who: str = "ingest",
        name: str = "orders",
        query: str = "",
        **headers: str,
    ) -> Answer:
        told = {"content-type": kind, "authorization": f"Bearer {self.tokens[who]}", **headers}
        path = f"/api/v1/systems/{self.system.pk}/datasets/{name}/checks"
        return doors.answer(Request("POST", path, told, body, query))

    def put(self, text: str = CONTRACT) -> None:
        put_contract(automation("test"), self.system, text)

    def browser(self, who: str = "operator") -> Browser:
        return Browser(headers={"authorization": f"Bearer {self.tokens[who]}"})


def said(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(answer.body)
    return found


@pytest.fixture
def house(db: None) -> Iterator[House]:
    with clock.frozen(AT) as fixed:
        tokens = {}
        for slug in ("acme", "other"):
            client = Client.objects.create(slug=slug, name=slug, created_at=AT)
            for role in ("ingest", "viewer", "operator", "admin"):
                name = role if slug == "acme" else f"{role} of other"
                tokens[name] = create_token(automation("test"), name, role, client)[1]
        note_sightings([Sighting("acme", "shop", "prod")], AT)
        yield House(fixed, System.objects.get(key="shop"), tokens)
