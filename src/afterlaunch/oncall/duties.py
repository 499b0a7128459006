from __future__ import annotations

from datetime import datetime

from afterlaunch.oncall.escalation import advance
from afterlaunch.oncall.feeds import refresh_calendars
from afterlaunch.oncall.gaps import look_for_gaps
from afterlaunch.oncall.history import hand_over
from afterlaunch.oncall.models import Escalation

__all__ = ["escalate", "hand_over", "look_for_gaps", "refresh_calendars"]


def escalate(now: datetime) -> None:
    """Move every escalation whose delay has passed unacknowledged, and page again about what was acknowledged and goes
    on; each in a transaction of its own. A broken one stops nobody else and is told when the others are done."""
    problems: list[Exception] = []
    due = Escalation.objects.filter(state__in=("live", "acknowledged"), next_at__lte=now)
    rows = due.select_related("policy", "system__client", "system__owner")
    for row in rows.order_by("next_at", "pk"):
        try:
            advance(row, now)
        except Exception as problem:  # noqa: BLE001 - raised below, after the others had their turn
            problems.append(problem)
    if problems:
        raise ExceptionGroup("escalations that could not move", problems)
