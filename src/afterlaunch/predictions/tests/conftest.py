from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.predictions import doors
from afterlaunch.receivers.wire import Answer, Request

AT = datetime(2026, 3, 3, 0, 0, tzinfo=UTC)
JSON_LINES = "application/x-ndjson"


def table(rows: int, seed: int = 1, shift: float = 0.0, start: datetime | None = AT, minutes: int = 60) -> list[Any]:
    """Rows with two numbers, a category and their ids; spread over so many minutes from `start` on."""
    random = np.random.default_rng(seed)
    age, income = random.normal(40 + 10 * shift, 10, rows), random.lognormal(0, 1, rows)
    colour = random.choice(["red", "green", "blue"], rows, p=[0.5, 0.3, 0.2])
    found = []
    for at in range(rows):
        row = {
            "prediction_id": f"{seed}-{at}",
            "age": float(age[at]),
            "income": float(income[at]),
            "colour": str(colour[at]),
        }
        if start is not None:
            row |= {"time": (start + timedelta(minutes=minutes * at / rows)).isoformat(), "model_version": "v1"}
        found.append(row)
    return found


def lines(rows: list[Any]) -> bytes:
    return b"\n".join(map(orjson.dumps, rows))


@dataclass
class House:
    clock: clock.FixedClock
    tokens: dict[str, str] = field(default_factory=dict)

    def post(
        self, what: str, body: bytes, kind: str = JSON_LINES, who: str = "operator", query: str = "", **headers: str
    ) -> Answer:
        path = what if what.startswith("/") else f"/api/v1/{what}"
        told = {"content-type": kind, "authorization": f"Bearer {self.tokens[who]}", **headers}
        return doors.answer(Request("POST", path, told, body, query or "client=acme&system=scoring"))

    def reference(self, rows: int = 5_000) -> Answer:
        return self.post("references", lines(table(rows, seed=0, start=None)))

    def send(self, hour: int, rows: int = 500, shift: float = 0.0, seed: int | None = None) -> Answer:
        body = lines(table(rows, seed if seed is not None else hour + 10, shift, AT + timedelta(hours=hour)))
        self.clock.set(max(self.clock.now(), AT + timedelta(hours=hour + 1)))
        return self.post("predictions", body, who="ingest")


@pytest.fixture
def house(db: None) -> Iterator[House]:
    with clock.frozen(AT + timedelta(days=5)) as fixed:
        found = House(fixed)
        for slug in ("acme", "other"):
            client = Client.objects.create(slug=slug, name=slug, created_at=AT)
            for role in ("ingest", "viewer", "operator", "admin"):
                name = role if slug == "acme" else f"{role} of other"
                found.tokens[name] = create_token(automation("test"), name, role, client)[1]
        yield found
