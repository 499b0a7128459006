"""Spans that tell of one call are merged, in whatever order they come; what is no call is not counted as one."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.ground import clock
from afterlaunch.telemetry import calls
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.store import Store, engine_at
from afterlaunch.telemetry.tables import CALLS
from afterlaunch.telemetry.tests.places import Places
from afterlaunch.telemetry.tests.test_queries import pairs

AT = 1_772_323_200_000_000_000
MS = 1_000_000
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
USED = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}


def span(
    number: int, scope: str, begins_ms: int, lasts_ms: int, told: dict[str, Any], trace: int = 0, parent: int = 0
) -> Any:
    """One span of the process "desk-1" as a stored row; `trace` 0: a trace of its own."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs({"service.name": "desk", "service.instance.id": "desk-1"}))
    one = group.scope_spans.add(scope={"name": scope}).spans.add(
        trace_id=(trace or 1000 + number).to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), name="x"
    )
    one.parent_span_id = parent.to_bytes(8, "big") if parent else b""
    one.start_time_unix_nano = AT + begins_ms * MS
    one.end_time_unix_nano = one.start_time_unix_nano + lasts_ms * MS
    one.attributes.extend(pairs(told))
    return normalise(request.SerializeToString(), "application/x-protobuf", "acme", 0).table


def stream(number: int, begins_ms: int, **said: Any) -> Any:
    return span(number, "logfire.openai", begins_ms, 20, {**CHAT, "logfire.span_type": "span", **said})


def usage(number: int, at_ms: int, **said: Any) -> Any:
    return span(number, "logfire.openai", at_ms, 0, {**CHAT, **USED, "logfire.span_type": "log", **said})


def stored(places: Places, commits: list[list[Any]]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """(the calls, the sums of the rollup) after these commits."""
    store = Store(engine_at(places()))
    for tables in commits:
        store.commit(tables)
    calls = store.query("select * exclude (trace_id) from calls order by span_id, part")
    (sums,) = store.query(
        "select sum(calls)::bigint as calls, sum(in_uncached)::bigint as tokens, sum(cost_nano)::bigint as cost,"
        " sum(calls_unknown_cost)::bigint as unknown from sums_minute"
    )
    store.close()
    return calls, sums


def test_a_streams_usage_record_gives_its_numbers_to_the_request(places: Places) -> None:
    calls, sums = stored(places, [[stream(1, 0), usage(2, 500)]])
    assert len(calls) == 1 and sums == {"calls": 1, "tokens": 100, "cost": 350_000, "unknown": 0}
    assert calls[0]["duration_ns"] == 500 * MS and len(calls[0]["members"]) == 2


def test_a_usage_record_without_its_request_counts_tokens_and_no_call(places: Places) -> None:
    calls, sums = stored(places, [[usage(2, 500)]])
    assert sums == {"calls": 0, "tokens": 100, "cost": 350_000, "unknown": 0}
    assert calls[0]["flags"] == ["orphan_usage"]


def test_usage_records_go_to_the_nearest_request_in_any_order_of_arrival(places: Places) -> None:
    """Three requests, the last of which never ended; their records tell who is meant by time, and by what was asked."""
    spans = [
        stream(1, 0),
        stream(2, 100),
        usage(3, 300),
        usage(4, 400, **{"gen_ai.usage.input_tokens": 200}),
        stream(5, 500),
        stream(6, 50, **{"gen_ai.input.messages": "another question"}),
        usage(7, 450, **{"gen_ai.input.messages": "another question", "gen_ai.usage.input_tokens": 300}),
    ]
    expected = None
    for seed in range(12):
        shuffled = spans[:]
        random.Random(seed).shuffle(shuffled)
        cut = random.Random(seed).randrange(1, len(spans))
        got = stored(places, [shuffled[:cut], shuffled[cut:], shuffled[:2]])
        expected = expected or got
        assert got == expected, seed
    calls, sums = expected or ([], {})
    tokens = {int.from_bytes(call["span_id"], "big"): call["in_uncached"] for call in calls}
    assert tokens == {1: 200, 2: 100, 5: None, 6: 300} and sums["calls"] == 4 and sums["unknown"] == 1


def test_two_reports_without_id_that_are_alike_are_one_call(places: Places) -> None:
    ours = span(1, "app.one", 0, 100, {**CHAT, **USED})
    theirs = span(2, "app.two", 5, 90, CHAT)
    for commits in ([[ours, theirs]], [[ours], [theirs]], [[theirs], [ours]]):
        calls, sums = stored(places, commits)
        assert sums["calls"] == 1 and sums["tokens"] == 100 and calls[0]["flags"] == ["merged_by_likeness"]


def test_with_two_candidates_nothing_is_merged_and_all_are_marked(places: Places) -> None:
    spans = [span(n, f"app.{n}", n, 100, {**CHAT, **USED}) for n in (1, 2, 3)]
    calls, sums = stored(places, [[one] for one in spans])
    assert sums["calls"] == 3 and {tuple(call["flags"]) for call in calls} == {("possible_duplicate",)}


def test_many_calls_at_once_in_one_process_are_told_apart_quickly() -> None:
    """A busy process with two instrumentations: every call is told twice, and only its numbers are its own."""
    empty = dict.fromkeys(CALLS.names)
    rows = [
        empty | {"client": "acme", "model_requested": "gpt-4o", "op_kind": "inference", "instance": "one", "rank": 1}
        | {"scopes": [scope], "span_id": place.to_bytes(8, "big"), "trace_id": place.to_bytes(16, "big")}
        | {"members": [f"{place:016x}"], "start_ns": number, "duration_ns": 10**9, "gateway": False, "failed": False}
        | {"in_uncached": number, "out_visible": 1, "conflict": False, "ancestors": []}
        for place, (number, scope) in enumerate((number, scope) for number in range(3000) for scope in "ab")
    ]  # fmt: skip
    began = time.process_time()
    found = calls.group(rows)
    assert time.process_time() - began < 5.0
    assert len(found) == 3000 and all(row["flags"] == ["merged_by_likeness"] for row in found)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"gen_ai.usage.input_tokens": 101}, "other totals"),
        ({"gen_ai.request.model": "gpt-4o-mini"}, "another model"),
        ({"error.type": "timeout"}, "the other one failed"),
    ],
)
def test_what_differs_is_never_merged_by_likeness(places: Places, other: dict[str, Any], why: str) -> None:
    spans = [span(1, "app.one", 0, 100, {**CHAT, **USED}), span(2, "app.two", 5, 90, {**CHAT, **USED, **other})]
    assert stored(places, [spans])[1]["calls"] == 2, why


