"""What changed before an incident: proposals and rollouts, versions that appeared, what other tools told of, rebuilt
indices, configuration; and the same of systems that it needs, with their incidents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from afterlaunch.changes.models import Change
from afterlaunch.diagnosis.causes import Changed
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.incidents.models import Incident
from afterlaunch.telemetry.store import current

LOOK_BACK = timedelta(hours=24)
MOST = 100
ALTERING = (
    *("route.put", "upstream.put", "system.edited", "system.dependencies_set", "keeping.decided"),
    *("caller_key.created", "caller_key.revoked", "caller_key.altered", "caller_key.limited"),
    *("guard_policy.made", "guard_policy.altered", "guard_policy.ended", "guard_bypass.granted", "guard_bypass.ended"),
    *("budget.made", "budget.altered", "budget.ended"),
)
"""Deeds that alter production without being a change of the pipeline."""
DIMENSION_OF = {"model": "model", "prompt": "version", "service": "version", "agent": "agent", "tool": "tool"}
TOLD_DIMENSION = {"model": "model", "prompt": "version", "deploy": "version"}


def before(incident: Incident, began: datetime, now: datetime) -> list[Changed]:
    """All of it from a day before it began until now; what came later is listed too, and can't be the cause."""
    return [
        *_changes(incident, began, now),
        *_deeds(incident, began, now),
        *_indices(incident, began, now),
        *_needed(incident, began, now),
    ]


def _changes(incident: Incident, began: datetime, now: datetime) -> Iterable[Changed]:
    rows = _moved([incident.system_id], incident.environment, began, now)
    for row in rows.select_related("route", "version__component"):
        yield Changed(
            str(row.pk), row.kind, row.title, _moved_at(row, began).timestamp(), _touched(row), "",
            row.get_absolute_url(),
        )  # fmt: skip


def _moved(systems: Iterable[int], environment: str, began: datetime, now: datetime) -> QuerySet[Change]:
    """Changes that touched something within the look-back; what is only proposed has touched nothing yet."""
    within = (began - LOOK_BACK, now)
    recent = Q(proposed_at__range=within) | Q(started_at__range=within) | Q(events__at__range=within)
    there = Q(environment=environment) | Q(environment="") if environment else Q()
    rows = Change.objects.filter(recent, there, system__in=systems).exclude(state__in=("proposed", "approved"))
    newest = rows.distinct().order_by("-proposed_at", "-pk").values("pk")[:MOST]
    return Change.objects.filter(pk__in=[row["pk"] for row in newest]).prefetch_related("events")


def _needed(incident: Incident, began: datetime, now: datetime) -> Iterable[Changed]:
    """What changed, and what is wrong, in systems that this one needs. What it touched here nobody can say."""
    needs = dict(incident.system.dependencies.values_list("needs", "needs__name"))
    for row in _moved(needs, incident.environment, began, now) if needs else ():
        title, at = f"{needs[row.system_id]}: {row.title}", _moved_at(row, began).timestamp()
        yield Changed(f"needed/{row.pk}", "dependency", title, at, (), "", row.get_absolute_url())
    rows = Incident.objects.filter(system__in=needs, detected_at__lte=now)
    rows = rows.filter(Q(resolved_at=None) | Q(resolved_at__gte=began)).filter(outcome="")
    for one in rows.order_by("-detected_at")[:MOST]:
        at = (one.occurred_at or one.detected_at).timestamp()
        title = f"{needs[one.system_id]} has {one.severity} #{one.pk}: {one.title}"
        yield Changed(f"incident/{one.pk}", "dependency", title, at, (), "", one.get_absolute_url())


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
        told, dimension = row.after.get("version"), TOLD_DIMENSION.get(row.kind)
        return ((dimension, str(told)),) if told and dimension else ()
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
