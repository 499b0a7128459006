from __future__ import annotations

from typing import Any

import pyarrow as pa
from ninja import Router

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.infrastructure.figures import BY_READING
from afterlaunch.look.requests import Request
from afterlaunch.telemetry.api import From, To, period
from afterlaunch.telemetry.signals.questions import by_minute
from afterlaunch.telemetry.signals.readings import readings
from afterlaunch.telemetry.views import files

router = Router(tags=["infrastructure"])
MOST_STEPS = 1_500
WORDS = ("client", "system", "environment", "host", "reading", "part", "unit", "source")


@router.get("/infrastructure")
def infrastructure(
    request: Request,
    client: str | None = None,
    system: str | None = None,
    environment: str | None = None,
    host: str | None = None,
    step_minutes: int = 5,
    start: From = None,
    end: To = None,
    format: str = "json",
) -> Any:
    """What judges of infrastructure read, by host and part: `reading` is cpu, memory, gpu, gpu_memory (shares),
    inference_queue, queue, up, database (ms), requests, tokens (per second); `host` null: of the whole system. A step
    without a value is left out. `format` csv or parquet gives a file with a row for each point."""
    since, until = period(start, end)
    if not 1 <= step_minutes <= 1_440 or (until - since).total_seconds() / 60 / step_minutes > MOST_STEPS:
        raise Invalid("That is no step for so long a time.", f"1 to 1440 minutes, at most {MOST_STEPS} steps.")
    told = {"client": client, "system": system, "environment": environment}
    equals = {name: value for name, value in told.items() if value is not None}
    found = readings(by_minute(since, until, request.actor.sees(), step=step_minutes, narrow=equals))
    rows = []
    for (of, named, where, at), read in sorted(found.items()):
        if host is not None and at != host:
            continue
        for name, reading in read.items():
            rows += [
                {
                    "client": of,
                    "system": named,
                    "environment": where,
                    "host": at or None,
                    "reading": name,
                    "part": part or None,
                    "unit": BY_READING[name].unit,
                    "source": reading.source,
                    "points": [[clock.from_ns(minute * 60 * 10**9), value] for minute, value in points],
                }
                for part, points in reading.parts.items()
            ]
    if format != "json":
        return files.answer(format, f"infrastructure-{since:%Y%m%dT%H%M}-{until:%Y%m%dT%H%M}", [_as_table(rows)])
    return {"from": since, "to": until, "step_minutes": step_minutes, "rows": rows}


def _as_table(rows: list[dict[str, Any]]) -> pa.Table:
    points = [(row, at, value) for row in rows for at, value in row["points"]]
    columns: dict[str, Any] = {"at": pa.array([at for _, at, _ in points], pa.timestamp("us", tz="UTC"))}
    for name in WORDS:
        columns[name] = pa.array([row[name] for row, _, _ in points], pa.string())
    columns["value"] = pa.array([value for _, _, value in points], pa.float64())
    return pa.table(columns)
