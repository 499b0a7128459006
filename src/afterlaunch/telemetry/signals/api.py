from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
from django.http import FileResponse
from ninja import Router

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.telemetry.api import From, Narrow, To, period
from afterlaunch.telemetry.signals import questions
from afterlaunch.telemetry.views import files

router = Router(tags=["metrics and logs"])


IN_FILE = 10_000
_LOG_COLUMNS = (
    "client", "system", "environment", "service", "host", "scope", "severity_text", "event", "body", "trace_id",
    "span_id",
)  # fmt: skip


def _as_table(rows: list[dict[str, Any]]) -> Any:
    columns: dict[str, Any] = {
        "at": pa.array([clock.from_ns(row["at_ns"]) for row in rows], pa.timestamp("us", tz="UTC")),
        "severity": pa.array([row["severity"] for row in rows], pa.int8()),
    }
    columns |= {name: pa.array([row[name] for row in rows], pa.string()) for name in _LOG_COLUMNS}
    told = [orjson.dumps(row["attributes"], option=orjson.OPT_SORT_KEYS).decode() for row in rows]
    return pa.table({**columns, "attributes": pa.array(told, pa.string())})


def _of(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def default_step(start: datetime, end: datetime) -> int:
    """Seconds: about 240 steps, whole quarters of a minute."""
    return max(15, int((end - start) / timedelta(seconds=1)) // 240 // 15 * 15)


def wanted_labels(text: str) -> dict[str, str | None]:
    """`queue=mail,zone=b`. Raises Invalid."""
    found: dict[str, str | None] = {}
    for part in text.split(","):
        name, sign, value = part.partition("=")
        if part.strip() and not (sign and name.strip()):
            raise Invalid(f"{part.strip()!r} is no label.", "Write them so: queue=mail,zone=b")
        if part.strip():
            found[name.strip()] = value.strip() or None
    return found


def as_file(kind: str, name: str, groups: list[str], rows: list[questions.Sample]) -> FileResponse:
    """A row for each step and group. Names of groups that the file has already get an underscore."""
    columns: dict[str, Any] = {"at": pa.array([row.at for row in rows], pa.timestamp("us", tz="UTC"))}
    for group in groups:
        said = f"{group}_" if group in ("at", "value", "series") else group
        columns[said] = pa.array([row.key[group] for row in rows], pa.string())
    columns["value"] = pa.array([row.value for row in rows], pa.float64())
    columns["series"] = pa.array([row.series for row in rows], pa.int64())
    return files.answer(kind, re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:80], [pa.table(columns)], rows=len(rows))


@router.get("/metrics/labels")
def labels_of_one_metric(
    request: Request,
    name: str,
    client: str | None = None,
    system: str | None = None,
    start: From = None,
    end: To = None,
) -> dict[str, Any]:
    """The labels of a metric's series in the time, with their values: what it can be grouped and narrowed by."""
    since, until = period(start, end)
    equals = {key: value for key, value in (("client", client), ("system", system)) if value is not None}
    return {"name": name, "labels": questions.labels(name, since, until, request.actor.sees(), **equals)}


@router.get("/metrics")
def list_metrics(
    request: Request, client: str | None = None, system: str | None = None, start: From = None, end: To = None
) -> dict[str, Any]:
    """Every metric with points in the time: name, unit, kind, number of series, systems, newest point."""
    since, until = period(start, end)
    equals = {name: value for name, value in (("client", client), ("system", system)) if value is not None}
    rows = questions.names(since, until, request.actor.sees(), **equals)
    return {
        "from": since,
        "to": until,
        "metrics": [{**row, "last": clock.from_ns(row.pop("last_ns"))} for row in rows],
    }


@router.get("/metrics/points")
def one_metric(
    request: Request,
    name: str,
    client: str | None = None,
    system: str | None = None,
    environment: str | None = None,
    host: str | None = None,
    group_by: str = "",
    combine: str = "avg",
    labels: str = "",
    step_seconds: int = 0,
    start: From = None,
    end: To = None,
    format: str = "json",
) -> Any:
    """One value per step and group: gauges as averages, counters as rises per second, histograms as means. `group_by`:
    client, system, environment, service, host or any label; `combine`: avg, sum, max, min over series. `labels`: only
    series with these, as `queue=mail,zone=b`. Without `step_seconds` about 240 steps. `format` csv or parquet gives a
    file."""
    since, until = period(start, end)
    step = step_seconds or default_step(since, until)
    told = {"client": client, "system": system, "environment": environment, "host": host}
    equals = {key: value for key, value in told.items() if value is not None} | wanted_labels(labels)
    groups = _of(group_by)
    rows = questions.over_time(name, since, until, step, request.actor.sees(), groups, combine, **equals)
    if format != "json":
        return as_file(format, name, groups, rows)
    return {
        "name": name,
        "from": since,
        "to": until,
        "step_seconds": step,
        "rows": [{"at": row.at, **row.key, "value": row.value, "series": row.series} for row in rows],
    }


@router.get("/logs")
def list_logs(
    request: Request,
    filters: Narrow,
    text: str = "",
    least_severity: int = 0,
    trace_id: str | None = None,
    start: From = None,
    end: To = None,
    limit: int = 100,
    cursor: str | None = None,
    format: str = "json",
) -> Any:
    """Log records, newest first. `least_severity`: 1 trace, 5 debug, 9 info, 13 warning, 17 error, 21 fatal.
    `format` csv or parquet gives a file of the newest 10,000."""
    since, until = period(start, end)
    if format != "json":
        found = questions.records(
            since, until, request.actor.sees(), IN_FILE, text, least_severity, trace_id, cursor, **filters.equals()
        )
        return files.answer(format, "logs", [_as_table(found)], rows=len(found))
    limit = max(1, min(limit, 1000))
    rows = questions.records(
        since, until, request.actor.sees(), limit + 1, text, least_severity, trace_id, cursor, **filters.equals()
    )
    more = rows[limit - 1]["cursor"] if len(rows) > limit else None
    for row in rows:
        row["at"] = clock.from_ns(row.pop("at_ns"))
    return {"logs": rows[:limit], "cursor": more}
