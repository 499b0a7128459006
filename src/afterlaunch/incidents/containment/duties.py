from __future__ import annotations

from datetime import datetime

from django.db import transaction

from afterlaunch.ground.actors import automation
from afterlaunch.incidents.actions import page_once_more
from afterlaunch.incidents.containment.models import Measure
from afterlaunch.incidents.containment.rules import recovery
from afterlaunch.incidents.deeds import locked, tell
from afterlaunch.incidents.timeline import append

WATCH = automation("containment watch")


def see_recovery(now: datetime) -> None:
    """A measure that has not shown recovery in time escalates: it stands in the timeline and whoever is on call is
    paged."""
    for row in Measure.objects.filter(state="pending", show_by__lte=now).select_related("incident__system__client"):
        with transaction.atomic():
            incident = locked(WATCH, row.incident)
            state = recovery(row.started_at, row.show_by, incident.contained_at, incident.recovered_at, now)
            if incident.status != "open":
                state = "ended"
            taken = Measure.objects.filter(pk=row.pk, state="pending").update(state=state, settled_at=now)
            if not taken or state != "not_shown":
                continue
            minutes = round((row.show_by - row.started_at).total_seconds() / 60)
            said = f"It has not shown recovery within {minutes} min: {row.text[:200]}"
            append(WATCH, incident, "containment.failed", said, {"measure": row.pk})
            tell(WATCH, incident, "incident.containment_failed", {"measure": row.pk})
            page_once_more(WATCH, incident, said)
