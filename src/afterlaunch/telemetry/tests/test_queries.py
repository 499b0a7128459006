"""Answers from the rollups equal what one gets by counting the calls one by one."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry import queries, records, store
from afterlaunch.telemetry.conventions import normalise

INJECTIONS = ("' or 1=1 --", '" or ""="', "x'); drop table rollup; --", "%", "\\0", "?")
START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(minutes=30)
COUNT = 1500


def pairs(values: dict[str, Any]) -> list[KeyValue]:
    return [
        KeyValue(key=key, value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value))
        for key, value in values.items()
    ]


def body(seed: int) -> bytes:
    draw = random.Random(seed)
    request = ExportTraceServiceRequest()
    for client in ("acme", "globex"):
        group = request.resource_spans.add()
        group.resource.attributes.extend(pairs({"afterlaunch.client": client, "afterlaunch.system": "desk"}))
        spans = group.scope_spans.add(scope={"name": "app"}).spans
        for _ in range(COUNT // 2):
            start = clock.to_ns(START) + draw.randrange(30) * 60_000_000_000 + draw.randrange(3) * 1_000_000_000
            told: dict[str, Any] = {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.response.model": draw.choice(["gpt-4o-2024-08-06", "gpt-4o-mini", "no-such-model"]),
                "gen_ai.usage.input_tokens": draw.randrange(10, 5000),
                "gen_ai.usage.output_tokens": draw.randrange(1, 500),
                "tenant.id": f"t{draw.randrange(4)}",
            }
            if draw.random() < 0.5:
                told["gen_ai.usage.cache_read.input_tokens"] = draw.randrange(told["gen_ai.usage.input_tokens"])
            if draw.random() < 0.1:
                told["error.type"] = "timeout"
            span = spans.add(
                trace_id=draw.randbytes(16), span_id=draw.randbytes(8), name="chat", start_time_unix_nano=start
            )
            span.end_time_unix_nano = start + int(math.exp(draw.gauss(20, 1.2)))
            span.attributes.extend(pairs(told))
    return request.SerializeToString()


@pytest.fixture(scope="module")
def opened(module_place: Path | str) -> Iterator[store.Store]:
    made = store.open_store(module_place)
    for seed in (1, 2):
        made.commit([normalise(body(seed), "application/x-protobuf", None, 0).table])
    yield made
    store.close_store()


def counted(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "calls": len(rows),
        "failed": sum(row["failed"] for row in rows),
        "timeouts": sum(row["error_kind"] == "timeout" for row in rows),
        "input_tokens": sum((row["in_uncached"] or 0) + (row["in_cache_read"] or 0) for row in rows),
        "output_tokens": sum(row["out_visible"] or 0 for row in rows),
        "cache_known_calls": sum(row["in_cache_read"] is not None for row in rows),
        "cache_read": sum(row["in_cache_read"] or 0 for row in rows),
        "cost_nano": sum(row["cost_nano"] or 0 for row in rows),
        "calls_unknown_cost": sum(row["cost_nano"] is None for row in rows),
    }


@pytest.mark.parametrize("group_by", [[], ["tenant"], ["client", "model", "tenant"]])
def test_windows_equal_counting_one_by_one(opened: store.Store, group_by: list[str]) -> None:
    since, until = START + timedelta(minutes=5), START + timedelta(minutes=20)
    rows = opened.query(
        "select *, coalesce(model_answered, model_requested) as model from spans where start_ns >= ? and start_ns < ?",
        [clock.to_ns(since), clock.to_ns(until)],
    )
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in group_by), []).append(row)
    windows = queries.windows(since, until, group_by)
    assert {tuple(window.key.values()) for window in windows} == set(groups)
    for window in windows:
        members = groups[tuple(window.key.values())]
        expected = counted(members)
        assert {name: getattr(window, name) for name in expected} == expected
        durations = sorted(row["duration_ns"] / 1e6 for row in members)
        for told, share in ((window.p50_ms, 0.5), (window.p95_ms, 0.95), (window.p99_ms, 0.99)):
            exact = durations[max(0, math.ceil(share * len(durations)) - 1)]
            assert told == pytest.approx(exact, rel=0.05)


def test_only_the_clients_one_may_see_are_in_an_answer(opened: store.Store) -> None:
    (window,) = queries.windows(START, END, [], frozenset({"acme"}))
    assert window.calls == COUNT
    assert queries.windows(START, END, [], frozenset()) == []
    assert records.calls(START, END, frozenset({"stranger"})) == []


def test_paging_shows_every_row_once_though_many_start_together(opened: store.Store) -> None:
    seen: list[str] = []
    cursor = None
    while rows := records.calls(START, END, None, 100, cursor):
        seen += [row["span_id"] for row in rows]
        cursor = rows[-1]["cursor"]
    assert len(seen) == len(set(seen)) == 2 * COUNT
    spans = records.spans(None, limit=10)
    assert records.spans(None, limit=1, before=spans[4]["cursor"])[0]["span_id"] == spans[5]["span_id"]
    with pytest.raises(Invalid):
        records.spans(None, before="next")
    with pytest.raises(Invalid):
        queries.windows(START, END, ["colour"])