def test_parallel_identical_calls_of_one_instrumentation_are_two_calls(places: Places) -> None:
    spans = [span(n, "app.one", 0, 100, {**CHAT, **USED}) for n in (1, 2)]
    assert stored(places, [spans])[1]["calls"] == 2


def test_another_client_with_the_same_ids_changes_nothing(places: Places) -> None:
    pair = [stream(1, 0), usage(2, 500)]
    foreign = [
        table.set_column(0, table.field(0), [["globex"] * table.num_rows])
        for table in (stream(1, 0), usage(2, 500), usage(9, 600))
    ]
    calls, sums = stored(places, [pair, foreign, pair])
    assert sums["calls"] == 2 and sums["tokens"] == 300
    assert sorted((call["client"], call["part"] or "call") for call in calls) == [
        ("acme", "call"),
        ("globex", "call"),
        ("globex", "orphan_usage"),
    ]


AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-4o"}


def settled(places: Places, spans: list[Any], later: list[Any], after_s: int = 120) -> list[dict[str, int]]:
    """The rollup's sums after settling once, and once more after `later` came in."""
    store = Store(engine_at(places()))
    out = []
    for tables in (spans, later):
        if tables:
            store.commit(tables)
        store.settle(AT + after_s * 1000 * MS)
        assert store.settle(AT + after_s * 1000 * MS) == 0, "settling again changes nothing"
        sums = "coalesce(sum(calls), 0)::bigint as calls, coalesce(sum(in_uncached), 0)::bigint as tokens"
        out += store.query(f"select {sums} from sums_minute join series on id = series where op_kind = 'inference'")
    store.close()
    return out


def test_an_aggregate_without_a_call_below_it_counts_once_until_one_comes(places: Places) -> None:
    outer = span(1, "agents", 0, 900, {**AGENT, **USED}, trace=7)
    inner = span(2, "agents", 10, 800, {**AGENT, "gen_ai.usage.input_tokens": 60}, trace=7, parent=1)
    leaf = span(3, "app.one", 20, 100, {**CHAT, **USED, "gen_ai.usage.input_tokens": 90}, trace=7, parent=2)
    before, after = settled(places, [outer, inner], [leaf])
    assert before == {"calls": 1, "tokens": 100} and after == {"calls": 1, "tokens": 90}


def test_an_aggregate_waits_for_its_calls_before_it_counts(places: Places) -> None:
    outer = span(1, "agents", 0, 900, {**AGENT, **USED}, trace=7)
    assert settled(places, [outer], [], after_s=30)[0] == {"calls": 0, "tokens": 0}


