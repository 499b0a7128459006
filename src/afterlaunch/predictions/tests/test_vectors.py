"""Embeddings among the predictions: folded on the reference's directions, judged as any feature."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from afterlaunch.ground import clock
from afterlaunch.predictions import duties
from afterlaunch.predictions.models import Hour, Reference
from afterlaunch.predictions.tests.conftest import AT, House, lines
from afterlaunch.verdicts.models import Verdict

ARROW = "application/vnd.apache.arrow.stream"
NUMBERS = 32


def rows(count: int, seed: int, hour: int | None = None, moved: float = 0.0, numbers: int = NUMBERS) -> list[Any]:
    dice = np.random.default_rng(seed)
    spread = np.linspace(2, 0.2, numbers)
    vectors = dice.normal(size=(count, numbers)) * spread + moved * np.sign(np.arange(numbers) % 2 - 0.5) * spread
    found = []
    for at in range(count):
        row: dict[str, Any] = {"prediction_id": f"{seed}-{at}", "age": float(dice.normal(40, 10))}
        row["embedding"] = [round(float(one), 5) for one in vectors[at]]
        if hour is not None:
            row["time"] = (AT + timedelta(hours=hour, seconds=3_000 * at / count)).isoformat()
        found.append(row)
    return found


def stream(table: list[Any]) -> bytes:
    sink = pa.BufferOutputStream()
    data = pa.table(
        {
            "prediction_id": [one["prediction_id"] for one in table],
            "time": [one["time"] for one in table],
            "age": [one["age"] for one in table],
            "embedding": pa.array([one["embedding"] for one in table], pa.list_(pa.float32())),
        }
    )
    with pa.ipc.new_stream(sink, data.schema) as writer:
        writer.write_table(data)
    return bytes(sink.getvalue())


def send(house: House, hour: int, table: list[Any], arrow: bool = False) -> dict[str, Any]:
    now = AT + timedelta(hours=hour + 1, minutes=20)
    house.clock.set(now)
    kind = {"kind": ARROW} if arrow else {}
    answer = house.post("predictions", stream(table) if arrow else lines(table), who="ingest", **kind)
    assert answer.status == 200, answer.body
    duties.judge(now)
    found: dict[str, Any] = orjson.loads(answer.body)
    return found


def test_embeddings_that_move_are_found_and_calm_ones_are_not(house: House) -> None:
    house.clock.set(AT)
    assert house.post("references", lines(rows(3_000, 1))).status == 200
    reference = Reference.objects.get()
    assert reference.columns == 18 and reference.left_out == {}  # age, 16 directions and the rest
    told = send(house, 0, rows(600, 2, 0))
    assert (told["columns_ignored"], told["columns_missing"]) == ([], [])
    send(house, 1, rows(600, 3, 1), arrow=True)
    assert {one.status for one in Hour.objects.all()} == {"ok"}
    send(house, 2, rows(600, 4, 2, moved=0.8))
    newest = Hour.objects.latest("start")
    found = {one["name"]: one["status"] for one in newest.features}
    assert found["age"] == "ok" and "breach" in {found[f"embedding[{at}]"] for at in range(1, 17)}
    assert Verdict.objects.get(judge="drift.input").status == "breach"


def test_vectors_of_another_model_are_taken_and_told(house: House) -> None:
    house.clock.set(AT)
    house.post("references", lines(rows(1_000, 1)))
    send(house, 0, rows(600, 2, 0, numbers=48))
    told = {one["name"]: one for one in Hour.objects.get().features}
    assert told["embedding[1]"]["status"] == "warning" and "no numbers" in told["embedding[1]"]["why"]
    assert send(house, 1, [{**one, "embedding": None} for one in rows(600, 3, 1)])["rows"] == 600
    lacking = [{key: one[key] for key in ("prediction_id", "time", "age")} for one in rows(600, 5, 2)]
    assert send(house, 2, lacking)["columns_missing"] == ["embedding"]


@pytest.mark.parametrize("arrow", [True, False])
def test_a_reference_of_a_period_keeps_the_directions(house: House, arrow: bool) -> None:
    house.clock.set(AT)
    house.post("references", lines(rows(1_000, 1)))
    send(house, 0, rows(600, 2, 0), arrow)
    period = {"from": AT.isoformat(), "to": (AT + timedelta(hours=1)).isoformat()}
    assert house.post("references", orjson.dumps(period), "application/json").status == 200
    first, second = Reference.objects.order_by("version")
    assert bytes(first.projections or b"") == bytes(second.projections or b"") != b""
    send(house, 2, rows(600, 3, 2), arrow)
    assert Hour.objects.filter(reference=second).get().status == "ok"
    assert clock.now() > AT
