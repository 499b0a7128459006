"""The promised time of the next update, inside other deeds' transactions."""

from __future__ import annotations

from datetime import datetime

from afterlaunch.calendars.actions import calendar_of
from afterlaunch.calendars.business import Calendar
from afterlaunch.estate.models import System
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.updates.models import Cadence, Promise, Update
from afterlaunch.incidents.updates.rules import next_due
from afterlaunch.sla.clocks import promised

MACHINE = "cadence"


def hours_of(system: System) -> Calendar:
    """The client's business hours, in the system's own zone where it has one."""
    return calendar_of(system.client, zone=system.time_zone if system.time_zone != "UTC" else "")


def due(incident: Incident, now: datetime) -> datetime | None:
    """When an update that is promised now falls due: by the client's cadence, else by its SLA matrix."""
    row = Cadence.objects.filter(client=incident.system.client_id, severity=incident.severity).first()
    if row is not None:
        return next_due(hours_of(incident.system), row.minutes, row.business, now)
    return promised(incident.system, "update", incident.severity, now)


def standing(incident: Incident) -> Promise | None:
    return Promise.objects.filter(incident=incident, ended_at=None).first()


def by_cadence(incident: Incident, now: datetime) -> None:
    """At open, at reopening and when it becomes graver: the promise that the cadence makes by itself. One that a person
    made stays, unless the new one falls due earlier."""
    at = due(incident, now)
    row = standing(incident)
    if at is None or (row is not None and row.due_at <= at):
        return
    end(incident, now)
    Promise.objects.create(incident=incident, made_at=now, made_by=MACHINE, due_at=at)


def renew(incident: Incident, made_by: str, update: Update, now: datetime) -> None:
    """An update keeps the promise, late or not, and makes the next one."""
    Promise.objects.filter(incident=incident, ended_at=None).update(kept_at=now, ended_at=now)
    if update.next_at is not None:
        Promise.objects.create(incident=incident, made_at=now, made_by=made_by, update=update, due_at=update.next_at)


def end(incident: Incident, now: datetime) -> None:
    Promise.objects.filter(incident=incident, ended_at=None).update(ended_at=now)
