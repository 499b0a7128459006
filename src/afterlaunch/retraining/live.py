"""What was live at an instant: versions that were seen then, what routes served, and what each was made of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from afterlaunch.changes.models import Change
from afterlaunch.estate.models import Registration, System, Version

QUIET = timedelta(hours=1)  # a version that was seen so shortly before is taken for live still


def live_at(system: System, at: datetime, environment: str = "", kind: str = "") -> list[dict[str, Any]]:
    """Of every part the versions seen around `at`. `certain`: one alone was; where several were, traffic was shared
    between them, or one took over from the other."""
    rows = Version.objects.select_related("component").filter(
        component__system=system, first_seen_at__lte=at, last_seen_at__gte=at - QUIET
    )
    rows = rows.filter(environment=environment) if environment else rows
    rows = rows.filter(component__kind=kind) if kind else rows
    found: dict[tuple[int, str], list[Version]] = {}
    for row in rows.order_by("component__kind", "component__name", "environment", "-first_seen_at"):
        found.setdefault((row.component_id, row.environment), []).append(row)
    made = {
        (row.component_id, row.label): row for row in Registration.objects.filter(component__in={pk for pk, _ in found})
    }
    return [
        {
            "kind": rows[0].component.kind,
            "name": rows[0].component.name,
            "environment": rows[0].environment,
            "certain": len(rows) == 1,
            "versions": [_version(one, made.get((one.component_id, one.label))) for one in rows],
        }
        for rows in found.values()
    ]


def _version(row: Version, made: Registration | None) -> dict[str, Any]:
    told = {"version": row.label, "first_seen_at": row.first_seen_at, "last_seen_at": row.last_seen_at}
    return told | {"registration": registration_document(made) if made else None}


def registration_document(row: Registration) -> dict[str, Any]:
    return {
        "id": row.pk,
        "kind": row.component.kind,
        "name": row.component.name,
        "version": row.label,
        "source": row.source,
        "address": row.address,
        "lineage": row.lineage,
        "digest": row.digest,
        "registered_at": row.registered_at,
        "registered_by": row.registered_by,
    }


def routes_at(system: System, at: datetime) -> list[dict[str, Any]]:
    """By the changes: what each route's baseline became by the last one that was complete, and what rolled out."""
    rows = Change.objects.select_related("route").filter(system=system, route__isnull=False).exclude(kind="rollback")
    complete: dict[str, Change] = {}
    for row in rows.filter(state="complete", finished_at__lte=at).order_by("finished_at"):
        complete[row.route.name] = row  # type: ignore[union-attr]
    rolling = rows.filter(started_at__lte=at).exclude(finished_at__lte=at)
    out = [{"route": name, "served": row.after, "change": row.pk, "share": 10_000} for name, row in complete.items()]
    out += [
        {"route": row.route.name, "served": row.after, "change": row.pk, "share": None} for row in rolling if row.route
    ]
    return out
