"""What the people of a handoff are told, in its transaction. Nobody is told whose place nobody else took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.accounts.models import User
from afterlaunch.notify.models import ContactMethod
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.oncall.models import Schedule


def local_text(at: datetime, zone: str) -> str:
    """As people read it: "Mon 02 Mar 09:00 CET"."""
    return at.astimezone(ZoneInfo(zone)).strftime("%a %d %b %H:%M %Z")


def zone_of(person: User, schedule: Schedule) -> str:
    return person.time_zone or schedule.zone


def reachable(people: Iterable[Any]) -> set[int]:
    """Active people with a verified contact method."""
    keys = [one for one in set(people) if isinstance(one, int)]
    rows = ContactMethod.objects.filter(user__in=keys, user__is_active=True, removed_at=None, verified_at__isnull=False)
    return set(rows.values_list("user_id", flat=True)) if keys else set()


def tell_handoff(
    schedule: Schedule,
    came: Sequence[int],
    went: Sequence[int],
    people: Mapping[Any, User],
    able: set[int],
    now: datetime,
) -> None:
    """One notice to each who came and each who went, since they were last told, of those who can be reached."""
    for pk in (*came, *went):
        person = people.get(pk)
        if person is None or pk not in able:
            continue
        others = [str(people[one]) for one in (went if pk in came else came) if one in people]
        zone = zone_of(person, schedule)
        until = local_text(schedule.next_at, zone) if schedule.next_at else ""
        if pk in came:
            title = f"You are on call: {schedule} of {schedule.client}"
            lines = [
                f"Since {local_text(now, zone)}.",
                *([f"You take over from {', '.join(others)}."] if others else []),
            ]
            lines += [f"Next handoff: {until}."] if until else []
        else:
            title = f"You are no longer on call: {schedule} of {schedule.client}"
            lines = [f"{', '.join(others)} took over." if others else "Nobody took over."]
        facts = {"type": "oncall.handoff", "title": title, "lines": lines, "path": schedule.get_absolute_url()}
        occurrence = f"handoff-{now:%Y%m%dT%H%M%S}-{pk}-{'in' if pk in came else 'out'}"
        enqueue(person, Notice(f"schedule/{schedule.pk}", occurrence, schedule.client.slug, facts, "notice"), now)
