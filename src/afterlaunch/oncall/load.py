"""The load of a schedule's or a client's people over a period: from the record, and from the plan for what comes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.accounts.models import Client, User
from afterlaunch.calendars.actions import calendar_of
from afterlaunch.calendars.business import why_closed
from afterlaunch.calendars.wall import start_of_date
from afterlaunch.ground.errors import Invalid
from afterlaunch.notify.models import Page
from afterlaunch.oncall.fairness import Balance, balance
from afterlaunch.oncall.final import Schedule as Rules
from afterlaunch.oncall.history import shifts_between
from afterlaunch.oncall.models import Schedule
from afterlaunch.oncall.schedule import loaded

LONGEST = timedelta(days=366)
WEEKS = 4


def usual_period(today: date) -> tuple[date, date]:
    """The last four weeks with today; the second day is not counted."""
    return today - timedelta(weeks=WEEKS), today + timedelta(days=1)


def period(first: date, last: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From the beginning of one day to that of the other. Raises Invalid."""
    start, end = start_of_date(first, zone), start_of_date(last, zone)
    if not start < end <= start + LONGEST:
        raise Invalid("The period must end after it begins, and last at most a year.")
    return start, end


def members_of_rules(rules: Rules, start: datetime, end: datetime) -> set[int]:
    """Everybody who is in a layer that holds in some part of the period."""
    found: set[int] = set()
    for number, version in enumerate(rules.versions):
        following = rules.versions[number + 1].valid_from if number + 1 < len(rules.versions) else end
        if version.valid_from >= end or following <= start:
            continue
        for layer in version.layers:
            groups = layer.rotation.members if layer.rotation else [one.people for one in layer.fixed]
            found |= {one for group in groups for one in group if isinstance(one, int)}
    return found


def load_of(client: Client, schedules: Sequence[Schedule], start: datetime, end: datetime) -> tuple[Balance, Any]:
    """(balance, people by pk). Pages are those of the client, whatever schedule they came by."""
    rules = loaded(schedules, start)
    shifts = [(row, one) for row in schedules for one in shifts_between(row, start, end)]
    members: set[int] = {one.person for _, one in shifts if isinstance(one.person, int)}
    for row in schedules:
        members |= members_of_rules(rules[row.pk], start, end)
    people = {user.pk: user for user in User.objects.filter(pk__in=members).order_by("name", "email")}
    rows = Page.objects.filter(client=client.slug, purpose="page", person__in=people, created_at__gte=start)
    pages = rows.filter(created_at__lt=end).exclude(state="withdrawn").values_list("person_id", "topic", "created_at")
    calendar = calendar_of(client)

    def holiday(day: date) -> bool:
        return why_closed(calendar, day) not in (None, "closure")

    zones = {pk: user.time_zone or client.time_zone for pk, user in people.items()}
    held = [(one.person, one.start, one.end) for _, one in shifts]
    return balance(held, [(pk, at) for pk, _, at in pages], zones, start, end, holiday), people
