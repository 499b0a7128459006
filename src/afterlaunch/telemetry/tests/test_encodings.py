"""An item of a JSON body that is none is left out and told; its neighbours are kept."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.encodings import read

JSON = "application/json"


def span(number: int, **told: Any) -> dict[str, Any]:
    ids = {"traceId": f"{number:032x}", "spanId": f"{number:016x}"}
    return {**ids, "name": f"s{number}", "startTimeUnixNano": "1760000000000000000", "kind": 3, **told}


def traces(*spans: Any) -> bytes:
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (span(2, startTimeUnixNano="soon"), "startTimeUnixNano"),
        (span(2, kind="CLIENT"), "kind: expected a number"),
        (span(2, traceId="xyz"), "traceId: expected hex digits"),
        (span(2, attributes=[{"key": "a", "value": {"intValue": "many"}}]), "not a value of this field"),
        (span(2, status=7), "status: not a value of this field"),
        ("no span", "no valid ids"),
    ],
)
def test_the_neighbours_of_a_bad_span_are_kept_and_its_fault_is_told(wrong: Any, said: str) -> None:
    made = normalise(traces(span(1), wrong, span(3)), JSON, None, 0)
    assert made.table["name"].to_pylist() == ["s1", "s3"]
    assert made.rejected == 1
    assert made.messages[0].startswith("1 ")
    assert said in made.messages[0]


def test_a_body_of_bad_spans_only_or_broken_above_them_is_refused_whole() -> None:
    with pytest.raises(Invalid):
        normalise(traces(span(1, kind="x"), span(2, kind="y")), JSON, None, 0)
    with pytest.raises(Invalid):
        normalise(
            orjson.dumps({"resourceSpans": [{"resource": 3, "scopeSpans": [{"spans": [span(1)]}]}]}), JSON, None, 0
        )


def test_rejected_metrics_count_their_points_and_records_themselves() -> None:
    good = {"name": "a", "gauge": {"dataPoints": [{"asDouble": 1, "timeUnixNano": "5"}]}}
    bad = {"name": "b", "gauge": {"dataPoints": [{"asDouble": "x", "timeUnixNano": "5"}, {"asDouble": 2}]}}
    metrics = orjson.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [good, bad]}]}]})
    told = read(ExportMetricsServiceRequest, metrics, JSON)
    assert ([one.name for one in told.message.resource_metrics[0].scope_metrics[0].metrics], told.rejected) == (
        ["a"],
        2,
    )
    records = [{"timeUnixNano": "5", "body": {"stringValue": "kept"}}, {"timeUnixNano": []}]
    logs = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
    assert read(ExportLogsServiceRequest, logs, JSON).rejected == 1


def test_many_bad_spans_cost_no_more_than_reading_each_once() -> None:
    began = time.process_time()
    made = normalise(traces(*(span(one, kind="x" if one % 2 else 3) for one in range(1, 5000))), JSON, None, 0)
    assert (made.table.num_rows, made.rejected) == (2499, 2500)
    assert time.process_time() - began < 10
