"""Every incident gets its diagnosis when it opens."""

from __future__ import annotations

from datetime import datetime, timedelta

from afterlaunch.diagnosis.actions import DIAGNOSIS, freeze
from afterlaunch.incidents.models import Incident

RECENT = timedelta(days=1)
MOST = 10  # a cycle; the gravest first


def at_open(now: datetime) -> None:
    """Freeze what can be known about incidents that have just opened."""
    fresh = Incident.objects.filter(status="open", diagnoses=None, detected_at__gt=now - RECENT)
    for incident in fresh.select_related("system__client").order_by("severity", "pk")[:MOST]:
        freeze(DIAGNOSIS, incident, "opened")
