"""A search whose results are labelled later: judged by what stood where."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import orjson

from afterlaunch.estate.models import System
from afterlaunch.ground.actors import automation
from afterlaunch.labels.duties import join
from afterlaunch.labels.models import Place
from afterlaunch.labels.tests.conftest import AT, House, lines, said
from afterlaunch.labels.tests.test_pages import signed_in
from afterlaunch.verdicts.models import Verdict


def day(house: House, number: int, skill: float, queries: int = 50) -> None:
    random = np.random.default_rng(number)
    predicted: list[Any] = []
    labelled: list[Any] = []
    for hour in range(24):
        for query in range(queries):
            at = AT + timedelta(days=number, hours=hour, seconds=30 * query)
            for item in range(5):
                key = f"{number}-{hour}-{query}-{item}"
                grade = int(random.random() < 0.4)
                score = skill * grade + float(random.normal())
                told = {"prediction_id": key, "time": at.isoformat(), "query_id": f"{hour}-{query}", "output": score}
                predicted.append({**told, "x": float(random.normal())})
                late = (at + timedelta(hours=1)).isoformat()
                labelled.append({"prediction_id": key, "label": grade, "time": late, "source": "readers"})
    house.clock.set(AT + timedelta(days=number + 1))
    house.predict(predicted)
    house.clock.set(AT + timedelta(days=number + 1, hours=3))
    house.label(labelled)
    for _ in range(2):
        house.clock.set(house.clock.now() + timedelta(minutes=61))
        while join(house.clock.now()):
            pass


def test_rankings_are_judged_by_delayed_labels(house: House, client: Any) -> None:
    house.clock.set(AT)
    house.reference()
    browser = signed_in(client, "operator")
    system = System.objects.get(key="scoring")
    address = f"/api/v1/systems/{system.pk}/performance"
    given = {"kind": "ranking", "cutoff": 3, "delay_hours": 2}
    declared = browser.post(f"{address}/task?environment=prod", given, content_type="application/json")
    assert declared.status_code == 200 and declared.json()["query"] == "query_id", declared.content
    for number in range(3):
        day(house, number, skill=2.0)
    verdict = Verdict.objects.get(judge="performance.accuracy")
    assert verdict.status == "ok" and "nDCG@3" in verdict.explanation, verdict.explanation
    day(house, 3, skill=0.0)
    verdict.refresh_from_db()
    assert verdict.status == "breach", verdict.explanation
    told = browser.get(address).json()["environments"][0]
    assert [one["name"] for one in told["versions"][0]["scores"]][:4] == ["ndcg@3", "mrr", "precision@3", "recall@3"]
    page = browser.get(f"/systems/{system.pk}/performance").content.decode()
    assert "nDCG at 3" in page and "Mean reciprocal rank" in page and "<svg" in page
    assert Place.objects.get().told["kind"] == "ranking"


def test_items_without_a_query_and_grades_that_are_no_numbers_are_refused(house: House) -> None:
    house.clock.set(AT)
    house.reference()
    system = System.objects.get(key="scoring")
    from afterlaunch.labels import decisions

    decisions.declare(automation("test"), system, "prod", {"kind": "ranking"})
    row = {"prediction_id": "p", "time": AT.isoformat(), "x": 1.0, "output": 0.3}
    answer = house.post("predictions", orjson.dumps(row))
    assert answer.status == 400 and "query_id" in str(said(answer))
    answer = house.post("predictions", orjson.dumps({**row, "query_id": "q"}))
    assert answer.status == 200, answer.body
    label = {"prediction_id": "p", "label": "good", "time": AT.isoformat(), "source": "s"}
    assert house.post("labels", lines([label])).status == 400
