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
from afterlaunch.labels import doors
from afterlaunch.predictions import doors as predictions
from afterlaunch.receivers.wire import Answer, Request

AT = datetime(2026, 3, 3, 0, 0, tzinfo=UTC)
JSON_LINES = "application/x-ndjson"


def lines(rows: list[Any]) -> bytes:
    return b"\n".join(map(orjson.dumps, rows))


def said(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(answer.body)
    return found


@dataclass
class Stream:
    """Predictions of an hour and the truth about them. `wrong`: how much of the truth turns, whatever the score says;
    `shift`: moves the feature that the score is made of."""

    seed: int = 1
    rows: int = 200

    def hour(
        self, number: int, wrong: float = 0.0, shift: float = 0.0, version: str = "v1"
    ) -> tuple[list[Any], list[Any]]:
        random = np.random.default_rng([self.seed, number])
        x = random.normal(shift, 1.5, self.rows)
        p = 1 / (1 + np.exp(-2 * x))
        truth = random.random(self.rows) < p
        truth ^= random.random(self.rows) < wrong
        desk = random.choice(["north", "south", "west"], self.rows, p=[0.5, 0.3, 0.2])
        start = AT + timedelta(hours=number)
        predicted, labelled = [], []
        for at in range(self.rows):
            key = f"{self.seed}-{number}-{at}"
            time = start + timedelta(seconds=3_600 * at / self.rows)
            predicted.append(
                {
                    "prediction_id": key,
                    "time": time.isoformat(),
                    "model_version": version,
                    "x": float(x[at]),
                    "probability": float(p[at]),
                    "output": int(p[at] >= 0.5),
                    "desk": str(desk[at]),
                }
            )
            late = (time + timedelta(hours=2)).isoformat()
            labelled.append({"prediction_id": key, "label": int(truth[at]), "time": late, "source": "desk"})
        return predicted, labelled


@dataclass
class House:
    clock: clock.FixedClock
    tokens: dict[str, str] = field(default_factory=dict)

    def post(
        self, what: str, body: bytes, kind: str = JSON_LINES, who: str = "ingest", query: str = "", **headers: str
    ) -> Answer:
        path = what if what.startswith("/") else f"/api/v1/{what}"
        told = {"content-type": kind, "authorization": f"Bearer {self.tokens[who]}", **headers}
        request = Request("POST", path, told, body, query or "client=acme&system=scoring")
        return doors.answer(request) if doors.serves(path) else predictions.answer(request)

    def reference(self) -> None:
        rows, _ = Stream(0, 500).hour(0)
        answer = self.post("references", lines(rows), who="operator")
        assert answer.status == 200, answer.body

    def predict(self, rows: list[Any]) -> Answer:
        answer = self.post("predictions", lines(rows))
        assert answer.status == 200, answer.body
        return answer

    def label(self, rows: list[Any]) -> Answer:
        answer = self.post("labels", lines(rows))
        assert answer.status == 200, answer.body
        return answer


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
