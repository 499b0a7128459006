from __future__ import annotations

from datetime import datetime

from django.db import transaction

from afterlaunch.accounts.models import User
from afterlaunch.ground.actors import automation
from afterlaunch.incidents.deeds import locked, tell
from afterlaunch.incidents.models import Assignment, Incident
from afterlaunch.incidents.timeline import append
from afterlaunch.incidents.updates.models import Promise
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.oncall.escalation import catch_all

ENGINE = automation("engine")
ORDER = ("communications", "commander", "responder", "scribe")


def page_for_updates(now: datetime) -> None:
    """Every promise whose time has passed without an update pages the communications lead, once; without one, the
    commander, then whoever responds, then the owner or the administrators."""
    due = Promise.objects.filter(ended_at=None, overdue_at=None, due_at__lt=now).select_related("incident")
    for row in due:
        with transaction.atomic():
            incident = locked(ENGINE, row.incident)
            if Promise.objects.filter(pk=row.pk, ended_at=None, overdue_at=None).update(overdue_at=row.due_at):
                _page(incident, row, now)


def _page(incident: Incident, row: Promise, now: datetime) -> None:
    paged = next((one for one in _people(incident) if _sent(incident, one, row, now)), None)
    who = f"{paged} is paged." if paged else "Nobody could be reached."
    said = f"An update was promised by {row.due_at:%Y-%m-%d %H:%M} UTC and has not come. {who}"
    append(ENGINE, incident, "update.overdue", said, {"promise": row.pk})
    details = {"promise": row.pk, "due_at": row.due_at.isoformat(), "person": paged.pk if paged else None}
    tell(ENGINE, incident, "incident.update_overdue", details)


def _people(incident: Incident) -> list[User]:
    held = Assignment.objects.filter(incident=incident, until=None, person__is_active=True).select_related("person")
    ordered = sorted(held, key=lambda one: ORDER.index(one.role))
    return list(dict.fromkeys([*(one.person for one in ordered), *catch_all(incident.system)]))


def _sent(incident: Incident, person: User, row: Promise, now: datetime) -> bool:
    facts = {
        "type": "incident.update_overdue",
        "incident": incident.pk,
        "title": f"Update overdue: {incident.title}",
        "severity": incident.severity,
        "lines": [
            f"An update on this incident was promised by {row.due_at:%H:%M} UTC.",
            "“No change” is an update too.",
        ],
        "path": f"/incidents/{incident.pk}#updates",
    }
    notice = Notice(incident.topic, f"promise-{row.pk}", incident.system.client.slug, facts)
    return enqueue(person, notice, now) is not None
