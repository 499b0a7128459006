"""Whom an escalation will page next, and when, if nobody acknowledges; and what a policy would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from afterlaunch.accounts.models import User
from afterlaunch.estate.models import System
from afterlaunch.oncall.escalation import policy_for
from afterlaunch.oncall.models import Escalation
from afterlaunch.oncall.policies import Planned, Policy, timeline
from afterlaunch.oncall.reaching import OWN_POLICY, Reach, look_at

CATCH_ALL = -1


def live(topic: str) -> Escalation | None:
    """What is being paged about it now."""
    rows = Escalation.objects.filter(topic=topic, state="live")
    return rows.select_related("policy", "system__client", "system__owner", OWN_POLICY).first()


def future_pages(row: Escalation | None, now: datetime) -> Iterator[tuple[datetime, User, int]]:
    """(instant, person, number of the step from 0; CATCH_ALL for the last resort) of every page still to come, in
    order, with who is on call at that instant. Empty: nothing is being paged, or nobody is left to page."""
    if row is None or row.next_at is None:
        return
    done = set(row.acknowledged)
    for one in foreseen(policy_for(row), row.system, row.facts, max(row.next_at, now), row.step, row.loop):
        for person in one.people:
            if person.pk not in done:
                yield one.at, person, CATCH_ALL if one.number is None else one.number


def simulated(
    policy: Policy, system: System, facts: Mapping[str, Any], at: datetime, step: int = 0, loop: int = 0
) -> list[Planned]:
    """What the policy does from `at` on when nobody acknowledges, with the people who are on call then."""
    return list(foreseen(policy, system, facts, at, step, loop))


def foreseen(
    policy: Policy, system: System, facts: Mapping[str, Any], at: datetime, step: int, loop: int
) -> Iterator[Planned]:
    """One by one: who needs only the first of them asks for no more."""
    reach = Reach()
    return timeline(policy, at, lambda one, when: look_at(system, facts, one, when, reach), step, loop)
