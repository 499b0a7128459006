"""Whom an escalation will page next, and when, if nobody acknowledges."""

from __future__ import annotations

from datetime import datetime, timedelta

from afterlaunch.accounts.models import User
from afterlaunch.oncall.escalation import people_of, steps_of
from afterlaunch.oncall.models import Escalation
from afterlaunch.oncall.rules import REPEAT, move_on


def future_pages(topic: str, now: datetime) -> list[tuple[datetime, User, int]]:
    """(instant, person, number of the step from 0) of every page still to come, in order, with who is on call at that
    instant. Empty: nothing is being paged about the topic, or nobody is left to page."""
    row = Escalation.objects.filter(topic=topic, state="live").select_related("system__client", "system__owner").first()
    if row is None or row.next_at is None:
        return []
    steps = steps_of(row.system.client)
    found: list[tuple[datetime, User, int]] = []
    at, step, loop = max(row.next_at, now), row.step if row.step < len(steps) else 0, row.loop
    while loop < REPEAT:
        people = people_of(steps[step], row.system, at)
        found += [(at, person, step) for person in people]
        going = move_on(steps, step, loop, bool(people), row.paged > 0 or bool(found))
        if going.do == "exhausted":
            break
        begins_again = going.reason == "begins_again" and not people
        at += timedelta(seconds=steps[-1].delay if begins_again else going.delay)
        step, loop = going.step, going.loop
    return found
