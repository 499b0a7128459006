"""Sums that are not those of their calls, and spans that tell less than metrics do, are told where numbers are read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

from afterlaunch.ground import clock
from afterlaunch.telemetry import store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.signals import points, tokens
from afterlaunch.telemetry.signals.tables import METRICS, Lander, prepare
from afterlaunch.telemetry.tests.telling import AT, MS, PROTOBUF, body, pairs, span
from afterlaunch.telemetry.views import quality, usage
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.finding import find
from afterlaunch.telemetry.views.search import parse

START = clock.from_ns(AT)
CHAT: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
CHAT |= {"gen_ai.request.model": "gpt-4o"}
AGENT: dict[str, Any] = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
LATER = AT + 120_000 * MS


@pytest.fixture
def kept(place: Path | str) -> Iterator[store.Store]:
    opened = store.open_store(place)
    prepare(opened)
    yield opened
    store.close_store()


def used(told: dict[str, Any], into: int | None, out: int | None) -> dict[str, Any]:
    counts = {"gen_ai.usage.input_tokens": into, "gen_ai.usage.output_tokens": out}
    return told | {key: count for key, count in counts.items() if count is not None}


def agent(into: int, out: int) -> Any:
    return span(used(AGENT, into, out), number=1, name="run", kind=1, lasts_ms=4000)


def chat(number: int, into: int | None = 100, out: int | None = 10, parent: int = 1) -> Any:
    return span(used(CHAT, into, out), number=number, parent=parent, name="chat", lasts_ms=900)


def mapped(*spans: Any) -> Any:
    return normalise(body(*spans), PROTOBUF, "acme", 0).table


def asked(q: str = "") -> Asked:
    return Asked("/calls/quality", "", START - timedelta(hours=1), START + timedelta(hours=1), parse(q), None, {})


def flagged() -> list[tuple[int, tuple[str, ...]]]:
    rows = find(parse("rollup_mismatch:yes"), asked().start, asked().end, None, 10, table="spans").rows
    return [(int(row["span_id"], 16), tuple(row["flags"])) for row in rows]


def settle(kept: store.Store) -> None:
    kept.settle(LATER)
    assert kept.settle(LATER) == 0, "settling again changes nothing"


def test_a_sum_that_is_not_that_of_its_calls_is_flagged_until_it_is(kept: store.Store) -> None:
    kept.commit([mapped(agent(200, 20), chat(2))])
    settle(kept)
    assert flagged() == [(1, ("rollup_mismatch",))]
    first = quality.sheet(asked())
    rows = {row["flag"]: row for row in first.sections[0].grid.rows}
    assert (rows["rollup_mismatch"]["spans"], rows["rollup_mismatch"]["share"]) == (1, 0.5)
    (differs,) = first.sections[1].grid.rows
    assert (differs["input_told"], differs["output_told"], differs["agent"]) == (200, 20, "planner")
    kept.commit([mapped(chat(3))])
    settle(kept)
    assert flagged() == [] and "rollup_mismatch" not in {
        row["flag"] for row in quality.sheet(asked()).sections[0].grid.rows
    }


def test_one_percent_apart_and_unknown_calls_are_no_mismatch(kept: store.Store) -> None:
    kept.commit([mapped(agent(101, 10), chat(2))])
    settle(kept)
    assert flagged() == []
    kept.commit([mapped(chat(3, None, None))])
    settle(kept)
    assert flagged() == []


def test_a_call_that_failed_and_tells_no_tokens_hides_no_mismatch(kept: store.Store) -> None:
    failed = span(CHAT | {"error.type": "timeout"}, number=3, parent=1, name="chat", lasts_ms=900, status=2)
    kept.commit([mapped(agent(200, 20), chat(2), failed)])
    settle(kept)
    assert flagged() == [(1, ("rollup_mismatch",))]


def metric(at_ms: int, told: float, **more: Any) -> bytes:
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(pairs({"service.name": "desk"} | more))
    one = group.scope_metrics.add().metrics.add(name="gen_ai.client.token.usage", unit="{token}")
    one.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    point = one.histogram.data_points.add(
        start_time_unix_nano=AT - 5 * MS, time_unix_nano=AT + at_ms * MS, count=1 + at_ms, sum=told, bucket_counts=[1]
    )
    point.attributes.extend(pairs({"gen_ai.token.type": "input"}))
    return request.SerializeToString()


def land(kept: store.Store, *bodies: bytes) -> None:
    for one in bodies:
        Lander(kept, METRICS).commit([points.from_otlp(one, PROTOBUF, "acme", 0).table])


def test_a_service_whose_metrics_tell_more_than_its_spans_is_told_so(kept: store.Store) -> None:
    kept.commit([mapped(chat(2, parent=0))])
    land(kept, metric(0, 60.0), metric(60_000, 220.0), metric(0, 9.0, **{"service.name": "mute"}))
    found = tokens.told(asked().start, asked().end)
    assert {place[3]: told for place, (_, told) in found.items()} == {"desk": 220, "mute": 9}
    rows = {row["service"]: row for row in quality.sheet(asked()).sections[2].grid.rows}
    assert (rows["desk"]["tokens_of_spans"], rows["desk"]["flag"]) == (110, "spans_incomplete")
    assert rows["desk"]["missing"] == 0.5 and rows["mute"]["flag"] == "no_spans"
    assert "spans incomplete: of one service 50% are missing" in [one.note for one in usage.sheet(asked()).tiles]
    assert tokens.told(asked().start, asked().end, frozenset({"globex"})) == {}


def test_spans_that_tell_all_are_complete(kept: store.Store) -> None:
    kept.commit([mapped(chat(2, parent=0))])
    land(kept, metric(0, 112.0))
    (row,) = quality.sheet(asked("service:desk")).sections[2].grid.rows
    assert row["flag"] == "" and "incomplete" not in str(usage.sheet(asked()).tiles)
