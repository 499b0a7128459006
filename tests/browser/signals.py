"""Metrics and logs for the pages to show: two hosts as node_exporter, the DCGM exporter and vLLM tell them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson

STEPS, SECONDS = 240, 30


def _attributes(**told: object) -> list[dict[str, Any]]:
    return [{"key": key.replace("__", "."), "value": {"stringValue": str(value)}} for key, value in told.items()]


def _resource(host: str) -> dict[str, Any]:
    told = {"service__name": "support-assistant", "deployment__environment__name": "prod", "host__name": host}
    return {"attributes": _attributes(**told)}


def _points(now: datetime, values: list[float], **labels: object) -> list[dict[str, Any]]:
    first = now - timedelta(seconds=SECONDS * (len(values) - 1))
    return [
        {
            "timeUnixNano": str(int((first + timedelta(seconds=SECONDS * n)).timestamp() * 1e9)),
            "asDouble": value,
            "attributes": _attributes(**labels),
        }
        for n, value in enumerate(values)
    ]


def _wave(middle: float, swing: float, shift: float = 0.0, rise: float = 0.0) -> list[float]:
    return [
        middle + swing * math.sin(n / 11 + shift) + swing / 3 * math.sin(n / 2.3) + rise * n / STEPS
        for n in range(STEPS)
    ]


def _gauge(name: str, *points: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "gauge": {"dataPoints": [one for rows in points for one in rows]}}


def _counter(name: str, *points: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [one for told in points for one in told]
    return {"name": name, "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": rows}}


def _summed(rates: list[float]) -> list[float]:
    total, out = 1_000.0, []
    for rate in rates:
        total += max(0.0, rate) * SECONDS
        out.append(total)
    return out


def metric_bodies(now: datetime) -> Iterator[bytes]:
    hosts = {"node-1": (0.30, 0.15, 0.0), "gpu-1": (0.55, 0.12, 0.42)}
    for host, (middle, swing, rise) in hosts.items():
        busy = [min(0.99, max(0.02, one)) for one in _wave(middle, swing, 0.5, rise)]
        idle = [_points(now, _summed([1 - one for one in busy]), cpu=n, mode="idle") for n in range(4)]
        metrics = [
            _counter("node_cpu_seconds_total", *idle),
            _gauge("node_memory_MemTotal_bytes", _points(now, [64e9] * STEPS)),
            _gauge("node_memory_MemAvailable_bytes", _points(now, _wave(30e9, 4e9))),
            _gauge("up", _points(now, [1.0] * STEPS, job="node")),
        ]
        if host == "gpu-1":
            metrics += _gpu(now)
        yield orjson.dumps({"resourceMetrics": [{"resource": _resource(host), "scopeMetrics": [{"metrics": metrics}]}]})


def _gpu(now: datetime) -> list[dict[str, Any]]:
    used = [_points(now, _wave(52_000 + 4_000 * n, 3_000, n, 8_000), gpu=n) for n in range(4)]
    free = [[{**one, "asDouble": 80_000 - one["asDouble"]} for one in rows] for rows in used]
    busy = [_points(now, [min(100.0, one) for one in _wave(70 + 8 * n, 10, n, 14)], gpu=n) for n in range(4)]
    waiting = [max(0.0, round(one)) for one in _wave(6, 6, 0, 30)]
    return [
        _gauge("DCGM_FI_DEV_GPU_UTIL", *busy),
        _gauge("DCGM_FI_DEV_FB_USED", *used),
        _gauge("DCGM_FI_DEV_FB_FREE", *free),
        _gauge("vllm:num_requests_waiting", _points(now, waiting, model_name="house-model-7b")),
        _counter("vllm:request_success_total", _points(now, _summed(_wave(2.5, 0.8)))),
        _counter("vllm:generation_tokens_total", _points(now, _summed(_wave(900, 250)))),
        _counter("pg_stat_statements_seconds_total", _points(now, _summed(_wave(3.0, 1.0)), datname="shop")),
        _counter("pg_stat_statements_calls_total", _points(now, _summed([40.0] * STEPS), datname="shop")),
    ]


REFUND = """tool "refund" failed: HTTPError 502 from https://shop.internal/refunds/81231
Traceback (most recent call last):
  File "tools.py", line 88, in call
    response.raise_for_status()"""
LINES = (
    (9, "Answered in 1.2 s with 3 documents", ""),
    (5, "cache hit for the system prompt", ""),
    (13, "Retrieval returned nothing above the threshold; answering without documents", "retrieval.empty"),
    (17, REFUND, "tool.failed"),
    (9, "Session closed by the user", ""),
    (21, "No connection to the vector store", ""),
    (0, "a line without a severity", ""),
)


def log_body(now: datetime) -> bytes:
    records = []
    for number in range(180):
        severity, text, event = LINES[number * 5 // 3 % len(LINES)]
        at = now - timedelta(seconds=70 * number + 5)
        record = {
            "timeUnixNano": str(int(at.timestamp() * 1e9)),
            "severityNumber": severity,
            "body": {"stringValue": text},
            "attributes": _attributes(session=f"s-{number % 17}", **({"event__name": event} if event else {})),
        }
        if severity >= 13:
            record |= {"traceId": f"{number + 1:032x}", "spanId": f"{number * 2 + 1:016x}"}
        records.append(record)
    return orjson.dumps({"resourceLogs": [{"resource": _resource("node-1"), "scopeLogs": [{"logRecords": records}]}]})
