from __future__ import annotations

from datetime import timedelta
from typing import Any

from ninja import Router

from afterlaunch.ground import clock
from afterlaunch.look.requests import Request
from afterlaunch.telemetry.api import From, Narrow, To, period
from afterlaunch.telemetry.signals import questions

router = Router(tags=["metrics and logs"])


def _of(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


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
    step_seconds: int = 0,
    start: From = None,
    end: To = None,
) -> dict[str, Any]:
    """One value per step and group: gauges as averages, counters as rises per second, histograms as means. `group_by`:
    client, system, environment, service, host or any label; `combine`: avg, sum, max, min over series. Without
    `step_seconds` about 240 steps."""
    since, until = period(start, end)
    step = step_seconds or max(15, int((until - since) / timedelta(seconds=1)) // 240)
    told = {"client": client, "system": system, "environment": environment, "host": host}
    equals = {key: value for key, value in told.items() if value is not None}
    rows = questions.over_time(name, since, until, step, request.actor.sees(), _of(group_by), combine, **equals)
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
) -> dict[str, Any]:
    """Log records, newest first. `least_severity`: 1 trace, 5 debug, 9 info, 13 warning, 17 error, 21 fatal."""
    since, until = period(start, end)
    limit = max(1, min(limit, 1000))
    rows = questions.records(
        since, until, request.actor.sees(), limit + 1, text, least_severity, trace_id, cursor, **filters.equals()
    )
    more = rows[limit - 1]["cursor"] if len(rows) > limit else None
    for row in rows:
        row["at"] = clock.from_ns(row.pop("at_ns"))
    return {"logs": rows[:limit], "cursor": more}
