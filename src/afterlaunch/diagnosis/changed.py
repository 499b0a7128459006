"""What changed before an incident: proposals and rollouts, versions that appeared, rebuilt indices, configuration."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q

from afterlaunch.changes.models import Change
from afterlaunch.diagnosis.causes import Changed
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.incidents.models import Incident
from afterlaunch.telemetry.store import current

LOOK_BACK = timedelta(hours=24)
MOST = 100
ALTERING = (
    *("route.put", "upstream.put", "system.edited", "keeping.decided"),
    *("caller_key.created", "caller_key.revoked", "caller_key.altered"),
)
"""Deeds that alter production without being a change of the pipeline."""
DIMENSION_OF = {"model": "model", "prompt": "version", "service": "version", "agent": "agent", "tool": "tool"}


def before(incident: Incident, began: datetime, now: datetime) -> list[Changed]:
    """All of it from a day before it began until now; what came later is listed too, and can't be the cause."""
    return [*_changes(incident, began, now), *_deeds(incident, began, now), *_indices(incident, began, now)]


def _changes(incident: Incident, began: datetime, now: datetime) -> Iterable[Changed]:
    within = (began - LOOK_BACK, now)
    recent = Q(proposed_at__range=within) | Q(started_at__range=within) | Q(events__at__range=within)
    rows = Change.objects.filter(recent, system=incident.system).filter(
        Q(environment=incident.environment) | Q(environment="") if incident.environment else Q()
    )
    for row in rows.select_related("route", "version__component").prefetch_related("events").distinct()[:MOST]:
        if row.state in ("proposed", "approved"):
            continue  # it has touched nothing yet
        yield Changed(
            str(row.pk), row.kind, row.title, _moved_at(row, began).timestamp(), _touched(row), "",
            row.get_absolute_url(),
        )  # fmt: skip


def _moved_at(row: Change, began: datetime) -> datetime:
    """Its last move before the onset: a rollout begins anew with every stage."""
    moves = [one.at for one in row.events.all() if one.kind in ("started", "advanced", "completed", "rolled_back")]
    moves.append(row.started_at or row.proposed_at)
    return max((at for at in moves if at <= began), default=min(moves))


def _touched(row: Change) -> tuple[tuple[str, str], ...]:
    if row.version is not None:
        dimension = DIMENSION_OF.get(row.version.component.kind)
        return ((dimension, row.version.label),) if dimension else ()
    if row.route is None:
        return ()
    arm = "baseline" if row.kind == "rollback" or row.state == "complete" else "candidate"
    return (("arm", arm),)


def _deeds(incident: Incident, began: datetime, now: datetime) -> Iterable[Changed]:
    rows = Entry.objects.filter(deed__in=ALTERING, at__range=(began - LOOK_BACK, now))
    for row in rows.filter(client=incident.system.client.slug).order_by("-index")[:MOST]:
        title = f"{row.subject}, {row.deed.partition('.')[2]} by {row.actor}"
        yield Changed(f"evidence/{row.index}", "configuration", title, row.at.timestamp())


def _indices(incident: Incident, began: datetime, now: datetime) -> Iterable[Changed]:
    """Retrieval indices whose documents tell that they were rebuilt."""
    since, until = clock.to_ns(began - timedelta(hours=1)), clock.to_ns(now)
    rows = current().query(
        """select data_source, max(index_updated_ns) as updated from spans where client = ? and system = ?
           and start_ns >= ? and start_ns < ? and index_updated_ns is not null group by data_source""",
        [incident.system.client.slug, incident.system.key, since, until],
    )
    for row in rows:
        at = clock.from_ns(row["updated"])
        if began - LOOK_BACK <= at <= now:
            title = f"{row['data_source'] or 'an index'} was rebuilt"
            yield Changed(f"index/{row['data_source']}", "index", title, at.timestamp())
