"""The receiver as senders meet it: every answer, and what stands in the store afterwards."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry import buffer as buffers
from afterlaunch.telemetry import exposition, records
from afterlaunch.telemetry import intake as intakes
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.conventions.spans import columns
from afterlaunch.telemetry.ingest import Ingest, NotTaken
from afterlaunch.telemetry.intake import TRACES, Door, Intake, Pace, Signal
from afterlaunch.telemetry.journal import Journal


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[Buffer]:
    made = Buffer(stores.open_store(tmp_path / "t.duckdb"), 1_000_000)
    yield made
    made.close()
    stores.close_store()


def body(trace: str = "0af7651916cd43dd8448eb211c80319c", span: str = "b7ad6b7169203331") -> bytes:
    attributes = {
        "gen_ai.operation.name": {"stringValue": "chat"},
        "gen_ai.provider.name": {"stringValue": "openai"},
        "gen_ai.response.model": {"stringValue": "gpt-4o-2024-08-06"},
        "gen_ai.usage.input_tokens": {"intValue": "1000"},
        "gen_ai.usage.cache_read.input_tokens": {"intValue": 400},
        "gen_ai.usage.output_tokens": {"intValue": 100},
    }
    one = {
        "traceId": trace,
        "spanId": span,
        "name": "chat gpt-4o",
        "kind": 3,
        "startTimeUnixNano": "1772323200000000000",
        "endTimeUnixNano": "1772323201500000000",
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "support"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [one]}]}]}).encode()


def post(
    buffer: Buffer,
    data: bytes,
    headers: dict[str, str] | None = None,
    method: str = "POST",
    open_door: bool = True,
    peer: str = "127.0.0.1",
    max_body: int = 100_000,
    trust_names: bool = False,
    signal: Signal = TRACES,
) -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []
    given = {"content-type": "application/json", **(headers or {})}
    scope = {
        "method": method,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": (peer, 1),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Ingest(Intake(buffer, max_body, Door(open_door, trust_names), signal))(scope, receive, send))
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, sent[1]["body"]


def stored() -> dict[str, Any]:
    (row,) = stores.current().query(
        "select (select count(*) from spans) as spans, count(*) as calls, sum(cost_nano)::bigint as cost,"
        " sum(in_uncached)::bigint as fresh, sum(in_cache_read)::bigint as cached from calls"
    )
    return row


def test_what_is_answered_200_is_stored_counted_and_priced(buffer: Buffer) -> None:
    status, headers, answer = post(buffer, body())
    assert (status, headers["content-type"], answer) == (200, "application/json", b"{}")
    # 600 x 2.50 + 400 x 1.25 + 100 x 10.00 USD per million
    assert stored() == {"spans": 1, "calls": 1, "cost": 3_000_000, "fresh": 600, "cached": 400}


def test_a_body_sent_again_changes_nothing(buffer: Buffer) -> None:
    for _ in range(3):
        assert post(buffer, gzip.compress(body()), {"content-encoding": "gzip"})[0] == 200
    assert stored()["spans"] == 1


def test_spans_that_can_never_be_stored_are_refused_by_name_and_the_rest_kept(buffer: Buffer) -> None:
    good, bad = json.loads(body()), json.loads(body(trace="00" * 16))
    good["resourceSpans"] += bad["resourceSpans"]
    status, _, answer = post(buffer, json.dumps(good).encode())
    assert status == 200 and json.loads(answer)["partialSuccess"]["rejectedSpans"] == "1"
    assert stored()["spans"] == 1


@pytest.mark.parametrize(
    ("data", "headers", "method", "status"),
    [
        (b"{", {}, "POST", 400),
        (b"[]", {}, "POST", 400),
        (b"\x0a\xff", {"content-type": "application/x-protobuf"}, "POST", 400),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}', {}, "POST", 400),
        (b"not gzip", {"content-encoding": "gzip"}, "POST", 400),
        (gzip.compress(b"{}", mtime=0)[:-6], {"content-encoding": "gzip"}, "POST", 400),
        (b"{}", {"content-encoding": "br"}, "POST", 415),
        (b"{}", {"content-type": "text/plain"}, "POST", 415),
        (b"x" * 100_001, {}, "POST", 413),
        (gzip.compress(b" " * 200_000, mtime=0), {"content-encoding": "gzip"}, "POST", 413),
        (b"", {}, "GET", 405),
    ],
)
def test_what_is_wrong_is_answered_with_its_reason(
    buffer: Buffer, data: bytes, headers: dict[str, str], method: str, status: int
) -> None:
    got, _, answer = post(buffer, data, headers, method)
    assert got == status
    assert answer and stored()["spans"] == 0


def test_a_gzip_body_of_several_members_is_read_to_its_end(buffer: Buffer) -> None:
    whole = body()
    data = gzip.compress(whole[:100]) + gzip.compress(whole[100:])
    assert post(buffer, data, {"content-encoding": "gzip"})[0] == 200
    assert stored()["spans"] == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "SPAN_KIND_CLIENT"}, "resourceSpans[0].scopeSpans[0].spans[0].kind"),
        ({"status": {"code": "STATUS_CODE_ERROR"}}, "resourceSpans[0].scopeSpans[0].spans[0].status.code"),
        ({"traceId": "xyz"}, "resourceSpans[0].scopeSpans[0].spans[0].traceId"),
        ({"startTimeUnixNano": "hush"}, "resourceSpans.scopeSpans.spans.startTimeUnixNano"),
    ],
)
def test_a_wrong_field_is_named_and_what_it_holds_is_not_repeated(
    buffer: Buffer, change: dict[str, Any], field: str
) -> None:
    told = json.loads(body())
    told["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= change
    status, _, answer = post(buffer, json.dumps(told).encode())
    said = json.loads(answer)
    assert status == 400 and said["code"] == 3 and field in said["message"] and "hush" not in said["message"]
    (detail,) = said["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest" and detail["fieldViolations"]


def test_unknown_fields_are_ignored(buffer: Buffer) -> None:
    told = json.loads(body())
    told |= {"traceId": 7, "more": {"spanId": None}}
    told["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["kinds"] = ["SPAN"]
    assert post(buffer, json.dumps(told).encode())[0] == 200
    assert stored()["spans"] == 1


def test_a_commit_that_takes_too_long_is_504_and_lands_once_when_sent_again(
    buffer: Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intakes, "COMMIT_SECONDS", 0.05)
    with stores.current()._write:  # somebody else writes
        status, headers, answer = post(buffer, body())
    assert status == 504 and int(headers["retry-after"]) >= 1
    assert json.loads(answer)["details"][0]["@type"] == "type.googleapis.com/google.rpc.RetryInfo"
    monkeypatch.setattr(intakes, "COMMIT_SECONDS", 10)
    assert post(buffer, body())[0] == 200
    assert stored()["spans"] == 1 and buffer.held_bytes == 0


def poison(*spans: str) -> Signal:
    """Reads no body with a span of these ids: a fault of ours."""

    def breaks(data: bytes, *rest: Any) -> Any:
        if any(bytes.fromhex(one) in data or one.encode() in data for one in spans):
            raise AttributeError("hush")
        return TRACES.decode(data, *rest)

    return replace(TRACES, decode=breaks)


def several(count: int) -> tuple[bytes, list[str]]:
    """A body of spans, and their ids."""
    told, spans = json.loads(body()), [f"b7ad6b71{number:08x}" for number in range(1, count + 1)]
    for span in spans:
        told["resourceSpans"].append(json.loads(body(span=span))["resourceSpans"][0])
    told["resourceSpans"].pop(0)
    return json.dumps(told).encode(), spans


def test_a_body_that_we_cannot_read_is_a_dead_letter_and_is_never_sent_again(buffer: Buffer) -> None:
    status, headers, answer = post(buffer, body(), signal=poison("b7ad6b7169203331"))
    assert status == 400 and "retry-after" not in headers and b"hush" not in answer
    assert "dead letter" in json.loads(answer)["message"]
    (letter,) = stores.current().query("select client, why from dead_letter")
    assert letter["client"] == "house" and letter["why"].startswith("1 spans cannot be read: AttributeError at ")
    assert buffer.held_bytes == 0


def test_the_neighbours_of_what_we_cannot_read_are_stored(buffer: Buffer) -> None:
    data, spans = several(100)
    bad = [spans[3], spans[57]]
    status, _, answer = post(buffer, data, signal=poison(*bad))
    assert status == 200 and json.loads(answer)["partialSuccess"]["rejectedSpans"] == "2"
    assert "dead letter" in json.loads(answer)["partialSuccess"]["errorMessage"]
    assert stored()["spans"] == 98
    (letter,) = stores.current().query("select body from dead_letter")
    (row,) = pa.ipc.open_stream(letter["body"]).read_all().to_pylist()
    assert sorted(bytes.fromhex(one) in row["sent_body"] for one in spans) == [False] * 98 + [True] * 2


def test_a_body_that_is_bad_throughout_is_given_up_soon(buffer: Buffer) -> None:
    data, spans = several(300)
    asked: list[int] = []
    signal = poison(*spans)

    def counted(*given: Any) -> Any:
        asked.append(1)
        return signal.decode(*given)

    assert post(buffer, data, signal=replace(signal, decode=counted), max_body=1_000_000)[0] == 400
    assert len(asked) < 150
    assert stores.current().query("select count(*) as n from dead_letter")[0]["n"] == 1


def test_a_span_that_no_rule_can_map_is_kept_as_it_came_and_its_neighbours_are_mapped(
    buffer: Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, spans = several(20)

    def breaks(decoded: Any, *rest: Any) -> Any:
        if bytes.fromhex(spans[7]) in decoded.spans.field("span_id").to_pylist():
            raise KeyError("hush")
        return columns(decoded, *rest)

    monkeypatch.setattr("afterlaunch.telemetry.conventions.columns", breaks)
    assert post(buffer, data)[::2] == (200, b"{}")
    assert stored() | {"cost": 0} == {"spans": 20, "calls": 19, "cost": 0, "fresh": 19 * 600, "cached": 19 * 400}


@pytest.mark.parametrize("journaled", [False, True])
def test_of_rows_that_break_a_commit_the_good_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journaled: bool
) -> None:
    """Of a body whose sender waits, and of one that was answered for."""
    store = stores.open_store(tmp_path / "t.duckdb")
    data, spans = several(40)
    commit, bad = store.commit, bytes.fromhex(spans[11])

    def picky(tables: list[Any]) -> tuple[int, int]:
        if any(bad in table["span_id"].to_pylist() for table in tables):
            raise OverflowError("too large")
        return commit(tables)

    monkeypatch.setattr(store, "commit", picky)
    journal = Journal(tmp_path / "journal" / "spans")
    if journaled:
        journal.append([normalise(data, "application/json", None, 0).table])
    made = Buffer(store, 1_000_000, Journal(tmp_path / "journal" / "spans") if journaled else None)
    if not journaled:
        status, _, answer = post(made, data)
        assert status == 200 and json.loads(answer)["partialSuccess"]["rejectedSpans"] == "1"
    assert stored()["spans"] == 39 and made.counts.buried == 1
    assert stores.current().query("select why from dead_letter") == [{"why": "OverflowError: too large"}]
    made.close()
    stores.close_store()


def test_a_signal_without_a_place_is_not_found() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"method": "POST", "headers": [(b"content-type", b"application/json")]}
    asyncio.run(NotTaken()(scope, None, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 404 and json.loads(sent[1]["body"])["code"] == 5


def test_who_is_turned_away_comes_back_when_there_may_be_room_and_not_with_all_others() -> None:
    pace = Pace()
    assert 1 <= pace.wait(10**9) <= 3, "nothing known yet"
    pace._landed.append((time.monotonic() - 5, 1_000_000))
    waits = {pace.wait(2_000_000) for _ in range(200)}
    assert len(waits) > 3 and min(waits) >= 1 and max(waits) <= 17, waits  # 10 s of work, give or take half
    assert {pace.wait(10**12)} == {30}


def test_a_full_buffer_says_503_and_when_to_come_again(buffer: Buffer) -> None:
    buffer.reserve(1_000_000)
    status, headers, _ = post(buffer, body())
    assert status == 503 and int(headers["retry-after"]) >= 1
    buffer.release(1_000_000)
    buffer.decoded()
    assert post(buffer, body())[0] == 200


def test_without_a_token_only_loopback_is_heard_and_only_where_the_door_is_open(buffer: Buffer) -> None:
    assert post(buffer, body(), open_door=False)[0] == 401
    assert post(buffer, body(), peer="192.0.2.7")[0] == 401
    assert post(buffer, body(), {"x-forwarded-for": "192.0.2.7"})[0] == 401
    assert stored()["spans"] == 0


@pytest.mark.parametrize(("trusted", "owner"), [(False, "house"), (True, "globex")])
def test_a_client_named_without_a_token_is_believed_only_where_the_owner_said_so(
    buffer: Buffer, trusted: bool, owner: str
) -> None:
    """In the resource and on the span alike."""
    told = json.loads(body())
    named = {"key": "afterlaunch.client", "value": {"stringValue": "globex"}}
    told["resourceSpans"][0]["resource"]["attributes"].append(named)
    told["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"].append(named)
    assert post(buffer, json.dumps(told).encode(), trust_names=trusted)[0] == 200
    assert [row["client"] for row in records.spans(None)] == [owner]


def test_an_empty_request_succeeds(buffer: Buffer) -> None:
    assert post(buffer, b"{}")[0] == 200


def test_a_body_that_can_never_be_stored_is_kept_as_a_dead_letter_and_harms_no_other(buffer: Buffer) -> None:
    good = normalise(body(), "application/json", None, 0).table
    bad = good.set_column(good.column_names.index("start_ns"), "start_ns", pa.array(["yesterday"]))
    buffer.reserve(2)  # keeps the group open until both are in
    ends = [buffer.put(table, 1) for table in (bad, good)]
    buffer.decoded()
    with pytest.raises(Invalid, match="dead letter"):
        ends[0].result(10)
    ends[1].result(10)
    assert stored()["spans"] == 1 and buffer.counts.buried == 1
    (letter,) = stores.current().query("select client, why from dead_letter")
    assert letter["client"] == "house" and letter["why"]


@pytest.mark.django_db(transaction=True)
def test_a_token_writes_for_its_client_whatever_the_resource_says(buffer: Buffer) -> None:
    acme = Client.objects.create(slug="acme", name="Acme", created_at=clock.now())
    secrets = {
        (role, client): create_token(automation("test"), f"{role}-{client}", role, acme if client else None)[1]
        for role, client in (("ingest", "acme"), ("viewer", "acme"), ("ingest", None))
    }
    told = json.loads(body())
    told["resourceSpans"][0]["resource"]["attributes"].append(
        {"key": "afterlaunch.client", "value": {"stringValue": "globex"}}
    )
    data = json.dumps(told).encode()

    def as_(role: str, client: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {secrets[role, client]}"}

    assert post(buffer, data, as_("viewer", "acme"))[0] == 403
    assert post(buffer, data, {"authorization": "Bearer nobody"})[0] == 401
    assert post(buffer, data, as_("ingest", "acme"), open_door=False, peer="192.0.2.7")[0] == 200
    assert [row["client"] for row in records.spans(None)] == ["acme"]
    assert post(buffer, data, as_("ingest", None), open_door=False, peer="192.0.2.7")[0] == 200
    assert sorted(row["client"] for row in records.spans(None)) == ["acme", "globex"]
    assert [row["client"] for row in records.spans(frozenset({"acme"}))] == ["acme"]
    assert records.spans(frozenset()) == []


def test_the_receiver_tells_what_it_did(buffer: Buffer) -> None:
    for _ in range(2):
        post(buffer, body())
    told = exposition.text({"traces": buffer})
    for name, count in (("stored_total", 1), ("duplicates_total", 1), ("received_total", 2), ("buffer_bytes", 0)):
        assert f'afterlaunch_otlp_{name}{{signal="traces"}} {count}\n' in told


class _Accepts:
    """A store that takes everything."""

    def commit(self, tables: list[Any]) -> tuple[int, int]:
        return len(tables), 0


def test_a_lone_sender_is_answered_however_short_the_wait_for_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython 3.11's SimpleQueue hangs here after a few hundred rounds."""
    monkeypatch.setattr(buffers, "LINGER_SECONDS", 2e-6)
    buffer = Buffer(_Accepts(), 1_000_000)  # type: ignore[arg-type]
    for _ in range(3_000):
        buffer.put(pa.table({"client": ["acme"]}), 1).result(timeout=10)
    buffer.close()
