"""A hundred thousand tenants, each with one call: stored and asked for in bounded memory."""

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
TENANTS, A_BODY = 100_000, 5_000
MOST_BYTES = 1_000 * 2**20


def body(first: int) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs({"service.name": "desk"}))
    spans = group.scope_spans.add(scope={"name": "app"}).spans
    common = pairs(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 10,
        }
    )
    for number in range(first, first + A_BODY):
        mark = (number + 1).to_bytes(8, "big")
        span = spans.add(trace_id=mark + mark, span_id=mark, name="chat")
        span.start_time_unix_nano = clock.to_ns(START) + number * 1_000_000
        span.end_time_unix_nano = span.start_time_unix_nano + 10**9
        span.attributes.extend(common)
        span.attributes.add(key="tenant.id").value.string_value = f"tenant-{number}"
    return request.SerializeToString()


def resident(what: str) -> int:
    """VmRSS now, or VmHWM, the most since the mark was reset: bytes."""
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(what)]
    return int(line.split()[1]) * 1024


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[store.Store]:
    made = store.open_store(tmp_path / "t.duckdb")
    tables.prepare(made)
    yield made
    store.close_store()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the most memory that was used")
def test_memory_is_bounded_and_every_tenant_is_found(opened: store.Store) -> None:
    bodies = [body(first) for first in range(0, TENANTS, A_BODY)]
    ask, page = asker(None), browser()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    for data in bodies:
        opened.commit([normalise(data, "application/x-protobuf", None, clock.now_ns()).table])
    opened.upkeep(clock.now_ns())
    (one,) = ask("/api/v1/calls", q="tenant:tenant-99999").json()["calls"]
    assert one["tenant"] == "tenant-99999"
    seen, cursor = set[str](), ""
    for _ in range(4):
        told = ask("/api/v1/calls", limit="200", q="model:gpt-4o", **({"cursor": cursor} if cursor else {})).json()
        seen |= {call["tenant"] for call in told["calls"]}
        cursor = told["cursor"]
    assert len(seen) == 800
    usage = ask("/api/v1/usage", group_by="tenant").json()
    (rows,) = (told for told in usage.values() if isinstance(told, list) and len(told) == TENANTS)
    assert len({row["tenant"] for row in rows}) == TENANTS and {row["calls"] for row in rows} == {1}
    times = {"from": START.isoformat(), "to": END.isoformat()}
    for address in ("/calls", "/calls/usage?group_by=tenant", "/calls/latency?group_by=tenant", "/calls/errors"):
        answer = page.get(address, times | dict([address.partition("?")[2].split("=")] if "?" in address else []))
        assert answer.status_code == 200 and len(answer.content) < 2**20
    assert resident("VmHWM") - before < MOST_BYTES
    print(f"{(resident('VmHWM') - before) / 2**20:.0f} MiB more at most, {before / 2**20:.0f} MiB before")
