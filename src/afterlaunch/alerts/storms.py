"""More new groups than anybody can be paged for one by one: one incident, which pages; the groups are attached to it.

Nothing is refused and nothing is hidden: every alert and group is stored as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import orjson
from django.db import connection, transaction

from afterlaunch.alerts.models import Alert, Group, Integration
from afterlaunch.alerts.occurring import ALERTS
from afterlaunch.alerts.rules import gravest
from afterlaunch.alerts.suppressing import suppress
from afterlaunch.alerts.suppression import AllRules, Suppression, ends_first
from afterlaunch.incidents.actions import open_incident, relapsed, timeline
from afterlaunch.incidents.models import Incident

WINDOW = timedelta(minutes=1)
AT_ONCE = 5000  # groups of one pass
CHUNK = 400
LOOK_AGAIN = timedelta(seconds=30)
NAMED = 5
MANY = (
    "select integration_id, count(*) from alerts_group "
    "where integration_id is not null and created_at > %s group by integration_id"
)
SENT = "update alerts_group set sent_firing = %s where id = %s"
SENT_JSONB = "update alerts_group set sent_firing = %s::jsonb where id = %s"


def take(now: datetime, rules: AllRules) -> None:
    """Attach the groups that are due, of every integration with too many new ones within a minute."""
    with connection.cursor() as cursor:
        cursor.execute(MANY, [connection.ops.adapt_datetimefield_value(now - WINDOW)])
        many = dict(cursor.fetchall())
    for integration in Integration.objects.filter(pk__in=many).select_related("client", "system__client"):
        if many[integration.pk] > integration.storm_limit:
            while _attach(integration, many[integration.pk], now, rules):
                pass  # none of them may be left to page for itself


@transaction.atomic
def _attach(integration: Integration, count: int, now: datetime, rules: AllRules) -> bool:
    """One batch. False: there was none left."""
    rows = Group.objects.filter(integration=integration, next_at__lte=now).order_by("pk")
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True)
    groups = {row.pk: row for row in rows.filter(sent_at=None)[:AT_ONCE]}
    groups = groups or {row.pk: row for row in rows if not row.sent_firing}  # those that were told once, long ago
    if not groups:
        return False
    firing = _firing(list(groups))
    found = dict(zip((one.pk for one in firing), _suppressed(rules, integration, firing, now), strict=True))
    loud = [one for one in firing if found[one.pk] is None]
    incident = _told(integration, count, loud, now) if loud else None
    for at in range(0, len(groups), CHUNK):
        some = Group.objects.filter(pk__in=list(groups)[at : at + CHUNK])
        some.update(next_at=None, sent_firing=[], suppressed=0)
    _write_loud(groups, loud, incident, now)
    _write_quiet(groups, [(one, by) for one in firing if (by := found[one.pk]) is not None], now)
    for at in range(0, len(loud), CHUNK):
        Alert.objects.filter(pk__in=[one.pk for one in loud[at : at + CHUNK]]).update(incident=incident)
    return True


def _write_loud(groups: dict[int, Group], loud: Sequence[Alert], incident: Incident | None, now: datetime) -> None:
    told: dict[int, Group] = {}
    for alert in loud:
        group = told.setdefault(alert.group_id or 0, groups[alert.group_id or 0])
        group.sent_firing.append(alert.pk)
    for at in range(0, len(told), CHUNK):
        some = Group.objects.filter(pk__in=list(told)[at : at + CHUNK])
        some.update(sent_at=now, storm=True, incident=incident)
    with connection.cursor() as cursor:  # thousands of rows, each with a value of its own
        rows = [(orjson.dumps(one.sent_firing).decode(), one.pk) for one in told.values()]
        cursor.executemany(SENT_JSONB if connection.vendor == "postgresql" else SENT, rows)


def _write_quiet(groups: dict[int, Group], quiet: Sequence[tuple[Alert, Suppression]], now: datetime) -> None:
    held: dict[int, Group] = {}
    for alert, by in quiet:
        group = groups[alert.group_id or 0]
        if group.pk not in held:
            group.suppressed, group.next_at = 0, None
        ends = max(ends_first([by]) or now + LOOK_AGAIN, now + timedelta(seconds=1))
        group.suppressed, group.next_at = group.suppressed + 1, min(group.next_at or ends, ends)
        held[group.pk] = group
    Group.objects.bulk_update(held.values(), ("suppressed", "next_at"), batch_size=CHUNK)


def _firing(groups: Sequence[int]) -> list[Alert]:
    found: list[Alert] = []
    for at in range(0, len(groups), CHUNK):
        rows = Alert.objects.filter(group__in=groups[at : at + CHUNK], resolved_at=None).exclude(severity="")
        found += rows.select_related("system__client").order_by("pk")
    return found


def _suppressed(
    rules: AllRules, integration: Integration, firing: Sequence[Alert], now: datetime
) -> list[Suppression | None]:
    mine = rules.of(integration.client.slug)
    suppress(mine, firing, now)
    return [mine.of(one) if one.suppressed_as else None for one in firing]


def _told(integration: Integration, count: int, loud: Sequence[Alert], now: datetime) -> Incident:
    names = list(dict.fromkeys(one.name for one in loud))
    more = f" and {len(names) - NAMED} more names" if len(names) > NAMED else ""
    said = f"{len(loud)} alerts: {', '.join(names[:NAMED])}{more}."
    incident = open_incident(
        ALERTS,
        system=integration.system,
        environment=integration.environment,
        title=f"Alert storm from {integration.name}: {count} new groups within a minute",
        severity=min(gravest([one.severity for one in loud]), "P2"),
        summary=f"They are attached to this incident and page nobody one by one. {said}",
        fingerprint=f"storm/{integration.pk}",
        detected_at=min(one.fired_at for one in loud),
        occurred_at=min(one.started_at for one in loud),
    )
    if incident.recovered_at is not None:
        relapsed(ALERTS, incident, said)
    timeline(ALERTS, incident, "alert", f"{said} They joined the storm.", {"alerts": len(loud)})
    return incident


def incident_of(storm: Incident, loud: Sequence[Alert]) -> Incident:
    """The storm's incident, graver where one of these is."""
    return open_incident(
        ALERTS,
        system=storm.system,
        environment=storm.environment,
        title=storm.title,
        severity=gravest([one.severity for one in loud]),
        summary=storm.summary,
        fingerprint=storm.fingerprint,
        detected_at=storm.detected_at,
        occurred_at=None,
    )
