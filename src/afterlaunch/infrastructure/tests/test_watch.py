"""From metric points as senders write them to verdicts, an alert and an incident."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from afterlaunch.alerts.actions import work
from afterlaunch.app.configuration.apply import apply, export, parse, to_yaml
from afterlaunch.app.judges import JUDGES, TITLES
from afterlaunch.estate.actions import adopt
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents.models import Incident
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.duties import notice_systems
from afterlaunch.telemetry.signals import tables
from afterlaunch.telemetry.signals.points import POINTS, series_id
from afterlaunch.telemetry.signals.readings import host_of
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.models import Verdict

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LOCAL = automation("test")
STEP = 30


@pytest.fixture
def store(place: Path | str) -> Iterator[stores.Store]:
    made = stores.open_store(place)
    tables.prepare(made)
    yield made
    stores.close_store()


def series(
    name: str,
    values: Sequence[float | None],
    kind: str = "gauge",
    host: str = "gpu-1:9400",
    until: datetime = NOW,
    unit: str = "",
    **labels: Any,
) -> list[dict[str, Any]]:
    """Points 30 seconds apart, the newest at `until`."""
    last = clock.to_ns(until)
    whose = ("acme", "support", "prod", host, name, unit, labels)
    head = {
        "series": series_id(*whose), "client": "acme", "system": "support", "environment": "prod", "host": host,
        "name": name, "unit": unit, "kind": kind, "cumulative": kind == "counter", "labels": list(labels.items()),
    }  # fmt: skip
    size = len(values)
    return [{**head, "at_ns": last - (size - 1 - n) * STEP * 10**9, "value": value} for n, value in enumerate(values)]


def told(labels: dict[str, Any]) -> dict[str, Any]:
    """Labels whose names are no names in Python."""
    return labels


def tell(store: stores.Store, *rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist([row for one in rows for row in one], schema=POINTS)
    tables.Lander(store, tables.METRICS).commit([table])


def rising(*rates: float, start: float = 1e6) -> list[float | None]:
    """A counter that rises by these rates per second."""
    out: list[float | None] = [start]
    for rate in rates:
        out.append((out[-1] or 0.0) + rate * STEP)
    return out


def found(now: datetime = NOW) -> dict[tuple[str, str], Verdict]:
    watch.run(JUDGES, now)
    return {(row.judge.partition(".")[2], row.host): row for row in Verdict.objects.all()}


def test_node_exporter_and_opentelemetry_tell_busy_processors(store: stores.Store) -> None:
    busy, lazy = rising(*[0.1] * 20), rising(*[0.9] * 20)
    tell(
        store,
        *(series("node_cpu_seconds_total", busy, "counter", "n1:9100", cpu=str(n), mode="idle") for n in range(4)),
        *(
            series("node_cpu_seconds_total", rising(*[0.9] * 20), "counter", "n1:9100", cpu=str(n), mode="user")
            for n in range(4)
        ),
        *(series("node_cpu_seconds_total", lazy, "counter", "n2:9100", cpu=str(n), mode="idle") for n in range(4)),
        series("system.cpu.utilization", [0.05] * 20, host="n3", **told({"cpu.mode": "idle"})),
        series("system.cpu.utilization", [0.95] * 20, host="n3", **told({"cpu.mode": "user"})),
        series("system.cpu.time", rising(*[0.6] * 20), "counter", "n4", state="idle"),
    )
    seen = found()
    assert {host: row.status for (judge, host), row in seen.items() if judge == "cpu"} == {
        "n1": "breach", "n2": "ok", "n3": "breach", "n4": "ok"
    }  # fmt: skip
    assert seen["cpu", "n1"].value == pytest.approx(0.9, abs=0.01)
    assert seen["cpu", "n4"].value == pytest.approx(0.4, abs=0.01)
    assert seen["cpu", "n1"].evidence["source"] == "node_cpu_seconds_total"


def test_a_counter_that_starts_anew_is_no_idle_processor(store: stores.Store) -> None:
    values: list[float | None] = [*rising(*[0.5] * 10), *rising(*[0.5] * 10, start=3.0)]
    tell(store, series("node_cpu_seconds_total", values, "counter", "n1:9100", cpu="0", mode="idle"))
    assert found()["cpu", "n1"].status == "ok"


def test_gpus_are_read_from_dcgm_and_from_opentelemetry(store: stores.Store) -> None:
    tell(
        store,
        series("DCGM_FI_DEV_GPU_UTIL", [99.0] * 20, gpu="0"),
        series("DCGM_FI_DEV_GPU_UTIL", [50.0] * 20, gpu="1"),
        series("DCGM_FI_DEV_FB_USED", [70_000.0] * 20, gpu="0"),
        series("DCGM_FI_DEV_FB_FREE", [10_000.0] * 20, gpu="0"),
        series("hw.gpu.utilization", [0.1] * 40, host="gpu-2", **told({"hw.id": "a"})),
        series("hw.gpu.memory.usage", [10.0] * 20, host="gpu-2", **told({"hw.id": "a"})),
        series("hw.gpu.memory.limit", [100.0] * 20, host="gpu-2", **told({"hw.id": "a"})),
    )
    seen = found()
    assert (seen["gpu", "gpu-1"].status, seen["gpu", "gpu-1"].evidence["part"]) == ("breach", "0")
    assert seen["gpu", "gpu-2"].status == "warning" and "below 30 %" in seen["gpu", "gpu-2"].explanation
    assert seen["gpu_memory", "gpu-1"].value == pytest.approx(0.875) and seen["gpu_memory", "gpu-1"].status == "breach"
    assert seen["gpu_memory", "gpu-2"].status == "ok"


def test_an_inference_server_takes_the_memory_for_its_cache_so_the_cache_is_judged(store: stores.Store) -> None:
    """On one host, told by two exporters on two ports."""
    tell(
        store,
        series("DCGM_FI_DEV_FB_USED", [79_000.0] * 20, gpu="0"),
        series("DCGM_FI_DEV_FB_FREE", [1_000.0] * 20, gpu="0"),
        series("vllm:kv_cache_usage_perc", [0.4] * 20, host="gpu-1:8000", engine="0"),
        series("vllm:num_requests_waiting", [25.0] * 20, host="gpu-1:8000", model_name="house-7b"),
        series("vllm:request_success_total", rising(*[0.5] * 20), "counter", "gpu-1:8000"),
    )
    seen = found()
    assert seen["gpu_memory", "gpu-1"].status == "ok" and "KV cache" in seen["gpu_memory", "gpu-1"].explanation
    assert (
        seen["inference_queue", "gpu-1"].status == "breach"
        and "house-7b" in seen["inference_queue", "gpu-1"].explanation
    )
    assert ("throughput", "") not in seen, "nobody declared a target"


def test_database_time_is_read_from_histograms_and_from_exporters(store: stores.Store) -> None:
    def histogram(counts: list[int], mean: float, host: str) -> list[dict[str, Any]]:
        rows = series("db.client.operation.duration", [None] * len(counts), "histogram", host, unit="s",
                      **told({"db.system.name": "postgresql"}))  # fmt: skip
        return [{**row, "cumulative": True, "count": n, "sum": n * mean} for row, n in zip(rows, counts, strict=True)]

    tell(store, histogram(list(range(0, 2000, 100)), 0.25, "a"), histogram(list(range(0, 2000, 100)), 0.25, "b"))
    (row,) = [row for (judge, _), row in found().items() if judge == "database"]
    assert (row.host, row.status) == ("", "breach") and row.value == pytest.approx(250.0)
    later = NOW + timedelta(hours=2)
    tell(
        store,
        series("pg_stat_statements_seconds_total", rising(*[1.0] * 20), "counter", "db:9187", later, datname="shop"),
        series("pg_stat_statements_calls_total", rising(*[50.0] * 20), "counter", "db:9187", later, datname="shop"),
    )
    row = found(later)["database", ""]
    assert row.status == "ok" and row.value == pytest.approx(20.0)


def test_what_does_not_answer_pages_and_what_is_gone_is_not_called_well(store: stores.Store) -> None:
    tell(
        store,
        series("up", [1.0] * 16 + [0.0] * 8, host="gpu-1:9400", job="dcgm"),
        series("up", [1.0] * 24, host="gpu-1:8000", job="vllm"),
        series("probe_success", [1.0] * 24, host="https://api.example.org/health", job="blackbox"),
    )
    with clock.frozen(NOW):
        notice_systems(NOW)
    assert System.objects.filter(client__slug="acme", key="support", environments__name="prod").exists()
    seen = found()
    assert seen["dependency", "gpu-1"].explanation.startswith("1 of 2 do not answer: dcgm, for 5 minutes")
    assert seen["dependency", "api.example.org"].status == "ok"
    Verdict.objects.update(since=NOW - timedelta(minutes=3))
    with clock.frozen(NOW):
        work(NOW, {name: title for name, (title, _) in TITLES.items()})
    incident = Incident.objects.get()
    assert incident.severity == "P1" and "Dependency health" in incident.title
    assert watch.run(JUDGES, NOW + timedelta(hours=1)) >= 2
    assert set(Verdict.objects.values_list("status", flat=True)) == {"not_assessed"}


def test_limits_are_declared_by_the_owner(store: stores.Store) -> None:
    tell(
        store,
        series("node_cpu_seconds_total", rising(*[0.1] * 20), "counter", "n1:9100", cpu="0", mode="idle"),
        series("queue_depth", [500.0] * 20, host="", queue="mail"),
    )
    with clock.frozen(NOW):
        notice_systems(NOW)
    seen = found()
    assert (seen["cpu", "n1"].status, seen["queue", ""].status) == ("breach", "not_assessed")
    text = "apiVersion: afterlaunch/v1\nkind: System\nmetadata: {client: acme, name: support}\nspec: "
    apply(LOCAL, parse(text + "{infrastructure: {cpuAbove: 0.95, queueAbove: 100, gpuBelow: null}}", "a"))
    seen = found()
    assert (seen["cpu", "n1"].status, seen["queue", ""].status) == ("ok", "breach")
    assert "infrastructure:\n    cpuAbove: 0.95\n    gpuBelow: null\n    queueAbove: 100.0\n" in to_yaml(export())
    assert apply(LOCAL, parse(to_yaml(export()), "export")) == []
    for wrong in ("{cpuAbove: 2}", "{cpu: 1}", "{sustainedMinutes: null}", "{cpuAbove: much}"):
        with pytest.raises(Invalid):
            apply(LOCAL, parse(text + "{infrastructure: " + wrong + "}", "a"))
    with pytest.raises(Invalid, match="lower limit"):
        adopt(LOCAL, System.objects.get(), infrastructure={"gpu_below": 0.9, "gpu_above": 0.5})


def test_throughput_of_a_system_that_sends_calls_is_that_of_its_calls(store: stores.Store) -> None:
    tell(store, series("vllm:request_success_total", rising(*[0.5] * 20), "counter", "gpu-1:8000"))
    with clock.frozen(NOW):
        notice_systems(NOW)
        adopt(LOCAL, System.objects.get(), infrastructure={"calls_per_minute_below": 60})
    row = found()["throughput", ""]
    assert (row.status, row.unit) == ("breach", "per minute") and row.value == pytest.approx(30.0)


def test_the_watch_asks_one_question_for_all_hosts(store: stores.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(
        store,
        *(
            series("node_cpu_seconds_total", rising(*[0.5] * 20), "counter", f"n{n}:9100", cpu="0", mode="idle")
            for n in range(50)
        ),
    )
    asked: list[str] = []
    ask = stores.current().query

    def listening(sql: str, *more: Any) -> Any:
        asked.append(sql)
        return ask(sql, *more)

    monkeypatch.setattr(stores.current(), "query", listening)
    found()
    assert sum("from points" in sql for sql in asked) == 1
    assert Verdict.objects.filter(judge="infrastructure.cpu", status="ok").count() == 50


@pytest.mark.parametrize(
    ("told", "host"),
    [
        ("node-1:9100", "node-1"),
        ("10.0.0.5:9400", "10.0.0.5"),
        ("[fd00::1]:9100", "fd00::1"),
        ("fd00::1", "fd00::1"),
        ("https://api.example.org:8443/health?x=1", "api.example.org"),
        ("pod-7f9", "pod-7f9"),
        (None, ""),
    ],
)
def test_ports_of_one_host_are_one_host(told: str | None, host: str) -> None:
    assert host_of(told) == host
