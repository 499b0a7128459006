"""What one types into the search box finds what it says, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from django.test import Client as Browser
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry import store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.test_queries import END, INJECTIONS, START, pairs
from afterlaunch.telemetry.views import exports, finding
from afterlaunch.telemetry.views.fields import FIELDS
from afterlaunch.telemetry.views.search import conditions, parse

COUNT = 40


@pytest.fixture(autouse=True)
def all_the_time_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no reason to find less, but where a test says so."""
    monkeypatch.setattr(finding, "SECONDS", 120.0)


def told(number: int) -> dict[str, Any]:
    out = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06" if number % 2 else "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 100 * number,
        "gen_ai.usage.output_tokens": 10,
        "tenant.id": f"t{number % 4}",
        "plan": "pro" if number % 5 == 0 else "free plan",
        "gen_ai.input.messages": f"What is our Refund Policy, case {number}?" if number % 10 == 3 else "Hello",
    }
    if number % 10 == 7:
        said = json.dumps([{"type": "text", "content": "Never promise a Discount."}])
        out["gen_ai.system_instructions"] = said
    return out | ({"error.type": "timeout"} if number % 8 == 0 else {})


def body() -> bytes:
    request = ExportTraceServiceRequest()
    for client in ("acme", "globex"):
        group = request.resource_spans.add()
        group.resource.attributes.extend(pairs({"afterlaunch.client": client, "afterlaunch.system": "desk"}))
        spans = group.scope_spans.add(scope={"name": "app"}).spans
        for number in range(COUNT):
            start = clock.to_ns(START) + number * 40_000_000_000
            span = spans.add(
                trace_id=number.to_bytes(8, "big") + client.encode().rjust(8),
                span_id=(number + 1).to_bytes(4, "big") + client[:4].encode(),
                name="chat",
                start_time_unix_nano=start,
                end_time_unix_nano=start + (number + 1) * 100_000_000,
            )
            span.attributes.extend(pairs(told(number)))
    return request.SerializeToString()


@pytest.fixture(scope="module", autouse=True)
def opened(module_place: Path | str) -> Iterator[store.Store]:
    made = store.open_store(module_place)
    made.commit([normalise(body(), "application/x-protobuf", None, 0).table])
    yield made
    store.close_store()


def numbers(q: str, table: str = "calls", clients: frozenset[str] | None = frozenset({"acme"})) -> set[int]:
    found = finding.find(parse(q), START, END, clients, 500, table=table, seconds=60)
    assert found.cursor is None
    return {int(row["span_id"][:8], 16) - 1 for row in found.rows}


EVERY = set(range(COUNT))
SAID = {
    "": EVERY,
    "model:gpt-4o-mini": {n for n in EVERY if n % 2 == 0},
    "model:gpt-4o*": EVERY,
    "-model:gpt-4o-mini": {n for n in EVERY if n % 2},
    "tenant:t1,t2": {n for n in EVERY if n % 4 in (1, 2)},
    "model_requested:gpt-4o tenant:t1": {n for n in EVERY if n % 4 == 1},
    "duration>2s": {n for n in EVERY if n > 19},
    "duration<=500ms": {n for n in EVERY if n < 5},
    "input>=1k": {n for n in EVERY if n >= 10},
    "tokens=310": {3},
    "cost>0.005": {n for n in EVERY if n % 2 and (100 * n * 2.5 + 10 * 10) / 1e6 > 0.005},
    "failed:yes": {n for n in EVERY if n % 8 == 0},
    "error:timeout": {n for n in EVERY if n % 8 == 0},
    "error_type:*TIME*": {n for n in EVERY if n % 8 == 0},
    "-error:*": {n for n in EVERY if n % 8},
    "model_answered:gpt-4o-mini": {n for n in EVERY if n % 2 == 0},
    "attribute:plan=pro": {n for n in EVERY if n % 5 == 0},
    'attribute:"plan=free plan"': {n for n in EVERY if n % 5},
    "-attribute:plan=pro": {n for n in EVERY if n % 5},
    "attribute:nothing": set(),
    "attribute:tenant.id=t3": {n for n in EVERY if n % 4 == 3},
    '"refund policy"': {n for n in EVERY if n % 10 == 3},
    "refund -tenant:t3": {n for n in EVERY if n % 10 == 3 and n % 4 != 3},
    "discount": {n for n in EVERY if n % 10 == 7},
    "-refund": {n for n in EVERY if n % 10 != 3},
    'attribute:plan=pro failed:yes "hello"': {0},
}


@pytest.mark.parametrize("table", ["calls", "spans"])
@pytest.mark.parametrize("q", SAID)
def test_a_search_finds_exactly_what_it_says(q: str, table: str) -> None:
    assert numbers(q, table) == SAID[q]
    assert str(parse(str(parse(q)))) == str(parse(q))
    assert numbers(str(parse(q)), table) == SAID[q], "written again it means the same"


