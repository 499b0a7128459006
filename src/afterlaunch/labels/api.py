"""Performance over REST."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema

from afterlaunch.estate.actions import system_by_id
from afterlaunch.ground.errors import Invalid
from afterlaunch.labels import decisions, views
from afterlaunch.look.requests import Request

router = Router(tags=["performance"])


class TaskIn(Schema):
    """What predictions are. `query`: of a ranking the column that says which items belong together, `cutoff`: the rank
    down to which it is judged. `positive`: the class that `probability` speaks of. `segments`: columns that are judged
    apart, `features`: that errors of quantities are expected from. `floor`: of the confidence. `delay_hours`: after
    which labels are there. `tolerance`: of a fall. `latency_ms`: within which 99 of 100 are to be made."""

    kind: str | None = None
    output: str | None = None
    probability: str | None = None
    confidence: str | None = None
    positive: str | None = None
    query: str | None = None
    cutoff: int | None = None
    segments: list[str] | None = None
    features: list[str] | None = None
    floor: float | None = None
    delay_hours: float | None = None
    tolerance: float | None = None
    latency_ms: float | None = None


class Period(Schema):
    start: datetime
    end: datetime


class Reason(Schema):
    reason: str


@router.get("/systems/{system_id}/performance")
def performance(request: Request, system_id: int, environment: str | None = None) -> dict[str, Any]:
    """Scores with intervals, coverage, estimates and the truth, slices, sources, as judged last. `not_assessed` is an
    answer of its own, never ok."""
    return views.document(system_by_id(request.actor, system_id), environment)


@router.post("/systems/{system_id}/performance/task")
def declare(request: Request, system_id: int, given: TaskIn, environment: str = "prod") -> dict[str, Any]:
    """Fields that are not given stay as they are."""
    system = system_by_id(request.actor, system_id)
    fields = given.dict(exclude_unset=True)
    for name, value in fields.items():
        if value is None and name not in ("floor", "delay_hours", "latency_ms"):
            raise Invalid(f"{name!r} can't be null.")
    return views.task_document(decisions.declare(request.actor, system, environment, fields))


@router.post("/systems/{system_id}/performance/baseline")
def set_baseline(request: Request, system_id: int, period: Period, environment: str = "prod") -> dict[str, Any]:
    """Of whole hours whose labels are mature."""
    system = system_by_id(request.actor, system_id)
    if period.start.tzinfo is None or period.end.tzinfo is None:
        raise Invalid("A period has a zone.", "For example 2026-03-01T00:00:00Z")
    return views.baseline_document(decisions.set_baseline(request.actor, system, environment, period.start, period.end))


@router.post("/systems/{system_id}/performance/sources/{source_id}/stop")
def stop(request: Request, system_id: int, source_id: int, given: Reason) -> dict[str, Any]:
    """Its labels are set aside: kept and shown, not counted."""
    system = system_by_id(request.actor, system_id)
    return views.source_document(decisions.stop(request.actor, system, source_id, given.reason))


@router.post("/systems/{system_id}/performance/sources/{source_id}/resume")
def resume(request: Request, system_id: int, source_id: int) -> dict[str, Any]:
    system = system_by_id(request.actor, system_id)
    return views.source_document(decisions.resume(request.actor, system, source_id))
