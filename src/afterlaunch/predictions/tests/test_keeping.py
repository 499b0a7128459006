"""What is kept of predictions: what a label needs to find them, for a stated time, in a bounded room."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from afterlaunch.ground.settings import settings
from afterlaunch.predictions import duties, keeping
from afterlaunch.predictions.bodies import Rows, read
from afterlaunch.predictions.columns import Damaged, Texts, joined, pack, unpack
from afterlaunch.predictions.models import Kept, Task
from afterlaunch.predictions.tests.conftest import AT, House, lines, table
from afterlaunch.profiles.layouts import digest


def body(**columns: list[object]) -> Rows:
    names = list(columns)
    return read(
        lines([dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]), "application/jsonl"
    )


def outputs(house: House, hour: int, rows: int = 300) -> None:
    start = AT + timedelta(hours=hour)
    found = [{**row, "output": "yes" if row["age"] > 40 else "no"} for row in table(rows, hour + 1, start=start)]
    assert house.post("predictions", lines(found), who="ingest").status == 200


def test_output_and_time_are_kept_by_id(house: House) -> None:
    house.reference()
    outputs(house, 0)
    kept = Kept.objects.get()
    found = unpack(bytes(kept.columns))
    output, ids = found["output"], np.frombuffer(bytes(kept.ids), "<u8")
    rows = {digest(row["prediction_id"]): row for row in table(300, 1, start=AT)}
    assert isinstance(output, Texts) and (np.diff(ids.astype(object)) > 0).all()
    for at, bits in enumerate(ids.tolist()):
        assert output.at(at) == ("yes" if rows[bits]["age"] > 40 else "no")
    task = Task.objects.get()
    assert (task.kind, task.positive, task.decided_by) == ("classification", "yes", "")


def test_bodies_without_an_output_are_not_kept(house: House) -> None:
    house.reference()
    house.send(0)
    assert not Kept.objects.exists() and not Task.objects.exists()


def test_what_is_too_old_and_what_is_too_much_goes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.reference()
    for hour in range(4):
        outputs(house, hour)
    duties.forget(house.clock.now())
    assert Kept.objects.count() == 4
    weight = Kept.objects.latest("hour").weight
    monkeypatch.setattr(settings(), "number", lambda name: {"PREDICTIONS_KEEP_MB": 2.5 * weight / 2**20}.get(name, 92))
    duties.forget(house.clock.now())
    assert sorted(Kept.objects.values_list("hour", flat=True)) == [AT + timedelta(hours=2), AT + timedelta(hours=3)]
    duties.forget(AT + timedelta(days=92, hours=3))
    assert Kept.objects.count() == 1


def test_the_task_is_told_by_the_first_body() -> None:
    assert keeping.told_by(body(age=[1, 2])) is None
    assert keeping.told_by(body(output=[1.5, 2.25])) == keeping.Task(keeping.REGRESSION)
    assert keeping.told_by(body(output=list(range(100)))) == keeping.Task(keeping.REGRESSION)
    assert keeping.told_by(body(output=[0, 1, 0])) == keeping.Task(positive="1")
    assert keeping.told_by(body(output=["No", "No"])) == keeping.Task(positive="yes")
    assert keeping.told_by(body(output=["cat", "dog"])) == keeping.Task()


@rules(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(["a", "b", "ü", None])), st.lists(st.floats(allow_nan=False), max_size=5))
def test_columns_come_back_as_they_went(values: list[str | None], numbers: list[float]) -> None:
    names = sorted({value for value in values if value is not None})
    texts = Texts(names, np.array([names.index(one) if one is not None else -1 for one in values], np.int32))
    found = unpack(pack({"text": texts, "number": np.array(numbers, "<f8")}))
    back, plain = found["text"], found["number"]
    assert isinstance(back, Texts) and [back.at(at) for at in range(len(values))] == values
    assert not isinstance(plain, Texts) and plain.tolist() == numbers


def test_parts_are_joined_and_damage_is_told() -> None:
    one = {"a": Texts(["x"], np.array([0, -1], np.int32)), "n": np.array([1.0, 2.0])}
    two = {"a": Texts(["y", "x"], np.array([0, 1], np.int32))}
    found = joined([one, two])  # type: ignore[list-item]
    texts, numbers = found["a"], found["n"]
    assert isinstance(texts, Texts) and [texts.at(at) for at in range(4)] == ["x", None, "y", "x"]
    assert not isinstance(numbers, Texts) and np.isnan(numbers[2:]).all()
    for bad in (b"", b"nothing", pack(one)[:-9]):  # type: ignore[arg-type]
        with pytest.raises(Damaged):
            unpack(bad)
