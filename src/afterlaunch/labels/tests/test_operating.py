"""Late predictions, overrides and a challenger, from bodies to verdicts and the page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from afterlaunch.estate.models import System
from afterlaunch.ground.actors import automation
from afterlaunch.labels import decisions
from afterlaunch.labels.duties import join
from afterlaunch.labels.tests.conftest import AT, House, Stream
from afterlaunch.labels.tests.test_judging import look
from afterlaunch.labels.tests.test_pages import signed_in
from afterlaunch.verdicts.models import Verdict


def day(house: House, number: int, slow: bool = False, both: bool = False) -> None:
    parts = [Stream(rows=50).hour(24 * number + hour) for hour in range(24)]
    predicted: list[Any] = []
    labelled: list[Any] = []
    for at, (row, label) in enumerate((row, label) for one, two in parts for row, label in zip(one, two, strict=True)):
        late = slow and at % 10 == 0
        version = "v2" if both and at % 2 else "v1"
        predicted.append({**row, "model_version": version, "latency_ms": None if late else 20.0 + at % 50})
        told = row["output"] if at % 10 or not slow else 1 - row["output"]
        labelled.append({**label, "label": told, "source": "operator:ann"} if at % 3 == 0 else label)
    house.clock.set(AT + timedelta(days=number + 1))
    house.predict(predicted)
    house.clock.set(AT + timedelta(days=number + 1, hours=3))
    house.label(labelled)
    look(house)


def test_late_predictions_overrides_and_a_challenger_are_told(house: House, client: Any) -> None:
    house.clock.set(AT)
    house.reference()
    for number in range(2):
        day(house, number)
    system = System.objects.get(key="scoring")
    decisions.declare(automation("test"), system, "prod", {"latency_ms": 100.0})
    day(house, 2, both=True)
    for name in ("latency", "overrides"):
        found = Verdict.objects.get(judge=f"performance.{name}")
        assert found.status == "ok", found.explanation
    day(house, 3, slow=True, both=True)
    found = Verdict.objects.get(judge="performance.latency")
    assert found.status == "breach" and "timed out" in found.explanation
    browser = signed_in(client, "viewer")
    told = browser.get(f"/api/v1/systems/{system.pk}/performance").json()["environments"][0]
    assert [one["champion"] for one in told["challengers"]] in (["v1"], ["v2"])
    page = browser.get(f"/systems/{system.pk}/performance").content.decode()
    assert "Versions side by side" in page and "Predictions come late" in page and "Operators override" in page


def test_what_was_kept_as_classes_can_be_declared_a_ranking(house: House) -> None:
    house.clock.set(AT)
    house.reference()
    day(house, 0)
    system = System.objects.get(key="scoring")
    decisions.declare(automation("test"), system, "prod", {"kind": "ranking"})
    house.clock.set(house.clock.now() + timedelta(minutes=2))
    while join(house.clock.now()):
        pass
    assert Verdict.objects.get(judge="performance.accuracy").status == "not_assessed"
