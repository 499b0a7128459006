"""Attributions among the predictions: the order of features is judged, and shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from afterlaunch.accounts.models import Grant, User
from afterlaunch.estate.models import System
from afterlaunch.predictions import duties
from afterlaunch.predictions.tests.conftest import AT, House, lines
from afterlaunch.verdicts.models import Verdict

SIZES = {f"f{at}": 3.0 * 0.75**at for at in range(14)}


def rows(count: int, seed: int, hour: int | None = None, **other: float) -> list[Any]:
    dice = np.random.default_rng(seed)
    sizes = SIZES | other
    found = []
    for at in range(count):
        row: dict[str, Any] = {f"attribution:{name}": float(dice.normal() * size) for name, size in sizes.items()}
        row["prediction_id"] = f"{seed}-{at}"
        if hour is not None:
            row["time"] = (AT + timedelta(hours=hour, seconds=3_000 * at / count)).isoformat()
        found.append(row)
    return found


def send(house: House, hour: int, table: list[Any]) -> Verdict:
    now = AT + timedelta(hours=hour + 1, minutes=20)
    house.clock.set(now)
    assert house.post("predictions", lines(table), who="ingest").status == 200
    duties.judge(now)
    return Verdict.objects.get(judge="drift.importance")


def test_a_model_that_looks_at_other_features_is_told(house: House, client: Any) -> None:
    house.clock.set(AT)
    assert house.post("references", lines(rows(2_000, 1))).status == 200
    calm = send(house, 0, rows(150, 2, 0))
    assert (calm.status, calm.reason) == ("not_assessed", "too_little") and "200 rows" in calm.explanation
    assert send(house, 1, rows(600, 3, 1)).status == "ok"
    moved = send(house, 2, rows(4_000, 4, 2, f1=0.01, f11=3.0, f12=3.5, f13=4.0))
    assert (moved.status, moved.reason, moved.severity) == ("breach", "top_left", "P3")
    assert moved.explanation.startswith("f1 left the first 10; f1, one of the first 5, moved down by")
    person = User.objects.create_user("v@example.org", "v", password="long enough 1")
    Grant.objects.create(user=person, role="viewer")
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    address = f"/systems/{System.objects.get(key='scoring').pk}/drift"
    assert "What the model looks at" in client.get(address).content.decode()
    told = client.get(f"/api/v1{address}").json()["environments"][0]["importance"]
    assert told["status"] == "breach" and told["pairs"][0][1:] == ["f0", "f13"]
    duties.judge(AT + timedelta(hours=9))
    assert Verdict.objects.get(judge="drift.importance").status == "not_assessed"
