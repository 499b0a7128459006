"""What a gateway estimated counts, and is told apart from what a provider told; on both engines."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from pathlib import Path

import duckdb

from afterlaunch.ground import clock
from afterlaunch.telemetry import queries
from afterlaunch.telemetry.api import spend_row
from afterlaunch.telemetry.attribution import breakdown
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.store import close_store, open_store
from afterlaunch.telemetry.tests.telling import AT, PROTOBUF, body, span

START = clock.from_ns(AT).astimezone(UTC)
HOUR = (START, START + timedelta(hours=1))
ASKED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini",
    "user.id": "u1",
}
EXACT = {**ASKED, "gen_ai.usage.input_tokens": 1_000, "gen_ai.usage.output_tokens": 10}
GUESSED = {
    **ASKED,
    "afterlaunch.gateway": True,
    "afterlaunch.usage_state": "estimated",
    "afterlaunch.estimate.input_tokens": 400,
    "afterlaunch.estimate.output_tokens": 100,
    "afterlaunch.estimate.method": "learned",
}
GUESS_NANO = 400 * 150 + 100 * 600  # nano-USD: 0.15 and 0.60 USD per million


def test_estimates_count_in_the_sums_and_are_told_apart(place: Path | str) -> None:
    store = open_store(place)
    told = body(span(EXACT, number=1, trace=1), span(GUESSED, number=2, trace=2), scope="afterlaunch.gateway")
    store.commit([normalise(told, PROTOBUF, "acme", 0).table])
    try:
        (whole,) = queries.windows(*HOUR, [])
        assert (whole.calls, whole.input_tokens, whole.output_tokens) == (2, 1_400, 110)
        assert (whole.calls_estimated, whole.tokens_estimated, whole.cost_estimated_nano) == (1, 500, GUESS_NANO)
        assert whole.calls_unknown_cost == 0 and whole.cost_nano > GUESS_NANO
        row = spend_row(whole)
        assert (row["calls_estimated"], row["tokens_estimated"]) == (1, 500) and row["cost_estimated_usd"]
        for dimension in ("model", "user"):  # of rollups, and of calls
            (share,) = breakdown(*HOUR, dimension).rows
            assert (share.calls_estimated, share.tokens_estimated) == (1, 500)
            assert share.cost_estimated_nano == GUESS_NANO
    finally:
        close_store()


def test_what_somebody_was_told_comes_before_an_estimate(place: Path | str) -> None:
    """The caller's own instrumentation knows the tokens of a call that the gateway could only estimate."""
    store = open_store(place)
    same = {"gen_ai.response.id": "chatcmpl-1"}
    for scope, attributes, number in (("afterlaunch.gateway", GUESSED, 1), ("an.sdk", EXACT, 2)):
        told = body(span({**attributes, **same}, number=number, trace=7), scope=scope)
        store.commit([normalise(told, PROTOBUF, "acme", 0).table])
    try:
        (whole,) = queries.windows(*HOUR, [])
        assert (whole.calls, whole.input_tokens, whole.output_tokens) == (1, 1_000, 10)
        assert (whole.calls_estimated, whole.tokens_estimated, whole.cost_estimated_nano) == (0, 0, 0)
        (call,) = store.query("select conflict, estimated from calls")
        assert not call["conflict"] and not call["estimated"]
    finally:
        close_store()


def test_a_store_from_before_estimates_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "telemetry.duckdb"
    store = open_store(file)
    store.commit([normalise(body(span(EXACT, number=1, trace=1)), PROTOBUF, "acme", 0).table])
    close_store()
    with duckdb.connect(str(file)) as old:
        told = "from duckdb_columns() where not internal and column_name like '%estimated%'"
        held = old.execute(f"select table_name, column_name {told}")
        for table, column in held.fetchall():
            old.execute(f'alter table {table} drop column "{column}"')
    store = open_store(file)
    try:
        (whole,) = queries.windows(*HOUR, [])
        assert (whole.calls, whole.calls_estimated) == (1, 0)
        store.commit([normalise(body(span(GUESSED, number=2, trace=2)), PROTOBUF, "acme", 0).table])
        (whole,) = queries.windows(*HOUR, [])
        assert (whole.calls, whole.calls_estimated) == (2, 1) and json.dumps(spend_row(whole))
    finally:
        close_store()
