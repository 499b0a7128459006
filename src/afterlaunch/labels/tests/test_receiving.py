"""Labels in: each body once, whole or not at all, from whom they may come."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from afterlaunch.labels import actions
from afterlaunch.labels.models import Batch, Source
from afterlaunch.labels.tests.conftest import AT, House, Stream, lines, said
from afterlaunch.predictions.columns import Texts, unpack
from afterlaunch.predictions.models import Kept

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
NOW = AT.isoformat()


def row(**changes: Any) -> dict[str, Any]:
    found = {"prediction_id": "a", "label": 1, "time": NOW, "source": "desk"} | changes
    return {name: value for name, value in found.items() if value != "absent"}


def as_columns(rows: list[Any], kind: str) -> bytes:
    table = pa.Table.from_pylist([{**one, "time": datetime.fromisoformat(one["time"]).astimezone(UTC)} for one in rows])
    sink = io.BytesIO()
    if kind == PARQUET:
        parquet.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["application/x-ndjson", ARROW, PARQUET])
def test_labels_come_before_their_predictions_in_any_form_and_are_kept(house: House, kind: str) -> None:
    rows = Stream().hour(0)[1]
    body = lines(rows) if kind == "application/x-ndjson" else as_columns(rows, kind)
    told = said(house.post("labels", body, kind))
    assert told == {"status": "ok", "rows": 200, "duplicate": False}
    kept = unpack(bytes(Batch.objects.get().columns))
    labels, ids = kept["label"], kept["text"]
    assert isinstance(labels, Texts) and isinstance(ids, Texts)
    assert [labels.at(at) for at in range(3)] == [str(one["label"]) for one in rows[:3]]
    assert ids.at(0) == "1-0-0"
    assert Source.objects.get().labels == 200


def test_the_same_body_changes_nothing(house: House) -> None:
    body = lines([row()])
    assert said(house.post("labels", body))["duplicate"] is False
    assert said(house.post("labels", body))["duplicate"] is True
    assert Batch.objects.count() == 1 and Source.objects.get().labels == 1
    key = {"idempotency-key": "night"}
    assert house.post("labels", lines([row(label=0)]), **key).status == 200
    assert house.post("labels", lines([row(label=2)]), **key).status == 409


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no label": (row(label="absent"), "label"),
    "null label": (row(label=None), "Row 2 has no label"),
    "no id": (row(prediction_id=None), "Row 2 has no prediction_id"),
    "no time": (row(time=None), "Row 2 has no time"),
    "no zone": (row(time="2026-03-03T00:00:00"), "row 2 has no zone"),
    "future": (row(time="2027-01-01T00:00:00Z"), "row 2 lies in the future"),
    "source": (row(source="a\nb"), "source"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_body_that_is_wrong_is_refused_whole_with_its_row(house: House, case: str) -> None:
    wrong, words = WRONG[case]
    first = {name: value for name, value in row(prediction_id="b").items() if name in wrong}
    answer = house.post("labels", lines([first, wrong]))
    assert answer.status == 400 and words in said(answer)["message"], answer.body
    assert not Batch.objects.exists() and not Source.objects.exists()


def test_labels_of_quantities_must_be_numbers(house: House) -> None:
    house.reference()
    rows = Stream().hour(0)[0]
    house.predict([{**{k: v for k, v in one.items() if k != "probability"}, "output": one["x"]} for one in rows])
    answer = house.post("labels", lines([row(label=1.5), row(label="much")]))
    assert answer.status == 400 and "label of row 2 is not a number" in said(answer)["message"]


def test_who_may_send(house: House) -> None:
    body = lines([row()])
    assert house.post("labels", body, who="viewer").status == 403
    assert house.post("labels", body, who="ingest of other").status == 403
    assert house.post("labels", body).status == 200
    pk = Batch.objects.get().place.system_id
    assert house.post(f"systems/{pk}/labels", body, who="ingest of other").status == 404
    assert said(house.post(f"systems/{pk}/labels", body))["duplicate"] is True


def test_a_body_lands_whole_or_not_at_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(actions, "_note_sources", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            house.post("labels", lines([row()]))
    assert not Batch.objects.exists()


def test_a_source_without_a_name_is_its_sender_and_says_until_when_it_is_complete(house: House) -> None:
    query = "client=acme&system=scoring&complete_until=2026-03-02T00:00:00Z"
    assert house.post("labels", lines([row(source="absent")]), query=query).status == 200
    source = Source.objects.get()
    assert source.name == "ingest" and source.complete_until == datetime(2026, 3, 2, tzinfo=UTC)
    assert house.post("labels", lines([row(source="absent")]), query=query.replace("Z", "")).status == 400
    # nobody has the labels of what is not predicted yet; every hour would be mature at once, and stay so
    ahead = query.replace("2026-03-02", "2099-01-01")
    assert house.post("labels", lines([row(source="absent", label=0)]), query=ahead).status == 400
    assert Source.objects.get().complete_until == datetime(2026, 3, 2, tzinfo=UTC)


def test_labels_that_were_taken_before_may_be_said_to_be_complete_and_count_once(house: House) -> None:
    body, query = lines([row(), row(prediction_id="p-2", source="feed")]), "client=acme&system=scoring"
    for until, answered in (("", None), ("2026-03-02", 2), ("2026-03-01", 2)):
        told = house.post("labels", body, query=f"{query}&complete_until={until}T00:00:00Z" if until else query)
        assert told.status == 200 and said(told) == {"status": "ok", "rows": 2, "duplicate": answered is not None}
    for source in Source.objects.all():
        assert source.labels == 1 == sum(source.hours.values())
        assert source.complete_until == datetime(2026, 3, 2, tzinfo=UTC), "a later word stands"
    assert Batch.objects.count() == 1


def test_a_prediction_keeps_few_bytes(house: House) -> None:
    house.reference()
    house.predict(Stream(rows=5_000).hour(0)[0])
    kept = Kept.objects.get()
    assert kept.rows == 5_000 and kept.weight < 21 * 5_000
    assert orjson.loads(orjson.dumps(kept.model_version)) == "v1"
