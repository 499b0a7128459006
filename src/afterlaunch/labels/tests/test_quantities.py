"""Quantities: what error is expected before labels come, and the truth beside it afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from afterlaunch.estate.models import System
from afterlaunch.labels.models import Baseline, Estimate
from afterlaunch.labels.tests.conftest import AT, House, lines
from afterlaunch.labels.tests.test_judging import look
from afterlaunch.labels.tests.test_pages import signed_in
from afterlaunch.verdicts.models import Verdict


def day(house: House, number: int, rooms: float, labels: bool = True) -> None:
    random = np.random.default_rng(number)
    predicted: list[Any] = []
    labelled: list[Any] = []
    for hour in range(24):
        for at in range(60):
            time = AT + timedelta(days=number, hours=hour, seconds=50 * at)
            size = abs(float(random.normal(rooms, 1)))
            output = 100 * size
            key = f"{number}-{hour}-{at}"
            told = {"prediction_id": key, "time": time.isoformat(), "rooms": size, "output": output}
            predicted.append({**told, "x": float(random.normal())})
            late = (time + timedelta(hours=1)).isoformat()
            label = output + float(random.normal()) * (1 + size**2)
            labelled.append({"prediction_id": key, "label": label, "time": late, "source": "sales"})
    house.clock.set(AT + timedelta(days=number + 1))
    house.predict(predicted)
    house.clock.set(AT + timedelta(days=number + 1, hours=3))
    if labels:
        house.label(labelled)
    look(house)


def test_errors_are_expected_before_labels_come_and_proved_by_them(house: House, client: Any) -> None:
    house.clock.set(AT)
    house.reference()
    browser = signed_in(client, "operator")
    system = System.objects.get(key="scoring")
    address = f"/api/v1/systems/{system.pk}/performance"
    given = {"kind": "regression", "features": ["rooms"], "delay_hours": 2}
    assert browser.post(f"{address}/task", given, content_type="application/json").status_code == 200
    for number in range(3):
        day(house, number, rooms=2)
    verdict = Verdict.objects.get(judge="performance.estimate")
    assert Baseline.objects.get().expecting and verdict.status == "ok", verdict.explanation
    day(house, 3, rooms=4, labels=False)
    verdict.refresh_from_db()
    assert verdict.status == "breach" and "expected" in verdict.explanation, verdict.explanation
    told = browser.get(address).json()["environments"][0]
    assert told["calibration"].startswith("errors learnt from output, rooms")
    page = browser.get(f"/systems/{system.pk}/performance").content.decode()
    assert "Estimate and truth, by day" in page and "<svg" in page and "Expected, before labels" in page
    proved = Estimate.objects.exclude(realised=None)
    assert proved.exists()
    for row in proved:
        assert row.realised is not None and abs(row.value - row.realised) < 0.15 * row.realised, row.day


def test_without_features_the_output_alone_tells(house: House) -> None:
    house.clock.set(AT)
    house.reference()
    house.post("predictions", lines([{"prediction_id": "p", "time": AT.isoformat(), "x": 1.0, "output": 1.5}]))
    for number in range(2):
        day(house, number, rooms=2)
    row = Baseline.objects.get()
    assert row.expecting and b'"names":["output"]' in bytes(row.expecting)
