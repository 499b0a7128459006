"""Bodies in: each once, whole or not at all, from whom they may come."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground.errors import AfterlaunchError
from afterlaunch.predictions import actions, bodies, doors, folding, packed
from afterlaunch.predictions.models import Batch, Hour, Part, Reference
from afterlaunch.predictions.tests.conftest import AT, House, lines, table
from afterlaunch.receivers.wire import Answer, Request

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"


def said(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(answer.body)
    return found


def arrow_table(rows: list[Any]) -> pa.Table:
    found = pa.Table.from_pylist(rows)
    if "time" not in found.column_names:
        return found
    at = found.column_names.index("time")
    times = pa.array([datetime.fromisoformat(row["time"]) for row in rows], pa.timestamp("us", "UTC"))
    return found.set_column(at, "time", times)


def as_arrow(found: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, found.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(found, max_chunksize=200)
    return sink.getvalue()


def as_parquet(found: pa.Table) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(found, sink)
    return sink.getvalue()


def merged() -> dict[str, Any]:
    reference = Reference.objects.latest("version")
    layouts = actions.layouts_of(reference.pk, reference.digest)
    found = packed.empty(layouts)
    for part in Part.objects.filter(reference=reference).order_by("pk"):
        found = packed.merge(found, packed.unpack(bytes(part.profile), layouts))
    return found


def test_a_reference_is_made_once_and_is_evidence(house: House) -> None:
    first = said(house.reference())
    assert first["version"] == 1 and first["rows"] == 5_000 and first["columns"] == 3
    assert said(house.reference())["id"] == first["id"]
    assert Entry.objects.filter(deed="reference.made").count() == 1
    other = said(house.post("references", lines(table(300, seed=9, start=None))))
    assert other["version"] == 2


@pytest.mark.parametrize("kind", ["lines", "arrow", "dictionary", "parquet"])
def test_the_same_rows_give_the_same_profiles_however_they_come(house: House, kind: str) -> None:
    house.reference()
    rows = table(700, start=AT)
    found = arrow_table(rows)
    if kind == "dictionary":
        at = found.column_names.index("colour")
        found = found.set_column(at, "colour", found["colour"].dictionary_encode())
    body, told = {
        "lines": (lines(rows), "application/x-ndjson"),
        "arrow": (as_arrow(found), ARROW),
        "dictionary": (as_arrow(found), ARROW),
        "parquet": (as_parquet(found), PARQUET),
    }[kind]
    answer = house.post("predictions", body, told, "ingest")
    assert answer.status == 200, answer.body
    assert said(answer) | {"reference": 1} == {
        "status": "ok", "rows": 700, "windows": 12, "duplicate": False, "reference": 1,
        "columns_ignored": [], "columns_missing": [],
    }  # fmt: skip
    profiles = merged()
    assert profiles["age"].count == 700 and profiles["colour"].count == 700
    layouts = {name: profile.layout for name, profile in profiles.items()}
    whole = folding.whole(layouts, bodies.read(lines(rows), "application/x-ndjson"))
    for name, profile in profiles.items():
        assert (profile.counts == whole[name].counts).all()  # halves go by the id: windows do not move a row
        assert (profile.counts.sum(1) > 0).all()


def test_sending_again_changes_nothing(house: House) -> None:
    house.reference()
    assert said(house.send(0))["duplicate"] is False
    before = (Part.objects.count(), Hour.objects.get().touched)
    again = house.send(0)
    assert again.status == 200 and said(again)["duplicate"] is True
    assert (Part.objects.count(), Hour.objects.get().touched) == before == (12, 1)
    body, other = lines(table(5, seed=77)), lines(table(5, seed=78))
    key = {"idempotency-key": "night"}
    assert house.post("predictions", body, who="ingest", **key).status == 200
    assert said(house.post("predictions", body, who="ingest", **key))["duplicate"] is True
    assert house.post("predictions", other, who="ingest", **key).status == 409
    assert Batch.objects.count() == 2


def test_a_body_lands_whole_or_not_at_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.reference()
    with monkeypatch.context() as patch:
        patch.setattr(actions, "_touch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            house.send(0)
    assert not Batch.objects.exists() and not Part.objects.exists() and not Hour.objects.exists()
    assert said(house.send(0))["duplicate"] is False


def test_without_a_reference_nothing_is_taken_and_it_says_what_to_do(house: House) -> None:
    answer = house.send(0)
    assert answer.status == 409 and "references" in said(answer)["hint"] and not Batch.objects.exists()


def test_columns_that_lack_or_are_strange_are_told(house: House) -> None:
    house.reference()
    rows = [{**row, "new": 1} for row in table(40)]
    for row in rows:
        del row["age"]
    told = said(house.post("predictions", lines(rows), who="ingest"))
    assert told["columns_ignored"] == ["new"] and told["columns_missing"] == ["age"]
    assert merged()["age"].missing == 40


WRONG: dict[str, tuple[list[Any], str]] = {
    "no id": ([{"time": AT.isoformat(), "age": 1}], "prediction_id"),
    "no time": ([{"prediction_id": 1, "age": 1}], "time"),
    "no zone": ([{"prediction_id": 1, "time": "2026-03-03T10:00:00"}], "zone"),
    "no instant": ([{"prediction_id": 1, "time": "soon"}], "RFC 3339"),
    "future": ([{"prediction_id": 1, "time": "2027-03-03T10:00:00Z"}], "future"),
    "long ago": ([{"prediction_id": 1, "time": "1970-01-02T10:00:00Z"}], "2000"),
    "twice": ([{"prediction_id": 1, "time": AT.isoformat()}] * 2, "more than one row"),
    "empty id": ([{"prediction_id": "", "time": AT.isoformat()}], "Row 1 has no prediction_id"),
    "null id": ([{"prediction_id": None, "time": AT.isoformat()}], "Row 1 has no prediction_id"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said(house: House, wrong: str) -> None:
    house.reference()
    rows, told = WRONG[wrong]
    answer = house.post("predictions", lines(rows), who="ingest")
    assert answer.status == 400 and told in said(answer)["message"]
    assert not Batch.objects.exists()


def test_encodings_are_utf_8_with_or_without_a_mark(house: House) -> None:
    house.reference()
    body = orjson.dumps({"prediction_id": "ü", "time": AT.isoformat(), "colour": "grün"})
    for wrong in ("utf-16", "latin-1"):
        answer = house.post("predictions", body.decode().encode(wrong), who="ingest")
        assert answer.status == 400 and "UTF-8" in said(answer)["hint"]
    assert house.post("predictions", b"\xef\xbb\xbf" + body, who="ingest").status == 200


def test_bodies_that_are_none_or_too_much(house: House) -> None:
    house.reference()

    def status(body: bytes, kind: str = "application/x-ndjson") -> int:
        return house.post("predictions", body, kind, "ingest").status

    assert status(b"{}", "text/csv") == 415 and status(b"") == 400 and status(b"[1]") == 400
    assert status(b'{"a": NaN}') == 400 and status(b"PAR1", PARQUET) == 400 and status(b"nothing", ARROW) == 400
    assert status(orjson.dumps({f"c{at}": 1 for at in range(600)})) == 413
    found = arrow_table(table(300))
    assert status(as_arrow(found, compression="zstd"), ARROW) == 415
    assert status(as_arrow(pa.table({"x": [[1, 2]]})), ARROW) == 400
    many = [{"prediction_id": at, "time": (AT - timedelta(minutes=5 * at)).isoformat()} for at in range(7_000)]
    assert status(lines(many)) == 413


def test_only_its_own_addresses_are_served(house: House) -> None:
    for path in ("predictions", "references", "systems/7/predictions", "systems/7/references"):
        assert doors.serves(f"/api/v1/{path}")
    for path in ("systems/7/drift", "systems/x/predictions", "predictions/", "systems//predictions", "verdicts"):
        assert not doors.serves(f"/api/v1/{path}")
    house.reference()
    request = Request("GET", "/api/v1/predictions", {"authorization": f"Bearer {house.tokens['admin']}"})
    assert doors.answer(request).status == 405
    assert doors.answer(Request("POST", "/api/v1/predictions")).status == 401


def test_a_lost_database_says_when_to_come_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.reference()

    def lost(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(actions, "receive", lost)
    answer = house.send(0)
    assert answer.status == 503 and dict(answer.headers)["retry-after"] == "10"


def test_who_may_send(house: House) -> None:
    house.reference()
    system = System.objects.get(key="scoring")
    body = lines(table(20))
    for name in ("viewer", "operator"):
        assert house.post("predictions", body, who=name).status == 403
        assert house.post(f"systems/{system.pk}/predictions", body, who=name).status == 403
    for name in ("ingest of other", "admin of other"):
        assert house.post("predictions", body, who=name).status == 403
        assert house.post(f"systems/{system.pk}/predictions", body, who=name).status == 404
        assert house.post(f"systems/{system.pk}/references", body, who=name).status == 404
    for name in ("ingest", "viewer"):
        assert house.post("references", body, who=name).status == 403
    house.tokens["none"] = "alt_unknown"
    assert house.post("predictions", body, who="none").status == 401
    assert house.post("systems/999999/predictions", body, who="ingest").status == 404
    assert not Batch.objects.exists() and Reference.objects.count() == 1
    assert house.post(f"systems/{system.pk}/predictions", body, who="ingest", query="environment=prod").status == 200


def test_mixed_values_are_counted_and_not_dropped(house: House) -> None:
    house.reference()
    rows = table(60)
    rows[0]["age"], rows[1]["age"], rows[2]["age"], rows[3]["age"] = "unknown", None, "41", [1]
    assert house.post("predictions", lines(rows), who="ingest").status == 200
    found = merged()["age"]
    assert (found.count, found.missing, found.wrong) == (57, 1, 2)


READ = st.sampled_from(sorted(bodies.READERS))
SEEDS = [lines(table(3)), as_arrow(arrow_table(table(3))), as_parquet(arrow_table(table(3)))]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    READ, st.sampled_from(SEEDS), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6), st.floats(0, 1)
)
def test_any_bytes_are_rows_or_a_refusal(kind: str, seed: bytes, flips: list[tuple[float, int]], end: float) -> None:
    body = bytearray(seed)
    for place, value in flips:
        body[int(place * (len(body) - 1))] = value
    try:
        rows = bodies.read(bytes(body[: int(end * len(body)) + 1] if end < 0.3 else body), kind)
        layouts, _ = folding.learn(rows)
        folding.windows(layouts, rows, AT + timedelta(days=365))
    except AfterlaunchError as problem:
        assert problem.message and problem.status < 500


json_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.lists(st.integers())


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=4), max_size=8))
def test_any_json_is_rows_or_a_refusal(rows: list[dict[str, Any]]) -> None:
    try:
        found = bodies.read(
            b"\n".join(orjson.dumps(row, option=orjson.OPT_PASSTHROUGH_DATACLASS) for row in rows), "application/jsonl"
        )
        layouts, _ = folding.learn(found)
        profiles = folding.whole(layouts, found)
        assert all(profile.records == found.count for profile in profiles.values())
    except TypeError as problem:  # integers that JSON's writer does not take
        assert "64-bit" in str(problem) or "surrogates" in str(problem)
    except AfterlaunchError as problem:
        assert problem.message