def test_a_clock_that_runs_fast_leaves_members_as_much_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = calls.apart_ns()
    monkeypatch.setattr(clock, "_clock", clock.ScaledClock(time.time(), clock.now(), 400.0))
    assert calls.apart_ns() == 400 * usual == 400 * 600_000_000_000


def test_a_call_keeps_the_transaction_that_one_of_its_members_told(place: Path | str) -> None:
    said = {**CHAT, **USED, "gen_ai.response.id": "resp_12345678901234567"}
    opened = Store(engine_at(place))
    opened.commit([span(1, "app.one", 0, 100, {**said, "afterlaunch.transaction": "order-17"}, trace=7)])
    opened.commit([span(2, "app.two", 5, 90, said, trace=8)])
    (call,) = opened.query('select "transaction" as told, members from calls')
    assert call["told"] == "order-17" and len(call["members"]) == 2
    opened.close()


def test_rows_of_an_older_version_are_stored_without_what_they_do_not_know(place: Path | str) -> None:
    opened = Store(engine_at(place))
    opened.commit([span(1, "app.one", 0, 100, {**CHAT, **USED}).drop_columns(["transaction", "limits"])])
    (one,) = opened.query('select "transaction" as told, in_uncached from spans')
    assert one["told"] is None and one["in_uncached"]
    with pytest.raises(pa.ArrowInvalid):
        opened.commit([pa.table({"nonsense": [1]})])
    opened.close()


def test_an_attempt_that_failed_before_takes_no_place_of_the_one_that_answered(places: Places) -> None:
    """Two instrumentations of the application, and a gateway that asked its upstream again: the answered attempt has
    the application's response id, the failed one only stands below it."""
    answered = {**CHAT, **USED, "gen_ai.response.id": "r-1"}
    spans = [
        span(1, "instrumentation", 0, 500, answered, trace=7),
        span(2, "vendor.sdk", 10, 480, answered, trace=7),
        span(3, "afterlaunch.gateway", 20, 5, {**CHAT, "error.type": "529"}, trace=7, parent=2),
        span(4, "afterlaunch.gateway", 200, 250, answered, trace=7, parent=2),
    ]
    for seed in range(12):
        shuffled = spans[:]
        random.Random(seed).shuffle(shuffled)
        cut = random.Random(seed).randrange(5)
        calls, sums = stored(places, [part for part in (shuffled[:cut], shuffled[cut:]) if part])
        assert sums == {"calls": 2, "tokens": 100, "cost": 350_000, "unknown": 1}, seed
        assert [len(call["members"]) for call in calls] == [3, 1], seed


def test_what_has_no_id_is_one_call_with_what_stands_below_any_of_its_reports(places: Places) -> None:
    answered = {**CHAT, **USED, "gen_ai.response.id": "r-1"}
    spans = [
        span(1, "instrumentation", 0, 500, answered, trace=7),
        span(2, "vendor.sdk", 10, 480, answered, trace=7),
        span(3, "afterlaunch.gateway", 20, 450, {**CHAT, **USED}, trace=7, parent=2),
    ]
    for seed in range(6):
        shuffled = spans[:]
        random.Random(seed).shuffle(shuffled)
        calls, sums = stored(places, [shuffled[:1], shuffled[1:]])
        assert sums["calls"] == 1 and sums["tokens"] == 100 and len(calls[0]["members"]) == 3, seed


def test_the_route_is_our_gateways_whatever_another_proxy_tells(places: Places) -> None:
    answered = {**CHAT, **USED, "gen_ai.response.id": "r-1"}
    ours = {"afterlaunch.gateway": "true", "afterlaunch.call_id": "c-1", "afterlaunch.route": "desk"}
    theirs = {"afterlaunch.gateway": "true", "afterlaunch.route": "/v1/chat"}
    spans = [
        span(1, "instrumentation", 0, 500, answered, trace=7),
        span(2, "afterlaunch.gateway", 10, 480, {**answered, **ours}, trace=7, parent=1),
        span(3, "litellm", 20, 450, {**answered, **theirs}, trace=7, parent=2),
    ]
    for seed in range(12):
        shuffled = spans[:]
        random.Random(seed).shuffle(shuffled)
        cut = random.Random(seed).randrange(4)
        calls, _ = stored(places, [part for part in (shuffled[:cut], shuffled[cut:]) if part])
        assert [(call["route"], len(call["members"])) for call in calls] == [("desk", 3)], seed
