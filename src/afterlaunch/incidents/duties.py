from __future__ import annotations

from datetime import datetime

from django.db import transaction

from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import automation
from afterlaunch.incidents import clocks
from afterlaunch.incidents.models import ResponseClock

ENGINE = automation("engine")


def stamp_breaches(now: datetime) -> None:
    """Every clock whose deadline has passed unmet gets its breach, at the deadline."""
    due = ResponseClock.objects.filter(superseded_at=None, met_at=None, breached_at=None, deadline__lt=now)
    for row in due.select_related("incident__system__client"):
        with transaction.atomic():
            if clocks.stamp_breach(row, now):
                incident = row.incident
                details = {"deadline": row.deadline.isoformat()}
                record(ENGINE, "clock.breached", incident.topic, incident.system.client.slug, details)
