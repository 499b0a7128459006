"""Calendars that have come to have no open time ahead: whoever can mend it is told, once a version."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from afterlaunch.accounts.models import Client
from afterlaunch.calendars.actions import newest, of_row
from afterlaunch.calendars.business import next_open
from afterlaunch.calendars.models import BusinessCalendar
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.oncall.schedule import administrators


def look_at_hours(now: datetime) -> None:
    """Of every client's newest calendars, those without an open second in the next 400 days."""
    for client in Client.objects.filter(business_calendars__isnull=False).distinct():
        for row in newest(client).values():
            if next_open(of_row(row), now) is None:
                _tell(client, row, now)


def _tell(client: Client, row: BusinessCalendar, now: datetime) -> None:
    said = f"The calendar {row.name} of {client} has no open second in the next 400 days: no due time can be counted."
    facts = {
        "type": "calendar.never_opens",
        "title": said,
        "severity": "P2",
        "system": "",
        "lines": [said, "Add a weekly window or an open day."],
        "path": f"/sla/{client.slug}#calendars",
    }
    notice = Notice(f"calendar/{row.pk}", f"v{row.version}", client.slug, facts, "notice")
    with transaction.atomic():
        for person in administrators(client):
            enqueue(person, notice, now)
