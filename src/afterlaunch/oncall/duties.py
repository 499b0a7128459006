from __future__ import annotations

from datetime import datetime

from afterlaunch.ground import clock
from afterlaunch.oncall.escalation import advance
from afterlaunch.oncall.feeds import refresh_calendars
from afterlaunch.oncall.gaps import look_for_gaps
from afterlaunch.oncall.history import hand_over
from afterlaunch.oncall.models import Escalation

AT_ONCE = 500  # escalations of one run
SECONDS = 1.0  # real ones that one cycle may take, so that the duties behind it have their turn
__all__ = ["escalate", "hand_over", "look_for_gaps", "refresh_calendars"]


def escalate(now: datetime) -> bool:
    """Move every escalation whose delay has passed unacknowledged, and page again about what was acknowledged and goes
    on; each in a transaction of its own. A broken one stops nobody else and is told when the others are done. True:
    time ran out, and the rest is for the next cycle."""
    problems: list[Exception] = []
    passed, more = clock.stopwatch(), False
    due = Escalation.objects.filter(state__in=("live", "acknowledged"), next_at__lte=now)
    rows = due.select_related("policy", "system__client", "system__owner")
    for row in rows.order_by("next_at", "pk")[:AT_ONCE]:
        if more := passed() > SECONDS:
            break
        try:
            advance(row, now)
        except Exception as problem:  # noqa: BLE001 - raised below, after the others had their turn
            problems.append(problem)
    if problems:
        raise ExceptionGroup("escalations that could not move", problems)
    return more
