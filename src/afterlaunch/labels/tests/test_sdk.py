"""Tables of an application's, sent by the SDK over a real connection to the real doors."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import afterlaunch
from afterlaunch import sdk
from afterlaunch.ground.errors import Overloaded, TooLarge
from afterlaunch.labels import doors
from afterlaunch.labels.models import Batch as LabelBatch
from afterlaunch.labels.models import Source
from afterlaunch.labels.tests.conftest import AT, House, Stream, lines
from afterlaunch.predictions import doors as predictions
from afterlaunch.predictions.actions import layouts_of
from afterlaunch.predictions.models import Batch, Part
from afterlaunch.predictions.packed import unpack
from afterlaunch.receivers.wire import Answer, Request, refusal
from afterlaunch.sdk import posting, start


@dataclass
class Server:
    """The doors behind HTTP, answered on this thread, whose database it is, while the SDK runs on another. `faults`: an
    answer to give instead, None to take the body and cut the connection before the answer."""

    url: str = ""
    token: str = ""
    largest: int = 2**30
    faults: list[Answer | None] = field(default_factory=list)
    seen: list[Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    http: HTTPServer | None = None

    def answer(self, request: Request) -> Answer | None:
        self.seen.append(request)
        fault = self.faults.pop(0) if self.faults else False
        if isinstance(fault, Answer):
            return fault
        if len(request.body) > self.largest:
            return refusal(TooLarge("The body is larger than this test allows.", "Split it."))
        found = (doors if doors.serves(request.path) else predictions).answer(request)
        return None if fault is None else found

    def send(self, call: Callable[..., sdk.Taken], data: Any, **named: Any) -> sdk.Taken:
        given = {"endpoint": self.url, "token": self.token, "system": "scoring", "client": "acme", **named}
        assert self.http is not None
        with ThreadPoolExecutor(1) as pool:
            going = pool.submit(partial(call, data, **given))
            while not going.done():
                self.http.handle_request()
            return going.result()


@pytest.fixture
def server(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server(token=house.tokens["ingest"])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found = made.answer(Request("POST", path, headers, body, query))
            if found is None:
                return
            self.send_response(found.status)
            for name, value in (*found.headers, ("content-length", str(len(found.body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *_: Any) -> None:
            pass

    for name in ("AFTERLAUNCH_ENDPOINT", "AFTERLAUNCH_TOKEN", "AFTERLAUNCH_SYSTEM", "AFTERLAUNCH_CLIENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(posting, "pause", made.pauses.append)
    with HTTPServer(("127.0.0.1", 0), Handler) as made.http:
        made.http.timeout = 0.02
        made.url = f"http://127.0.0.1:{made.http.server_port}"
        told, _ = Stream(seed=9, rows=500).hour(0)
        features = [{name: row[name] for name in ("x", "desk")} for row in told]
        assert house.post("/api/v1/references", lines(features), who="operator").status == 200
        yield made


def rows_of(hours: int = 1, rows: int = 200) -> tuple[list[Any], list[Any]]:
    found = [Stream(rows=rows).hour(number) for number in range(hours)]
    return [row for hour, _ in found for row in hour], [row for _, hour in found for row in hour]


def in_pandas(rows: list[Any]) -> Any:
    frame = pd.DataFrame(rows)
    frame["time"] = pd.to_datetime(frame["time"], format="ISO8601").dt.as_unit("ns") + pd.Timedelta(1, "ns")
    frame["desk"] = frame["desk"].astype("category")
    return frame


def in_columns(rows: list[Any]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


FORMS: dict[str, Callable[[list[Any]], Any]] = {
    "dicts": iter,
    "columns": in_columns,
    "pandas": in_pandas,
    "polars": lambda rows: pl.DataFrame(rows).with_columns(pl.col("desk").cast(pl.Categorical)),
    "arrow": pa.Table.from_pylist,
}


@pytest.mark.parametrize("plain", [False, True], ids=["arrow", "lines"])
@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_table_arrives_whole(
    server: Server, monkeypatch: pytest.MonkeyPatch, form: str, plain: bool
) -> None:
    if plain and form == "arrow":
        pytest.skip("an Arrow table brings pyarrow")
    predicted, labelled = rows_of()
    given = FORMS[form](predicted)
    if plain:
        monkeypatch.setattr("afterlaunch.sdk.tables._pyarrow", lambda: None)
    taken = server.send(afterlaunch.log_predictions, given)
    assert taken == sdk.Taken(200, 0, 1, ["probability", "output"], [])
    assert server.seen[0].headers["content-type"].endswith("ndjson" if plain else "arrow.stream")
    told = FORMS["columns" if form == "pandas" else form](labelled) if form != "polars" else pl.DataFrame(labelled)
    assert server.send(afterlaunch.log_labels, told) == sdk.Taken(200, 0, 1)
    assert (Batch.objects.get().rows, LabelBatch.objects.get().rows) == (200, 200)


@pytest.mark.parametrize("form", ["pandas", "polars", "dicts"])
def test_a_large_table_goes_in_bodies_in_order_of_time_and_again_changes_nothing(server: Server, form: str) -> None:
    predicted, _ = rows_of(hours=6)
    predicted[7]["x"] = None
    shuffled = predicted[1::2] + predicted[::2]
    first = server.send(afterlaunch.log_predictions, FORMS[form](shuffled), max_body_mb=0.03)
    assert first.rows == 1_200 and first.bodies > 2 and first.bodies == len(server.seen) == Batch.objects.count()
    assert all(len(request.body) <= 0.03 * 2**20 for request in server.seen)
    assert len({request.headers["idempotency-key"] for request in server.seen}) == first.bodies
    assert Part.objects.count() <= 72 + first.bodies, "a body touches its own windows and one of its neighbour"
    again = server.send(afterlaunch.log_predictions, FORMS[form](shuffled), max_body_mb=0.03)
    assert (again.rows, again.duplicates, again.bodies) == (0, 1_200, first.bodies)


def test_what_the_server_finds_too_large_is_halved(server: Server) -> None:
    predicted, labelled = rows_of(hours=2)
    server.largest = 12_000
    taken = server.send(afterlaunch.log_predictions, predicted)
    assert taken.rows == 400 and taken.bodies == 4 == Batch.objects.count()
    before = len(server.seen)
    until = AT + timedelta(hours=2)
    assert server.send(afterlaunch.log_labels, labelled, complete_until=until).rows == 400
    said = ["complete_until" in request.query for request in server.seen[before:] if len(request.body) < 12_000]
    assert said == [False] * (len(said) - 1) + [True]
    again = server.send(afterlaunch.log_labels, labelled, complete_until=until + timedelta(hours=1))
    assert (again.rows, again.duplicates) == (0, 400) and Source.objects.get().complete_until == until + timedelta(
        hours=1
    )
    labelled[0]["source"] = "another"
    with pytest.raises(ValueError, match="several sources"):
        server.send(afterlaunch.log_labels, labelled, complete_until=until)


def test_a_busy_server_and_a_lost_connection_are_waited_for(server: Server) -> None:
    predicted, _ = rows_of()
    busy = refusal(Overloaded("Too many bodies wait.", "Send it again.", 7))
    server.faults = [busy, None, None]  # the last two were committed, and the answers lost
    taken = server.send(afterlaunch.log_predictions, predicted)
    assert server.pauses == [7.0, 2.0, 4.0]
    assert (taken.rows, taken.duplicates) == (0, 200) and Batch.objects.get().rows == 200
    assert len({request.headers["idempotency-key"] for request in server.seen}) == 1


def test_waiting_has_an_end_and_says_what_was_taken(server: Server) -> None:
    predicted, _ = rows_of()
    busy = refusal(Overloaded("Too many bodies wait.", "Send it again.", 600))
    server.faults = [Answer(200, b'{"rows": 100}'), *[busy] * 9]
    with pytest.raises(sdk.NotTaken, match=r"503: Too many bodies wait\. .* Tried for 70 s") as told:
        server.send(afterlaunch.log_predictions, predicted, patience=70, max_body_mb=0.012)
    assert server.pauses == [30.0, 30.0, 10.0] and told.value.status == 503
    assert told.value.taken.rows == 100 and "100 rows were taken" in str(told.value)
    with pytest.raises(sdk.NotTaken, match="no answer") as gone:
        sdk.log_predictions(predicted, endpoint="http://127.0.0.1:9", system="scoring", patience=0)
    assert gone.value.status is None


def test_the_servers_words_are_the_error(server: Server, house: House) -> None:
    predicted, _ = rows_of()
    naive = [{**row, "time": "2026-03-03T00:00:00"} for row in predicted]
    send = partial(server.send, afterlaunch.log_predictions)
    with pytest.raises(sdk.NotTaken, match="400: The time of row 1 has no zone") as told:
        send(naive)
    assert told.value.status == 400 and told.value.taken == sdk.Taken()
    for error, named in (
        ("401: ", {"token": "nobody"}),
        ("403: This needs the role ingest", {"token": house.tokens["viewer"]}),
        ("403: .*ingest.*other", {"client": "other"}),
        ("404: There is no system 999", {"system": 999}),
        ("409: elsewhere has no reference", {"system": "elsewhere"}),
    ):
        with pytest.raises(sdk.NotTaken, match=error) as refused:
            send(predicted, **named)
        assert server.token not in str(refused.value)
    assert not Batch.objects.exists() and not server.pauses
    server.faults = [Answer(302, b"", (("location", "http://127.0.0.1:9/"),)), Answer(200, b"<html>")]
    with pytest.raises(sdk.NotTaken, match="302"):
        send(predicted)
    with pytest.raises(sdk.NotTaken, match="not Afterlaunch"):
        send(predicted)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([{"x": 1}], "no column 'prediction_id'.*no column 'time'.*The columns are: x"),
        ({"prediction_id": ["a"], "time": []}, "differ in length: prediction_id 1, time 0"),
        ({"prediction_id": [], "time": []}, "no rows"),
        ([{"prediction_id": "a", "time": "t", "x": object()}], "'x' holds a object"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "called 'a'"),
        (pl.LazyFrame({"a": [1]}), "collect"),
        ([1], "Row 1 is no dict"),
        ("rows.csv", "not as str"),
        (7, "not as int"),
    ],
)
def test_what_cannot_be_a_table_is_said_before_anything_is_sent(data: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        sdk.log_predictions(data, endpoint="http://127.0.0.1:9", system="scoring")


def test_values_of_every_kind_are_read_alike_with_and_without_pyarrow(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 3, 3, 5, tzinfo=UTC)
    rows = [
        {"prediction_id": uuid.UUID(int=number), "time": at, "x": x, "desk": desk}
        for number, (x, desk) in enumerate(
            [(1, "north"), (float("nan"), None), (float("inf"), "west"), (Decimal("2.5"), "south"), ("much", "west")]
        )
    ]
    assert server.send(sdk.log_predictions, rows).rows == 5
    frame = pd.DataFrame({"prediction_id": ["p", "q"], "time": [at, at], "x": pd.array([1, None], "Int64")})
    assert server.send(sdk.log_predictions, frame).columns_missing == ["desk"]
    monkeypatch.setattr("afterlaunch.sdk.tables._pyarrow", lambda: None)
    assert server.send(sdk.log_predictions, rows).duplicates == 5, "mixed kinds go as JSON lines either way"
    assert server.send(sdk.log_predictions, frame.assign(time=[at, at + timedelta(hours=1)])).rows == 2
    body = server.seen[-1].body.decode()
    assert body.splitlines()[1] == '{"prediction_id":"q","time":"2026-03-03T06:00:00+00:00","x":null}'


def test_where_it_goes_is_what_init_was_told_else_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    predicted, labelled = rows_of()
    none = {"endpoint": None, "token": None, "system": None, "client": None}
    with pytest.raises(ValueError, match="Name the system"):
        sdk.log_predictions(predicted)
    monkeypatch.setenv("AFTERLAUNCH_ENDPOINT", server.url)
    monkeypatch.setenv("AFTERLAUNCH_TOKEN", server.token)
    monkeypatch.setenv("AFTERLAUNCH_SYSTEM", "scoring")
    assert server.send(sdk.log_predictions, predicted, **none).rows == 200, "a token of one client names it"
    target = start._Target(server.url, {"Authorization": f"Bearer {server.token}"})
    monkeypatch.setenv("AFTERLAUNCH_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AFTERLAUNCH_TOKEN", "another")
    monkeypatch.setattr(start, "_running", start._Running(target, {"afterlaunch.system": "scoring"}))
    assert server.send(sdk.log_labels, labelled, **none).rows == 200
    with pytest.raises(ValueError, match="characters that no token has") as told:
        sdk.log_labels(labelled, token="abc\ndef")
    assert "abc" not in str(told.value)


def test_nothing_of_pandas_polars_or_pyarrow_is_loaded_by_the_sdk_itself() -> None:
    import subprocess

    code = "import afterlaunch, sys; afterlaunch.log_labels; print({'pandas', 'polars', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize("form", FORMS)
def test_embeddings_go_with_the_rows_and_are_judged_as_features(server: Server, house: House, form: str) -> None:
    count = 300
    vectors = [[float(at % 7), float(at % 3), at / count] for at in range(count)]
    reference = [{"desk": "a", "embedding": one} for one in vectors]
    assert house.post("/api/v1/references", lines(reference), who="operator").status == 200
    rows = [{"prediction_id": f"e-{at}", "time": AT.isoformat(), "desk": "a"} for at in range(count)]
    taken = server.send(afterlaunch.log_predictions, FORMS[form](rows), embeddings=vectors)
    assert (taken.rows, taken.columns_ignored, taken.columns_missing) == (count, [], [])
    listed = [{**row, "prediction_id": f"f-{row['prediction_id']}", "embedding": vectors[0]} for row in rows]
    assert server.send(afterlaunch.log_predictions, FORMS[form](listed)).columns_ignored == []
    part = Part.objects.order_by("pk").first()
    assert part is not None
    folded = unpack(bytes(part.profile), layouts_of(part.reference_id, part.reference.digest))
    assert {name: one.count for name, one in folded.items()} == dict.fromkeys(
        ("desk", "embedding[1]", "embedding[2]", "embedding[3]", "embedding[rest]"), count
    )
    with pytest.raises(ValueError, match="2 vectors 'embedding' for 300 rows"):
        server.send(afterlaunch.log_predictions, FORMS[form](rows), embeddings=vectors[:2])
