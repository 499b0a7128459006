"""A stream whose truth is known: what is reported of it, when, and what is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from afterlaunch.accounts.models import Grant, User
from afterlaunch.alerts.actions import work
from afterlaunch.alerts.models import Alert
from afterlaunch.app.judges import TITLES
from afterlaunch.ground.actors import automation
from afterlaunch.incidents.models import Incident
from afterlaunch.labels import decisions
from afterlaunch.labels.duties import join
from afterlaunch.labels.models import Baseline, Estimate, Place, Source
from afterlaunch.labels.tests.conftest import AT, House, Stream
from afterlaunch.predictions.models import Task
from afterlaunch.verdicts.models import Verdict


def day(house: House, number: int, rows: int = 50, labels: bool = True, **changes: Any) -> None:
    """A day of predictions, and their labels two hours after each."""
    stream = Stream(rows=rows)
    parts = [stream.hour(24 * number + hour, **changes) for hour in range(24)]
    house.clock.set(AT + timedelta(days=number + 1))
    house.predict([row for predicted, _ in parts for row in predicted])
    house.clock.set(AT + timedelta(days=number + 1, hours=3))
    if labels:
        house.label([row for _, labelled in parts for row in labelled])
    look(house)


def look(house: House) -> None:
    house.clock.set(house.clock.now() + timedelta(minutes=61))
    while join(house.clock.now()):
        pass
    house.clock.set(house.clock.now() + timedelta(minutes=61))
    while join(house.clock.now()):
        pass


def verdict(name: str) -> Verdict:
    return Verdict.objects.get(judge=f"performance.{name}")


@pytest.fixture
def begun(house: House) -> House:
    """Two quiet days: enough for a baseline."""
    house.clock.set(AT)
    house.reference()
    day(house, 0, rows=30)
    assert (verdict("accuracy").status, verdict("accuracy").reason) == ("not_assessed", "learning")
    day(house, 1)
    return house


def test_quiet_days_are_ok_and_a_change_of_the_truth_becomes_an_incident(begun: House) -> None:
    baseline = Baseline.objects.get()
    assert 1_000 <= baseline.labelled <= 1_050
    day(begun, 2)
    for name in ("accuracy", "estimate", "confidence"):
        assert verdict(name).status == "ok", verdict(name).explanation
    for number in range(3, 6):
        day(begun, number, wrong=0.2)
        if verdict("accuracy").status == "breach":
            break
    assert verdict("accuracy").status == "breach" and verdict("accuracy").reason == "worse"
    assert "concept drift" in verdict("accuracy").explanation
    assert verdict("estimate").status == "ok"  # a truth that changes behind the same scores can't be foreseen
    person = User.objects.create_user("o@example.org", "O", password="long enough 1")
    Grant.objects.create(user=person, role="admin")
    work(begun.clock.now() + timedelta(minutes=5), {name: title for name, (title, _) in TITLES.items()})
    assert Alert.objects.get().name == "performance.accuracy"
    assert Incident.objects.get().kind == "drift"
    for number in range(6, 9):
        day(begun, number)
    assert verdict("accuracy").status == "ok"


def test_harder_questions_are_foreseen_before_labels_come(begun: House) -> None:
    for number in range(2, 5):
        parts = [Stream(rows=60).hour(24 * number + hour) for hour in range(24)]
        begun.clock.set(AT + timedelta(days=number + 1))
        hard = [{**row, "probability": 0.5 + (row["probability"] - 0.5) * 0.2} for one, _ in parts for row in one]
        begun.predict(hard)
        look(begun)
    assert verdict("estimate").status == "breach", verdict("estimate").explanation
    assert "P(y|x) unchanged" in verdict("estimate").explanation
    assert verdict("confidence").status == "breach"
    assert verdict("accuracy").status in ("not_assessed", "ok")  # of these days no label came


def test_estimates_are_never_rewritten_and_the_truth_stands_beside_them(begun: House) -> None:
    day(begun, 2, labels=False)
    made = Estimate.objects.get(day=AT + timedelta(days=2))
    assert made.realised is None
    parts = [Stream(rows=50).hour(48 + hour) for hour in range(24)]
    begun.label([row for _, labelled in parts for row in labelled])
    day(begun, 3)
    later = Estimate.objects.get(pk=made.pk)
    assert (later.value, later.low, later.high) == (made.value, made.low, made.high)
    assert later.realised is not None and abs(later.value - later.realised) < 0.05 and later.labelled == 1_200
    told = Place.objects.get().told
    assert told["reliability"]["compared"] >= 1 and told["days"][2]["estimate"]["value"] == pytest.approx(made.value)


def test_estimates_weighted_for_a_segment_are_kept_by_day_with_the_truth_beside_them(house: House) -> None:
    house.clock.set(AT)
    house.reference()
    house.predict(Stream(rows=1, seed=9).hour(0)[0])
    Task.objects.update(segments=["desk"])
    for number in range(2):
        day(house, number)
    day(house, 2, labels=False)
    made = Estimate.objects.get(day=AT + timedelta(days=2))
    assert made.weighted_by == "desk" and made.weighted is not None and made.weighted_low is not None
    assert made.weighted_low < made.weighted
    house.label([row for hour in range(24) for row in Stream(rows=50).hour(48 + hour)[1]])
    day(house, 3)
    later = Estimate.objects.get(pk=made.pk)
    assert (later.weighted, later.weighted_low) == (made.weighted, made.weighted_low) and later.realised is not None
    told = Place.objects.get().told
    assert told["days"][2]["estimate"]["weighted"] == pytest.approx(made.weighted)
    kept = told["reliability"]["weighted"]
    assert kept["compared"] >= 1 and kept["held"] == kept["compared"] and kept["mae"] < 0.05


def test_a_slice_that_carries_the_change_is_named(house: House) -> None:
    house.clock.set(AT)
    house.reference()
    house.predict(Stream(rows=1).hour(0)[0])
    Task.objects.update(segments=["desk"])
    for number in range(4):
        parts = [Stream(rows=60).hour(24 * number + hour) for hour in range(24)]
        rows = [row for one, _ in parts for row in one]
        labels = [row for _, one in parts for row in one]
        if number >= 2:
            west = {row["prediction_id"] for row in rows if row["desk"] == "west"}
            labels = [{**row, "label": 1 - row["label"]} if row["prediction_id"] in west else row for row in labels]
        house.clock.set(AT + timedelta(days=number + 1, hours=3))
        house.predict([row for row in rows if row["prediction_id"] != "1-0-0"] if not number else rows)
        house.label(labels)
        look(house)
    assert "desk = west explains" in verdict("accuracy").explanation
    first = Place.objects.get().told["slices"][0]
    assert (first["value"], first["verdict"]) == ("west", "worse") and first["q_value"] < 0.01


def test_labels_that_still_come_are_not_judged(house: House) -> None:
    house.clock.set(AT)
    house.reference()
    parts = [Stream(rows=200).hour(hour) for hour in range(12)]
    house.clock.set(AT + timedelta(hours=12))
    house.predict([row for one, _ in parts for row in one])
    # labels take from no time to twelve hours, so that at noon half of them are missing
    labels = []
    for at, row in enumerate(row for _, one in parts for row in one):
        labels.append({**row, "time": (AT + timedelta(hours=at / 200 + 12 * ((at * 7919) % 1000) / 1000)).isoformat()})
    house.label([row for row in labels if row["time"] <= house.clock.now().isoformat()])
    look(house)
    found = verdict("accuracy")
    assert found.status == "not_assessed" and found.reason == "learning" and not Baseline.objects.exists()
    assert "still come" in found.explanation
    Task.objects.update(delay_hours=4)
    look(house)
    assert Baseline.objects.exists()


def test_quantities_are_judged_by_their_errors(house: House) -> None:
    house.clock.set(AT)
    house.reference()
    for number in range(4):
        parts = [Stream(rows=50).hour(24 * number + hour) for hour in range(24)]
        noise = 3.0 if number >= 2 else 1.0
        rows = [{k: v for k, v in row.items() if k != "probability"} for one, _ in parts for row in one]
        labels = [row for _, one in parts for row in one]
        truth = [
            {**label, "label": row["x"] + noise * (label["label"] - 0.5)}
            for row, label in zip(rows, labels, strict=True)
        ]
        house.clock.set(AT + timedelta(days=number + 1, hours=3))
        house.predict([{**row, "output": row["x"]} for row in rows])
        house.label(truth)
        look(house)
        if number == 1:
            assert verdict("accuracy").status == "ok"
    assert verdict("accuracy").status in ("breach", "warning") and "off by more than" in verdict("accuracy").explanation
    assert verdict("estimate").reason == "no_rise_expected" and "concept drift" in verdict("accuracy").explanation
    assert {one["name"] for one in Place.objects.get().told["versions"][0]["scores"]} == {"mae", "rmse", "bias", "r2"}


def test_a_burst_of_a_source_contaminates_what_looks_well_until_it_is_set_aside(begun: House) -> None:
    rows = [row for hour in range(24) for row in Stream(rows=50).hour(24 + hour)[1]]
    desk = Source.objects.get()
    start = begun.clock.now().replace(minute=0) - timedelta(hours=60)
    steady = {(start + timedelta(hours=at)).strftime("%Y-%m-%dT%H"): 20 for at in range(60)}
    Source.objects.create(
        place=desk.place, name="crowd", first_at=start, last_at=start, newest=desk.newest, labels=1_200, hours=steady
    )
    day(begun, 2)
    assert verdict("accuracy").status == "ok"
    begun.clock.set(begun.clock.now().replace(minute=5) + timedelta(hours=1))
    begun.label([{**row, "source": "crowd"} for row in rows])
    begun.clock.set(begun.clock.now() + timedelta(hours=1))
    while join(begun.clock.now()):
        pass
    sources = Verdict.objects.get(judge="labels.sources")
    assert (sources.status, sources.reason, sources.evidence["sources"]) == ("breach", "burst", "crowd")
    assert (verdict("accuracy").status, verdict("accuracy").reason) == ("not_assessed", "contaminated")
    crowd = Source.objects.get(name="crowd")
    decisions.stop(automation("test"), desk.place.system, crowd.pk, "a burst")
    join(begun.clock.now())
    assert Verdict.objects.get(judge="labels.sources").status == "ok" and verdict("accuracy").status == "ok"