def test_every_typed_column_can_be_asked_for() -> None:
    values = {"text": "x", "number": "1", "duration": "1s", "money": "1", "yes or no": "yes", "list": "x"}
    for name, field in FIELDS.items():
        value = "ab" * (16 if name == "trace" else 8) if field.kind == "id" else values[field.kind]
        for table in ("calls", "spans"):
            if table == "spans" and not field.spans:
                with pytest.raises(Invalid, match="Only calls"):
                    conditions(parse(f"{name}:{value}"), table)
                continue
            assert numbers(f"{name}:{value}", table) <= EVERY
            assert numbers(f"{name}:*", table) | numbers(f"-{name}:*", table) == EVERY


@pytest.mark.parametrize(
    "q", ["colour:red", "duration>2", "cost>much", "failed:perhaps", "model>3", 'a "b', "trace:12", "model:"]
)
def test_what_makes_no_sense_is_told_with_a_hint(q: str) -> None:
    with pytest.raises(Invalid) as told:
        parse(q)
    assert told.value.hint


def test_the_text_around_what_was_found_is_told_of_instructions_too() -> None:
    for q in ("discount", "refund"):
        rows = finding.find(parse(q), START, END, None, 500).rows
        told = finding.snippets(rows, [q], None)
        assert len(told) == len(rows) == 8 and all(q in text.lower() for text in told.values())


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_looks_like_a_statement_is_only_a_value(text: str) -> None:
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    for q in (f"tenant:{quoted}", quoted, f"attribute:{quoted}", f"error:{quoted}"):
        assert numbers(q) <= EVERY
    assert numbers("") == EVERY


def test_other_clients_are_not_found_even_by_their_text() -> None:
    assert numbers("refund", clients=frozenset({"stranger"})) == set()
    rows = finding.find(parse("refund"), START, END, frozenset({"acme"}), 500).rows
    assert {row["client"] for row in rows} == {"acme"}


def test_a_search_that_takes_too_long_says_how_far_it_came_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "FIRST_NS", 60 * 10**9)
    monkeypatch.setattr(finding, "AIM_SECONDS", 1e-9)
    seen: list[str] = []
    found = finding.find(parse("refund"), START, END, None, 500, seconds=0.0)
    assert found.cursor and found.searched_to and START < found.searched_to < END
    for _ in range(5000):
        seen += [row["span_id"] for row in found.rows]
        if found.cursor is None:
            break
        found = finding.find(parse("refund"), START, END, None, 3, found.cursor, seconds=0.02)
    assert len(seen) == len(set(seen)) == 8


def asker(client: str | None) -> Any:
    owner = Client.objects.create(slug=client, name=client, created_at=clock.now()) if client else None
    _, secret = create_token(automation("test"), "reader", "viewer", owner)
    times = {"from": START.isoformat(), "to": END.isoformat()}
    return lambda address, **query: Browser().get(
        address, {**times, **query}, headers={"authorization": f"Bearer {secret}"}
    )


@pytest.mark.django_db
def test_the_api_and_its_files_hold_what_is_searched_for_and_say_when_they_are_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask = asker("acme")
    said = ask("/api/v1/calls", q="refund").json()
    assert len(said["calls"]) == 4 and said["cursor"] is None and said["searched_to"] is None
    assert ask("/api/v1/calls", q="colour:red").status_code == 400
    whole = ask("/api/v1/calls", q="tenant:t1", format="parquet")
    table = parquet.read_table(BytesIO(b"".join(whole.streaming_content)))
    assert table.num_rows == 10 == int(whole["Afterlaunch-Rows"]) and "Afterlaunch-Cut" not in whole
    assert set(table["tenant"].to_pylist()) == {"t1"} and table["start"][0].as_py().tzinfo
    monkeypatch.setattr(exports, "MOST_ROWS", 7)
    monkeypatch.setattr(exports, "PIECE", 3)
    cut = ask("/api/v1/spans", q="tenant:t1", format="csv")
    lines = b"".join(cut.streaming_content).decode().splitlines()
    assert len(lines) == 8 and "cut" in cut["Content-Disposition"] and cut["Afterlaunch-Cut"]
    assert not any("Refund" in line for line in lines), "content only where it is asked for"
    monkeypatch.setattr(exports, "MOST_ROWS", 100)
    full = ask("/api/v1/spans", format="csv", content="true", q="refund")
    assert b"Refund Policy" in b"".join(full.streaming_content)


@pytest.mark.django_db
def test_the_page_has_the_search_its_terms_and_links_that_last() -> None:
    from afterlaunch.accounts.actions import first_administrator

    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    times = {"from": START.isoformat(), "to": END.isoformat()}
    page = browser.get("/calls", {**times, "q": "refund", "tenant": "t3"}).content.decode()
    assert "Refund Policy" in page and "tenant:t3" in page and "/api/v1/calls?" in page
    assert browser.get("/calls", {**times, "field": "model", "value": "gpt-4o*", "of": "spans"}).status_code == 200
    assert browser.get("/calls", {**times, "q": "colour:red"}).status_code == 400
    chosen = browser.get("/calls", {**times, "range": "1h"}).content.decode()
    assert "Refund Policy" not in chosen and "fixed time" in page and "fixed time" not in chosen
    later = (END + timedelta(days=3)).isoformat()
    empty = browser.get("/calls", {"from": END.isoformat(), "to": later}).content.decode()
    assert "No calls in this time" in empty
