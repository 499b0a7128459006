"""Metric points: OTLP and Prometheus samples as one table. Pure.

A series is a client, system, environment, host, metric name, unit and labels; its id is a hash of those. A point is
one value, or one histogram, of a series at one instant. Exponential histograms become explicit ones by their own
formula (bounds base^(index+1)), so nothing is lost but the name of the shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from afterlaunch.telemetry.encodings import read
from afterlaunch.telemetry.signals.wire import Place, texts

POINTS = pa.schema(
    [
        ("series", pa.int64()),
        ("client", pa.string()),
        ("system", pa.string()),
        ("environment", pa.string()),
        ("service", pa.string()),
        ("host", pa.string()),
        ("name", pa.string()),
        ("unit", pa.string()),
        ("kind", pa.string()),  # gauge, counter (ever rising), delta, updown, histogram, summary
        ("cumulative", pa.bool_()),
        ("labels", pa.map_(pa.string(), pa.string())),
        ("at_ns", pa.int64()),
        ("start_ns", pa.int64()),
        ("value", pa.float64()),  # None: the sender says that it has none (a gap)
        ("count", pa.int64()),
        ("sum", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("bounds", pa.list_(pa.float64())),
        ("counts", pa.list_(pa.int64())),
        ("exemplar_trace", pa.binary()),
    ]
)
NO_VALUE = 1  # DataPointFlags.NO_RECORDED_VALUE
CUMULATIVE = 2
INT63 = 2**63 - 1


@dataclass(frozen=True)
class Taken:
    """`table` has a schema of ours; `rejected` items can never be stored, `messages` say why."""

    table: Any
    rejected: int = 0
    messages: list[str] = field(default_factory=list)


def series_id(*parts: Any) -> int:
    """63 bits of a hash over everything that tells one series from another."""
    digest = hashlib.blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), digest_size=8).digest()
    return int.from_bytes(digest, "big") & INT63


def from_otlp(body: bytes, content_type: str, client: str | None, received_ns: int) -> Taken:
    """An ExportMetricsServiceRequest. Points without a name or a time are rejected. Raises Invalid, Unsupported."""
    told = read(ExportMetricsServiceRequest, body, content_type)
    request = told.message
    rows: list[dict[str, Any]] = []
    rejected, first = 0, ""
    for group in request.resource_metrics:
        place = Place(group.resource, client)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                for point in _points(metric):
                    if metric.name and 0 < point["at_ns"] <= INT63:
                        rows.append(_row(place, metric.name, metric.unit, point))
                    else:
                        rejected += 1
                        first = first or (metric.name or "a metric without a name")
    said = [f"{rejected} data points have no name or no time; the first is of {first}"] if rejected else []
    return Taken(pa.Table.from_pylist(rows, schema=POINTS), rejected + told.rejected, [*told.messages, *said])


def count(request: ExportMetricsServiceRequest) -> int:
    """Of its data points."""
    metrics = (one for group in request.resource_metrics for scope in group.scope_metrics for one in scope.metrics)
    return sum(len(getattr(one, which).data_points) for one in metrics if (which := one.WhichOneof("data")))


def _row(place: Place, name: str, unit: str, point: dict[str, Any]) -> dict[str, Any]:
    labels = point.pop("labels")
    return {
        "series": series_id(place.client, place.system, place.environment, place.host, name, unit, labels),
        "client": place.client,
        "system": place.system,
        "environment": place.environment,
        "service": place.service,
        "host": place.host,
        "name": name,
        "unit": unit,
        "labels": list(labels.items()),
        **point,
    }


def _points(metric: Metric) -> Iterator[dict[str, Any]]:
    which = metric.WhichOneof("data")
    if which is None:
        return
    data = getattr(metric, which)
    cumulative = getattr(data, "aggregation_temporality", CUMULATIVE) == CUMULATIVE
    for point in data.data_points:
        told: dict[str, Any] = {
            "labels": texts(point.attributes),
            "at_ns": point.time_unix_nano,
            "start_ns": min(point.start_time_unix_nano, INT63) or None,
            "cumulative": cumulative,
            "exemplar_trace": next((one.trace_id for one in getattr(point, "exemplars", []) if one.trace_id), None),
        }
        empty = bool(point.flags & NO_VALUE)
        if which in ("gauge", "sum"):
            number = getattr(point, point.WhichOneof("value")) if point.WhichOneof("value") else None
            told["kind"] = "gauge" if which == "gauge" else _kind_of_sum(data.is_monotonic, cumulative)
            told["value"] = None if empty or number is None else _finite(number)
        elif which == "summary":
            told |= {"kind": "summary", "count": _whole(point.count), "sum": _finite(point.sum)}
            told["bounds"] = [one.quantile for one in point.quantile_values]
            told["value"] = None
        else:
            told |= {"kind": "histogram", "value": None, "count": None if empty else _whole(point.count)}
            told["sum"] = _finite(point.sum) if point.HasField("sum") and not empty else None
            told["low"] = _finite(point.min) if point.HasField("min") else None
            told["high"] = _finite(point.max) if point.HasField("max") else None
            told["bounds"], told["counts"] = (
                _exponential(point)
                if which == "exponential_histogram"
                else (list(point.explicit_bounds), [_whole(one) for one in point.bucket_counts])
            )
        yield told


def _kind_of_sum(monotonic: bool, cumulative: bool) -> str:
    if not monotonic:
        return "updown"
    return "counter" if cumulative else "delta"


def _whole(number: int) -> int:
    return min(int(number), INT63)


def _finite(number: float) -> float | None:
    value = float(number)
    return value if value - value == 0 else None


def _exponential(point: Any) -> tuple[list[float], list[int]]:
    """Explicit bounds and counts of an exponential histogram, negative side first. OTLP data model, section
    ExponentialHistogram: bucket i holds (base^(offset+i), base^(offset+i+1)], base = 2^(2^-scale)."""
    scale = max(-10, min(20, point.scale))

    def bound(index: int) -> float:
        exponent = index * 2.0**-scale
        return float(2.0 ** max(-1074.0, min(1023.0, exponent)))

    bounds: list[float] = []
    counts: list[int] = []
    negative = list(point.negative.bucket_counts)
    for place in range(len(negative) - 1, -1, -1):
        bounds.append(-bound(point.negative.offset + place))
        counts.append(_whole(negative[place]))
    positive = list(point.positive.bucket_counts)
    zero_end = max(point.zero_threshold, bound(point.positive.offset) if positive else 0.0)
    bounds.append(zero_end)
    counts.append(_whole(point.zero_count))
    for place, number in enumerate(positive):
        bounds.append(bound(point.positive.offset + place + 1))
        counts.append(_whole(number))
    counts.append(0)  # nothing lies above the last bound
    return bounds, counts
