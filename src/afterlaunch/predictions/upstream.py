"""What changed upstream when a feature began to drift: breaches of the data's own judges, of this system and of those
that it needs, and versions that were seen for the first time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from afterlaunch.estate.dependencies import edges_of, reached
from afterlaunch.estate.models import System, Version
from afterlaunch.verdicts.models import VerdictChange
from afterlaunch.verdicts.words import Status

BEFORE, AFTER = timedelta(hours=24), timedelta(hours=1)  # of the end of the first drifted hour
MOST = 8
ROOMS = ("data.", "quality.conventions", "heartbeats.", "probes.", "infrastructure.")


@dataclass(frozen=True)
class Event:
    """`what`: a judge's name, or what kind of thing has a new version."""

    at: datetime
    system: str
    what: str
    words: str

    def as_document(self) -> dict[str, object]:
        return {"at": self.at, "system": self.system, "what": self.what, "words": self.words}


def began(hours: Iterable[tuple[datetime, str]]) -> datetime | None:
    """The end of the first hour of the drift that lasts. `hours`: (start, status), the newest first."""
    found = None
    for start, status in hours:
        if status not in (Status.BREACH.value, Status.WARNING.value):
            break
        found = start + timedelta(hours=1)
    return found


def events(system: System, environment: str, drifted_at: datetime) -> list[Event]:
    """The nearest to the drift first. `drifted_at`: the end of the first drifted hour."""
    start, end = drifted_at - BEFORE, drifted_at + AFTER
    needed = reached(system.pk, edges_of(system.client.slug)) | {system.pk}
    systems = System.objects.in_bulk(needed)
    by_key = {one.key: one.name for one in systems.values()}
    rows = VerdictChange.objects.filter(
        at__gte=start,
        at__lte=end,
        after__in=(Status.BREACH.value, Status.WARNING.value),
        verdict__client=system.client.slug,
        verdict__system__in=list(by_key),
        verdict__environment=environment,
    ).select_related("verdict")
    found = [
        Event(row.at, by_key[row.verdict.system], row.verdict.judge, row.explanation)
        for row in rows[:500]
        if row.verdict.judge.startswith(ROOMS)
    ]
    fresh = {"environment": environment, "first_seen_at__gte": start, "first_seen_at__lte": end}
    for one in Version.objects.filter(component__system__in=needed, **fresh).select_related("component")[:100]:
        told = f"{one.label} of {one.component.name} was seen for the first time."
        found.append(Event(one.first_seen_at, systems[one.component.system_id].name, one.component.kind, told))
    return sorted(found, key=lambda event: (abs(event.at - drifted_at), event.what))[:MOST]
