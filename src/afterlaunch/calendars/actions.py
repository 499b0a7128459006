"""Deeds on a client's calendars."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from afterlaunch.accounts.models import Client
from afterlaunch.calendars import holiday_sets
from afterlaunch.calendars.business import WEEKDAYS_8_TO_18, Calendar
from afterlaunch.calendars.documents import document, read_calendar, require_open, thawed
from afterlaunch.calendars.models import DEFAULT_NAME, BusinessCalendar
from afterlaunch.calendars.wall import zone_data_version
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound


def of_row(row: BusinessCalendar) -> Calendar:
    members = ("zone", "windows", "country", "subdivision", "closures", "half_days", "extra_days", "name", "version")
    return thawed({member: getattr(row, member) for member in members})


def newest(client: Client) -> dict[str, BusinessCalendar]:
    """The version in force of each of the client's calendars."""
    rows = BusinessCalendar.objects.filter(client=client).order_by("name", "version")
    return {row.name: row for row in rows}


def calendar_of(client: Client, name: str = DEFAULT_NAME, zone: str = "") -> Calendar:
    """The newest version of that name. Without one of the usual name: Monday to Friday, 08:00 to 18:00, in `zone` or
    the client's. Raises NotFound for another name that does not exist."""
    row = BusinessCalendar.objects.filter(client=client, name=name).order_by("-version").first()
    if row is not None:
        return of_row(row)
    if name != DEFAULT_NAME:
        raise NotFound(f"{client} has no calendar {name!r}.", "Make it first.")
    return Calendar(zone or client.time_zone or "UTC", WEEKDAYS_8_TO_18)


@transaction.atomic
def set_calendar(actor: Actor, client: Client, name: str, given: Mapping[str, Any]) -> BusinessCalendar:
    """A new version, for clocks that start from now on; what was computed stays as it was. The same again makes none.
    Raises Invalid, also for a calendar that never opens."""
    actor.require(Role.OPERATOR, client.slug)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", name):
        raise Invalid(f"{name!r} is no name for a calendar.", "Small letters, digits and -, at most 60.")
    now, wanted = clock.now(), read_calendar(given, name)
    require_open(wanted, now)
    Client.objects.select_for_update().get(pk=client.pk)  # two editors take turns
    last = BusinessCalendar.objects.filter(client=client, name=name).order_by("-version").first()
    if last is not None and document(of_row(last)) == document(wanted):
        return last
    row = BusinessCalendar.objects.create(
        client=client,
        name=name,
        version=last.version + 1 if last else 1,
        **document(wanted),
        holidays_package=holiday_sets.package_version(),
        zone_data=zone_data_version(),
        created_at=now,
        created_by=actor.name,
    )
    before = document(of_row(last)) if last is not None else None
    details = {"version": row.version, "before": before, "after": document(wanted)}
    record(actor, "calendar.set", f"calendar/{client.slug}/{name}", client.slug, details)
    return row
