"""What the page and the API tell of a system's performance, made from what was judged last."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Sum

from afterlaunch.estate.models import System
from afterlaunch.labels.models import Baseline, Batch, Place, Source
from afterlaunch.predictions.models import Task


def places(system: System) -> list[Place]:
    return list(Place.objects.filter(system=system).order_by("environment"))


def tasks(system: System) -> dict[str, Task]:
    return {row.environment: row for row in Task.objects.filter(system=system)}


def waiting(place: Place) -> tuple[int, int]:
    """Labels that came lately and are not joined yet, and those that found no prediction."""
    fresh = Batch.objects.filter(place=place, joined=False).aggregate(n=Sum("rows"))["n"] or 0
    return fresh, Batch.objects.filter(place=place).aggregate(n=Sum("waiting"))["n"] or 0


def document(system: System, environment: str | None) -> dict[str, Any]:
    known = tasks(system)
    found = []
    for place in places(system):
        if environment and place.environment != environment:
            continue
        fresh, left = waiting(place)
        task = known.get(place.environment)
        head = {
            "environment": place.environment,
            "task": task_document(task) if task else None,
            "labels_to_join": fresh,
            "labels_waiting": left,
        }
        found.append(head | place.told)
    return {"system": system.key, "client": system.client.slug, "environments": found}


def task_document(task: Task) -> dict[str, Any]:
    names = ("environment", "kind", "output", "probability", "confidence", "positive", "query", "cutoff")
    more = ("segments", "features", "floor", "delay_hours", "tolerance", "latency_ms", "noted_at", "decided_by")
    return {name: getattr(task, name) for name in (*names, *more)}


def baseline_document(row: Baseline) -> dict[str, Any]:
    names = ("version", "starts_at", "ends_at", "rows", "labelled", "made_at", "made_by")
    return {name: getattr(row, name) for name in names}


def source_document(row: Source) -> dict[str, Any]:
    names = ("id", "name", "labels", "first_at", "last_at", "newest", "complete_until")
    more = ("stopped_at", "stopped_by", "stopped_why")
    return {name: getattr(row, name) for name in (*names, *more)}


def instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def timed(told: dict[str, Any]) -> dict[str, Any]:
    """A document with its instants as such, for a page."""
    found = dict(told)
    for name in ("at", "watermark", "day", "from", "to", "made_at", "since", "first_at", "last_at", "newest"):
        if name in found and (found[name] is None or isinstance(found[name], str)):
            found[name] = instant(found[name])
    for name in ("complete_until", "stopped_at"):
        if name in found:
            found[name] = instant(found[name])
    return found
