from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from afterlaunch.ground import clock
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.signals import points, records, tables
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tests import places as engines

PLAIN = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "input.value": "hush"}
TOKENS = {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "10"}}
Send = Callable[..., None]


places = engines.places


@pytest.fixture
def store(places: engines.Places) -> Iterator[Store]:
    store = stores.open_store(places())
    tables.prepare(store)
    yield store
    stores.close_store()


def number(at: datetime) -> str:
    return str(clock.to_ns(at))


@pytest.fixture
def send(store: Store) -> Send:
    """Spans of one trace for a client: `spans` holds attributes of each; with them a log record and a point."""
    told = iter(range(1, 10_000))

    def sending(client: str, at: datetime, *spans: dict[str, str], log: dict[str, str] | None = None) -> None:
        trace = f"{next(told):032x}"
        rows = [
            {
                "traceId": trace,
                "spanId": f"{next(told):016x}",
                "name": "chat",
                "startTimeUnixNano": number(at),
                "endTimeUnixNano": number(at + timedelta(milliseconds=5)),
                "attributes": [*attributes(PLAIN | one), TOKENS],
            }
            for one in spans
        ]
        place = {"attributes": attributes({"service.name": "desk"})}
        body = {"resourceSpans": [{"resource": place, "scopeSpans": [{"spans": rows}]}]}
        store.commit([normalise(orjson.dumps(body), "application/json", client, clock.now_ns()).table])
        if log is not None:
            line: dict[str, Any] = {"timeUnixNano": number(at), "traceId": trace, "body": {"stringValue": "hush"}}
            line["attributes"] = attributes(log)
            body = {"resourceLogs": [{"resource": place, "scopeLogs": [{"logRecords": [line]}]}]}
            land(tables.LOGS, records.from_otlp(orjson.dumps(body), "application/json", client, 1).table)
            gauge = {"dataPoints": [{"timeUnixNano": number(at), "asInt": "3", "attributes": attributes(log)}]}
            metrics = [{"name": "depth", "gauge": gauge}]
            body = {"resourceMetrics": [{"resource": place, "scopeMetrics": [{"metrics": metrics}]}]}
            land(tables.METRICS, points.from_otlp(orjson.dumps(body), "application/json", client, 1).table)

    def land(table: Any, rows: Any) -> None:
        store.land(table, rows)

    return sending


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], capture_output=True)
    if made.returncode:
        pytest.skip("no right to mount a file system here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def attributes(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]
