from __future__ import annotations

from datetime import datetime

from afterlaunch.oncall.escalation import advance
from afterlaunch.oncall.models import Escalation


def escalate(now: datetime) -> None:
    """Move every escalation whose delay has passed unacknowledged; each in a transaction of its own. A broken one
    stops nobody else and is told when the others are done."""
    problems: list[Exception] = []
    for row in Escalation.objects.filter(state="live", next_at__lte=now).order_by("next_at", "pk"):
        try:
            advance(row, now)
        except Exception as problem:  # noqa: BLE001 - raised below, after the others had their turn
            problems.append(problem)
    if problems:
        raise ExceptionGroup("escalations that could not move", problems)
