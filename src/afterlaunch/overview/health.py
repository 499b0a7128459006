"""The figures of systems, joined from telemetry, verdicts and incidents; a fixed number of questions for any number of
systems."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count
from django.utils import timezone

from afterlaunch.estate.actions import systems_seen_by
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor
from afterlaunch.incidents.actions import incidents_seen_by
from afterlaunch.incidents.models import Incident
from afterlaunch.overview.rules import worst
from afterlaunch.telemetry import queries
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.models import Verdict

MINUTE = timedelta(minutes=1)
Key = tuple[str | None, str | None]


@dataclass
class Health:
    """One system over the last hour and day; `status` is the worst of its latest verdicts, and
    `unassessed` how many of them judge nothing yet: an OK is never shown without them."""

    system: System
    status: str
    unassessed: int
    hour: Window
    day: Window
    incidents: list[Incident] = field(default_factory=list)


def _by_system(start: datetime, end: datetime, clients: frozenset[str] | None) -> dict[Key, Window]:
    rows = queries.answered(start, end, ["client", "system"], clients)
    return {(row.key["client"], row.key["system"]): row for row in rows}


def healths(actor: Actor, now: datetime) -> list[Health]:
    """Every system the actor sees, the worst first."""
    end, seen = now + MINUTE, actor.sees()
    hour, day = (_by_system(end - timedelta(hours=hours), end, seen) for hours in (1, 24))
    statuses: dict[Key, dict[str, int]] = defaultdict(dict)
    counted = Verdict.objects.order_by().values_list("client", "system", "status").annotate(Count("pk"))
    for client, name, status, verdicts in counted:
        statuses[client, name][status] = verdicts
    incidents: dict[int, list[Incident]] = defaultdict(list)
    for incident in incidents_seen_by(actor).filter(status="open"):
        incidents[incident.system_id].append(incident)
    out = []
    for system in systems_seen_by(actor):
        key = (system.client.slug, system.key)
        empty = Window(end, end, {})
        out.append(
            Health(
                system,
                worst(statuses[key]),
                statuses[key].get("not_assessed", 0),
                hour.get(key, empty),
                day.get(key, empty),
                incidents[system.pk],
            )
        )
    return sorted(out, key=lambda one: ("breach", "warning", "not_assessed", "ok").index(one.status))


def begins(now: datetime) -> tuple[datetime, datetime]:
    """Midnight of today and of the month's first, on the reader's wall."""
    zone = timezone.get_current_timezone()
    today = now.astimezone(zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC"))
    today = today.replace(hour=0, minute=0, second=0, microsecond=0)
    return today, today.replace(day=1)


def total(start: datetime, end: datetime, clients: frozenset[str] | None) -> Window:
    """Everything the actor may see, as one window."""
    rows = queries.answered(start, end, [], clients)
    return rows[0] if rows else Window(start, end, {})
