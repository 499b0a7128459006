"""Labels find their predictions, whichever comes first; each pair is joined once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from afterlaunch.ground.actors import automation
from afterlaunch.labels import joining, tallying
from afterlaunch.labels.decisions import declare
from afterlaunch.labels.duties import join
from afterlaunch.labels.judging import view
from afterlaunch.labels.models import Batch, Hour, Match, Place, Source
from afterlaunch.labels.tests.conftest import AT, House, Stream, lines
from afterlaunch.performance import tally
from afterlaunch.performance.tally import Tally
from afterlaunch.predictions import keeping
from afterlaunch.predictions.columns import Damaged


def told(hour: int = 0, version: str = "v1") -> Tally:
    row = Hour.objects.get(start=AT + timedelta(hours=hour), model_version=version)
    return tally.unpack(bytes(row.tally or b""))


def run(house: House) -> None:
    """Until old hours, which are added up once an hour, were."""
    for _ in range(2):
        join(house.clock.now())
        house.clock.set(house.clock.now() + timedelta(minutes=61))


def one(key: str, label: Any, minute: int = 0, source: str = "desk") -> dict[str, Any]:
    time = (AT + timedelta(hours=30, minutes=minute)).isoformat()
    return {"prediction_id": key, "label": label, "time": time, "source": source}


@pytest.mark.parametrize("first", ["predictions", "labels", "half"])
def test_every_label_finds_its_prediction_whichever_comes_first(house: House, first: str) -> None:
    house.reference()
    predicted, labelled = Stream().hour(0)
    if first == "labels":
        house.label(labelled)
        house.predict(Stream(seed=2).hour(1)[0])  # there is something to look at already
        run(house)
        assert Batch.objects.get().waiting == 200
        house.predict(predicted)
    elif first == "predictions":
        house.predict(predicted)
        run(house)
        house.label(labelled)
    else:
        house.predict(predicted[:120])
        house.label(labelled)
        run(house)
        assert Batch.objects.get().waiting == 80
        house.predict(predicted[120:])
    run(house)
    found = told()
    right = sum(int(a["output"] == b["label"]) for a, b in zip(predicted, labelled, strict=True))
    assert (found.rows, found.labelled, found.correct) == (200, 200, right)
    assert Batch.objects.get().waiting == 0
    assert sum(Match.objects.values_list("rows", flat=True)) == 200


def test_a_later_label_of_the_source_supersedes_and_the_earlier_is_kept(house: House) -> None:
    house.reference()
    house.predict(Stream(rows=2).hour(0)[0])
    house.label([one("1-0-0", 0, 5), one("1-0-1", 0, 5)])
    run(house)
    assert {label for row in told().confusion.values() for label in row} == {"0"}
    house.label([one("1-0-0", 1, 9), one("1-0-1", 1, 1)])  # the second is older than what is known
    run(house)
    labels = sorted(label for row in told().confusion.values() for label, n in row.items() for _ in range(n))
    assert labels == ["0", "1"]
    assert sum(Match.objects.values_list("rows", flat=True)) == 4


def test_of_several_sources_the_newest_counts_and_one_that_is_stopped_does_not(house: House) -> None:
    house.reference()
    house.predict(Stream(rows=3).hour(0)[0])
    house.label([one(f"1-0-{at}", 0, 5, "desk") for at in range(3)])
    house.label([one(f"1-0-{at}", 1, 6, "crowd") for at in range(2)])
    run(house)
    found = told()
    assert sum(row.get("1", 0) for row in found.confusion.values()) == 2
    assert found.sources["desk"][0] == 3 and found.pairs == {"crowd\tdesk": {"1\t0": 2}}
    Source.objects.filter(name="crowd").update(stopped_at=AT)
    Hour.objects.update(due_at=AT)
    run(house)
    assert sum(row.get("1", 0) for row in told().confusion.values()) == 0


def test_a_prediction_sent_twice_counts_once_and_a_label_before_its_prediction_has_no_lag(house: House) -> None:
    house.reference()
    predicted, labelled = Stream(rows=50).hour(0)
    house.predict(predicted)
    house.predict([*predicted, Stream(seed=3, rows=1).hour(0)[0][0]])
    early = (AT - timedelta(hours=2)).isoformat()
    house.label([{**row, "time": early} for row in labelled])
    run(house)
    found = told()
    assert (found.rows, found.labelled) == (51, 50) and found.lags[0] == 50


def test_a_pass_that_was_overtaken_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.reference()
    predicted, labelled = Stream().hour(0)
    house.predict(predicted)
    house.label(labelled)
    place = Place.objects.get()
    stale = Place.objects.get()
    joining.join(place, house.clock.now())
    assert Match.objects.count() == 1
    joining.join(stale, house.clock.now())
    assert Match.objects.count() == 1 and Place.objects.get().pass_number == 1
    with monkeypatch.context() as patch:
        house.label([one("1-0-0", 1)])
        patch.setattr(joining, "_touch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            joining.join(Place.objects.get(), house.clock.now())
    run(house)
    assert Match.objects.count() == 2


def test_what_is_told_while_an_hour_is_added_up_is_not_lost(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.reference()
    predicted, labelled = Stream().hour(0)
    house.predict(predicted)
    real = tallying._keep

    def meanwhile(hour: Hour, *rest: Any) -> None:
        monkeypatch.setattr(tallying, "_keep", real)
        house.label(labelled)
        joining.join(Place.objects.get(), house.clock.now())
        real(hour, *rest)

    monkeypatch.setattr(tallying, "_keep", meanwhile)
    join(house.clock.now())
    assert Hour.objects.get().tally is None
    run(house)
    assert told().labelled == 200


def test_a_task_that_is_declared_during_a_pass_counts_in_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.reference()
    house.predict(Stream().hour(0)[0])
    run(house)
    house.predict(Stream(2).hour(0)[0])
    real, given = tallying.tally_of, list[str]()

    def meanwhile(place: Place, now: Any) -> bool:
        monkeypatch.undo()
        monkeypatch.setattr(tallying, "tally_of", seen)
        declare(automation("test"), place.system, "prod", {"positive": "0"})
        return joining.join(place, now)

    def seen(place: Place, hour: Hour, task: keeping.Task, stopped: set[str], by: Any = None) -> Any:
        given.append(task.positive)
        return real(place, hour, task, stopped)

    monkeypatch.setattr("afterlaunch.labels.duties.joining.join", meanwhile)
    run(house)
    assert set(given) == {"0"}


def test_hours_that_wait_to_be_counted_anew_are_compared_with_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.reference()
    for number in range(3):
        house.predict(Stream().hour(number)[0])
    run(house)
    place = Place.objects.get()
    monkeypatch.setattr(tallying, "AT_ONCE", 2)
    task = declare(automation("test"), place.system, "prod", {"positive": "0"})
    counted = []
    for _ in range(2):
        join(house.clock.now())
        counted.append(len(view(place, task, house.clock.now()).hours))
    assert counted == [2, 3]


def test_what_a_final_hour_said_stays_when_a_label_changes_it(house: House) -> None:
    house.reference()
    predicted, labelled = Stream().hour(0)
    house.predict(predicted)
    house.label(labelled)
    run(house)
    before = told().correct
    Hour.objects.update(final_at=AT)
    key, output = predicted[0]["prediction_id"], predicted[0]["output"]
    now = labelled[0]["label"]
    house.label([one(key, 1 - now, 50)])
    run(house)
    restated = Hour.objects.get().restated
    assert [row["correct"] for row in restated] == [before]
    assert told().correct == before + (1 if output != now else -1)


def test_predictions_that_are_gone_leave_their_figures(house: House) -> None:
    from afterlaunch.predictions.models import Kept

    house.reference()
    predicted, labelled = Stream().hour(0)
    house.predict(predicted)
    house.label(labelled)
    run(house)
    Kept.objects.all().delete()
    Hour.objects.update(due_at=AT)
    run(house)
    assert told().labelled == 200 and Hour.objects.get().due_at is None


@pytest.mark.parametrize("cut", [3, 8, 13, 18, 23, 28, 33])
def test_wherever_a_pass_is_cut_off_the_next_one_ends_at_the_same_figures(house: House, cut: int) -> None:
    house.reference()
    predicted, labelled = Stream(rows=60).hour(0)
    house.predict(predicted[:40])
    house.label(labelled)
    count = 0

    def cutting(execute: Any, *told: Any) -> Any:
        nonlocal count
        count += 1
        if count > cut and "SAVEPOINT" not in told[0]:  # what was begun is taken back, as by a database that lost us
            raise RuntimeError("cut off")
        return execute(*told)

    with connection.execute_wrapper(cutting), pytest.raises(RuntimeError):
        join(house.clock.now())
    house.predict(predicted[40:])
    run(house)
    assert (told().rows, told().labelled) == (60, 60)
    assert sum(Match.objects.values_list("rows", flat=True)) == 60 and Batch.objects.get().waiting == 0


def test_a_system_whose_labels_are_damaged_holds_up_no_other(house: House) -> None:
    house.reference()
    other = "client=acme&system=other"
    reference, _ = Stream(0, 500).hour(0)
    assert house.post("references", lines(reference), who="operator", query=other).status == 200
    predicted, labelled = Stream().hour(0)
    house.predict(predicted)
    house.label(labelled)
    Batch.objects.update(columns=b"damaged")
    assert house.post("predictions", lines(predicted), query=other).status == 200
    assert house.post("labels", lines(labelled), query=other).status == 200
    with pytest.raises(Damaged):
        join(house.clock.now())
    assert Hour.objects.get(place__system__key="other").labelled == 200
