"""Calls of sampled traces are told as they were sent, and what they stand for beside them; others are not in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.ground import clock
from afterlaunch.telemetry import store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.signals import tables
from afterlaunch.telemetry.tests.test_queries import END, START, pairs
from afterlaunch.telemetry.views.tests.test_search import asker
from afterlaunch.telemetry.views.tests.test_views import browser

pytestmark = pytest.mark.django_db
STATES = {
    "gpt-4o": ["ot=th:8", "vendor=x, ot=rv:80000000000000;th:c", "ot=th:8;rv:ff"],  # 2, 4 and 2
    "gpt-4o-mini": ["ot=th:0", "", "vendor=th:8", "ot=th:zz", "other=ot=th"],  # 1, and nobody tells of the others
}


@pytest.fixture(autouse=True)
def opened(place: Path | str) -> Iterator[store.Store]:
    made = store.open_store(place)
    tables.prepare(made)
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add(scope={"name": "app"}).spans
    for model, states in STATES.items():
        for state in states:
            mark = (len(spans) + 1).to_bytes(8, "big")
            span = spans.add(trace_id=mark + mark, span_id=mark, name="chat", trace_state=state)
            span.start_time_unix_nano = clock.to_ns(START) + len(spans) * 10**9
            span.end_time_unix_nano = span.start_time_unix_nano + 10**9
            told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model, "gen_ai.response.model": model}
            used = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
            span.attributes.extend(pairs({**told, **used, "gen_ai.provider.name": "openai"}))
    made.commit([normalise(request.SerializeToString(), "application/x-protobuf", None, 0).table])
    yield made
    store.close_store()


def test_counts_and_money_are_extrapolated_apart() -> None:
    told = asker(None)("/api/v1/usage").json()
    sums = {row["model"]: row for row in told["rows"]}
    assert {model: row["calls"] for model, row in sums.items()} == {model: len(of) for model, of in STATES.items()}
    found = {row["model"]: row for row in told["sampled"]}
    large = found["gpt-4o"]
    assert set(found) == {"gpt-4o"}  # a sampler that lets everything through leaves nothing out
    assert (large["calls"], large["calls_sampled"], large["calls_extrapolated"]) == (3, 3, 8)
    assert large["share_sent"] == 0.375
    assert (large["input_tokens"], large["input_tokens_extrapolated"]) == (300, 800)
    assert float(large["cost_extrapolated_usd"]) == pytest.approx(float(large["cost_usd"]) * 8 / 3)
    page = browser().get("/calls/usage", {"from": START.isoformat(), "to": END.isoformat()}).content.decode()
    assert "Sampled traces" in page and "calls were sent, for 8" in page
    spend = browser().get("/spend", {"from": START.isoformat(), "to": END.isoformat()}).content.decode()
    assert "extrapolated, of 13 calls: 3 sent are a sample" in spend


def test_where_nobody_samples_there_is_no_such_part() -> None:
    told = asker(None)("/api/v1/usage", q="model:gpt-4o-mini tenant:nobody").json()
    assert "sampled" not in told
