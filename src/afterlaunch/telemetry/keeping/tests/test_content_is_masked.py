"""What a text looks like after masking, and that nothing of a secret is ever written."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.sensitive.patterns import masked
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.intake import TRACES
from afterlaunch.telemetry.journal import Journal
from afterlaunch.telemetry.keeping.content import (
    LOG_SHAPE,
    MASKED,
    OFF,
    ON,
    POINT_SHAPE,
    SPAN_SHAPE,
    Pattern,
    Rule,
    checked,
    private,
)
from afterlaunch.telemetry.keeping.rules import Decision, Rules
from afterlaunch.telemetry.keeping.watch import Watched, guarded
from afterlaunch.telemetry.signals import prometheus, receivers, tables
from afterlaunch.telemetry.store import Store

SECRETS = {
    "an OpenAI key": "sk-proj-Ab3dEf6hIj9lMn2pQr5tUv8x",
    "an Anthropic key": "sk-ant-api03-Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2",
    "an AWS key": "AKIAIOSFODNN7EXAMPLE",
    "a GitHub token": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "a JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "a Google key": "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "a Slack token": "xoxb-123456789012-abcdefGHIJKL",
    "an e-mail address": "erika.mustermann+news@example.co.uk",
    "an encoded e-mail address": "erika%40example.org",
    "a card": "4111 1111 1111 1111",
    "a card in one": "5555555555554444",
    "an American Express card": "3782-822463-10005",
    "a phone": "+49 151 23456789",
    "a phone without spaces": "+14155552671",
    "an American phone": "(415) 555-2671",
}
AROUND = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
KEEP = (
    "span 550e8400-e29b-41d4-a716-446655440000",
    "trace 4bf92f3577b34da6a3ce929d0e0e4736, span 00f067aa0ba902b7",
    "1763738400123456789 at 2026-11-21T15:32:06.123456Z, 2026-11-21 15:32:06",
    "0.4111111111111111 of 4111111111111112",
    "max_tokens: 4096, prompt_tokens: 12, 1,234,567.89",
    "sk-learn-is-a-library and task-oriented",
    "10.0.0.1:8080, 192.168.100.200, v1.2.3-rc.4",
    "@decorator, a @ b, user@host",
    "+12.5 %, +1 000 000 units",
    "the token usage, a bearer of news, basic understanding of things",
)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@given(before=AROUND, after=AROUND)
def test_whatever_stands_around_it_a_secret_is_masked(secret: str, before: str, after: str) -> None:
    for text in (f"{before} {secret} {after}", json.dumps({"content": f"{before}\n{secret}\n{after}"})):
        said = masked(text)
        assert secret not in said
        assert "[masked: " in said


@given(before=AROUND, after=AROUND)
def test_json_stays_json(before: str, after: str) -> None:
    text = json.dumps([{"text": f"{before}\n{secret}\t{after}"} for secret in SECRETS.values()])
    assert len(json.loads(masked(text))) == len(SECRETS)


@given(st.text(max_size=400))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize("text", KEEP)
def test_numbers_and_names_of_telemetry_stay(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("password=hunter2!x", "password=[masked: password]"),
        ('{"password": "two words"}', '{"password": "[masked: password]"}'),
        ('"{\\"api_key\\": \\"abcdefgh\\"}"', '"{\\"api_key\\": \\"[masked: password]\\"}"'),
        ("postgres://app:s3cr3t@db/main", "postgres://app:[masked: password]@db/main"),
        ("Authorization: Bearer abc123def456ghi7", "Authorization: Bearer [masked: token]"),
        ("Phone: 0151 23456789", "Phone: [masked: phone]"),
        ("12 4111111111111111 12", "12 [masked: card] 12"),
        ("+49 151 23456789 2024", "[masked: phone] 2024"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- ok", "[masked: private key] ok"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE cut off", "[masked: private key]"),
    ],
)
def test_only_the_secret_is_masked(text: str, said: str) -> None:
    assert masked(text) == said


def test_no_text_makes_masking_slow() -> None:
    for text in (
        "a" * 65_536,
        "4 " * 32_768,
        "+1 " * 20_000,
        "a@" * 32_768,
        "://" * 20_000,
        "-----BEGIN PRIVATE KEY" * 3_000,
    ):
        masked(text)  # a bound on time is the test run's own


def spans(*secrets: str, **more: str) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "desk"
    group.resource.attributes.add(key="process.command_args").value.string_value = " ".join(("run", *secrets))
    for number, secret in enumerate(secrets):
        span = group.scope_spans.add().spans.add(
            trace_id=bytes([1] * 16), span_id=bytes([number + 1] * 8), name=f"call {secret}"
        )
        span.start_time_unix_nano = clock.now_ns()
        span.end_time_unix_nano = span.start_time_unix_nano + 10
        span.status.message = f"failed for {secret}"
        span.events.add(name="exception").attributes.add(key="exception.message").value.string_value = secret
        told = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.input.messages": json.dumps([{"role": "user", "content": f"it is\n{secret}"}]),
            "output.value": f"you said {secret}",
            "gen_ai.tool.call.arguments": json.dumps({"a": secret}),
            "some.note": secret,
            "server.port": "443",
            **more,
        }
        for key, value in told.items():
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 12
    return request.SerializeToString()


def logs(*secrets: str) -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="service.name").value.string_value = "desk"
    for secret in secrets:
        row = group.scope_logs.add().log_records.add(time_unix_nano=clock.now_ns())
        row.body.string_value = f"got {secret}"
        row.attributes.add(key="note").value.string_value = secret
    return request.SerializeToString()


def taken(body: bytes, rule: Rule, shape: Any = SPAN_SHAPE) -> list[dict[str, Any]]:
    signal = TRACES if shape is SPAN_SHAPE else receivers.LOGS
    table = signal.decode(body, "application/x-protobuf", "north", clock.now_ns()).table
    return list(private(table, shape, lambda client, system: rule).to_pylist())


def test_off_keeps_numbers_and_drops_content() -> None:
    (row,) = taken(spans("nothing secret"), Rule(OFF))
    assert [row[name] for name in ("input_text", "output_text", "events", "status_message")] == [None] * 4
    assert row["in_uncached"] == 12 and row["model_requested"] == "gpt-4o"
    assert dict(row["attributes"]) == {"some.note": "nothing secret", "server.port": "443"}
    assert taken(logs("x"), Rule(OFF), LOG_SHAPE)[0]["body"] is None


def test_on_keeps_everything_as_sent() -> None:
    (row,) = taken(spans("erika@example.org"), Rule(ON))
    assert "erika@example.org" in row["input_text"] and dict(row["attributes"])["some.note"] == "erika@example.org"


def test_rows_beside_a_masked_one_stay() -> None:
    rows = taken(spans("plain", "erika@example.org", "also plain"), Rule())
    assert [dict(row["attributes"])["some.note"] for row in rows] == ["plain", "[masked: e-mail]", "also plain"]
    assert "[masked: e-mail]" in rows[1]["name"] and rows[2]["name"] == "call also plain"


def test_what_a_resource_tells_is_masked_but_for_whose_it_is() -> None:
    for rule in (Rule(), Rule(OFF)):
        rows = taken(spans("erika@example.org", "plain"), rule)
        said = {"process.command_args": "run [masked: e-mail] plain"}
        assert [json.loads(row["resource"]) for row in rows] == [said] * 2
        assert {row["service"] for row in rows} == {"desk"}
    (row,) = taken(spans("ORD-123456"), Rule(patterns=(Pattern("order", r"ORD-\d{6}"),)))
    assert "ORD-123456" not in row["resource"]
    assert "erika@example.org" in taken(spans("erika@example.org"), Rule(ON))[0]["resource"]


def test_own_patterns_are_masked_and_a_system_may_decide_otherwise() -> None:
    decisions = {
        (None, ""): Decision(patterns=(Pattern("order", r"\bORD-\d{6}\b"),)),
        ("north", "desk"): Decision(capture=ON),
        ("south", ""): Decision(capture=OFF),
    }
    rules = Rules(decisions.items())
    assert rules.of("north", "desk").capture == ON
    assert rules.of("north", None).capture == MASKED
    assert rules.of("south", "desk").capture == OFF
    (row,) = taken(spans("see ORD-123456 now"), rules.of("north", "else"))
    assert "see [masked: order] now" in row["output_text"]


@pytest.mark.parametrize(
    "pattern", ["(", "x*", "^", r"\Ax", "a" * 301, "(?=x)", "x{1001}"], ids=lambda pattern: pattern[:10]
)
def test_patterns_that_cannot_work_are_refused(pattern: str) -> None:
    with pytest.raises(Invalid):
        checked([Pattern("mine", pattern)])


def points(*secrets: str) -> bytes:
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.add(key="service.name").value.string_value = "desk"
    for number, secret in enumerate(secrets):
        point = group.scope_metrics.add().metrics.add(name=f"depth_{number}").gauge.data_points.add(as_int=3)
        point.time_unix_nano = clock.now_ns()
        point.attributes.add(key="some.note").value.string_value = f"for {secret}"
    return request.SerializeToString()


def series(*secrets: str) -> bytes:
    """What Prometheus writes, not compressed yet."""
    request = prometheus._request()()
    for number, secret in enumerate(secrets):
        one = request.timeseries.add()
        for name, value in (("__name__", f"seen_{number}"), ("job", "desk"), ("some_note", f"for {secret}")):
            one.labels.add(name=name, value=value)
        one.samples.add(value=1.0, timestamp=clock.now_ns() // 10**6)
    return bytes(request.SerializeToString())


SENT = (
    (TRACES, SPAN_SHAPE, spans),
    (receivers.LOGS, LOG_SHAPE, logs),
    (receivers.METRICS, POINT_SHAPE, points),
    (receivers.REMOTE_WRITE, POINT_SHAPE, series),
)


@pytest.mark.parametrize("poisoned", [False, True], ids=["stored", "dead letter"])
@pytest.mark.parametrize(("signal", "shape", "body"), SENT, ids=[one.name for one, _, _ in SENT])
def test_nothing_of_a_secret_is_on_disk(
    tmp_path: Path, signal: Any, shape: Any, body: Any, poisoned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In no file of the store, its log, its dead letters or the journal, while it runs and afterwards."""
    store = Store(Duck(tmp_path / "telemetry.duckdb"))
    tables.prepare(store)
    lander: Any = store
    if signal is not TRACES:
        lander = tables.Lander(store, tables.LOGS if signal is receivers.LOGS else tables.METRICS)
    if poisoned:

        def refused(_: Any) -> Any:
            raise pa.ArrowInvalid("poison")

        monkeypatch.setattr(lander, "commit", refused)
    journal = Journal(tmp_path / "journal" / signal.name)
    made = guarded(signal, shape, Watched(lambda: Rules())).decode(
        body(*SECRETS.values()), "application/x-protobuf", "north", clock.now_ns()
    )
    assert made.table.num_rows == len(SECRETS)
    journal.append([made.table])
    written = on_disk(tmp_path)
    put_down = str([one.to_pylist() for one in Journal(tmp_path / "journal" / signal.name).kept()])
    assert "[masked: " in put_down and not [secret for secret in SECRETS.values() if secret in put_down]
    buffer = Buffer(lander, 2**20)
    with pytest.raises(Invalid, match="dead letter") if poisoned else nullcontext():
        buffer.put(made.table, 1).result(20)
    written += on_disk(tmp_path)  # the write-ahead log too
    buffer.close()
    (letters,) = store.query("select count(*) as letters from dead_letter")
    assert letters["letters"] == int(poisoned)
    store.close()
    written += on_disk(tmp_path)
    assert not [secret for secret in SECRETS.values() if secret.encode() in written]


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_labels_that_differ_in_a_secret_alone_stay_two_series() -> None:
    secrets = ("erika@example.org", "max@example.org")
    request = prometheus.request_of(series(*secrets), "")
    for one in request.timeseries:
        one.labels[0].value = "seen"
    for capture in (MASKED, OFF):
        made = prometheus.from_remote_write(request.SerializeToString(), "", "north", 1).table
        table = private(made, POINT_SHAPE, lambda *_, capture=capture: Rule(capture))
        assert len(set(table["series"].to_pylist())) == 2
        assert [dict(one) for one in table["labels"].to_pylist()] == [
            {"job": "desk", "some_note": "for [masked: e-mail]"}
        ] * 2


def test_a_change_of_the_rules_is_taken_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Rules] = []

    def reading() -> Rules:
        read.append(Rules([((None, ""), Decision(capture=OFF if read else ON))]))
        return read[-1]

    watched = Watched(reading)
    assert [watched.now().of("north", None).capture for _ in range(100)] == [ON] * 100
    assert len(read) == 1
    monkeypatch.setattr("afterlaunch.telemetry.keeping.watch.CHANGES.count", 10**9)
    assert watched.now().of("north", None).capture == OFF
