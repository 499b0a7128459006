from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import automation
from afterlaunch.incidents import clocks
from afterlaunch.incidents.models import Incident, ResponseClock
from afterlaunch.incidents.news import page_facts
from afterlaunch.oncall import escalation
from afterlaunch.oncall.models import Escalation

ENGINE = automation("engine")
LATE = timedelta(minutes=2)


def stamp_breaches(now: datetime) -> None:
    """Every clock whose deadline has passed unmet gets its breach, at the deadline."""
    due = ResponseClock.objects.filter(superseded_at=None, met_at=None, breached_at=None, deadline__lt=now)
    for row in due.select_related("incident__system__client"):
        with transaction.atomic():
            if clocks.stamp_breach(row, now):
                incident = row.incident
                details = {"deadline": row.deadline.isoformat()}
                record(ENGINE, "clock.breached", incident.topic, incident.system.client.slug, details)


def audit_paging(now: datetime) -> None:
    """Every open, unacknowledged incident has a live escalation that is not late, or an exhausted one that paged
    somebody; what lacks is repaired by starting it, and the repair is evidence."""
    waiting = Incident.objects.filter(status="open", acknowledged_at=None).select_related("system__client")
    states = {row.topic: row for row in Escalation.objects.filter(topic__in=[one.topic for one in waiting])}
    for incident in waiting:
        reason = _what_lacks(states.get(incident.topic), incident, now)
        if reason is None:
            continue
        with transaction.atomic():
            record(ENGINE, "paging.repaired", incident.topic, incident.system.client.slug, {"reason": reason})
            escalation.start(incident.topic, incident.system, page_facts(incident), now)


def _what_lacks(row: Escalation | None, incident: Incident, now: datetime) -> str | None:
    if row is None:
        return "no_escalation"
    if row.state in ("acknowledged", "stopped"):
        return "stopped_while_unacknowledged"
    if row.state == "exhausted" and row.paged == 0 and escalation.catch_all(incident.system):
        return "somebody_became_reachable"
    if row.state == "live" and row.next_at is None:
        return "no_next_step"
    return None
