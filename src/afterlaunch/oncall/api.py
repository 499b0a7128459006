from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ninja import Router

from afterlaunch.ground import clock
from afterlaunch.look.requests import Request
from afterlaunch.oncall.actions import clients_of
from afterlaunch.oncall.schedule import PlannedShift, planned, schedules_of, who_is_on_call

router = Router(tags=["on-call"])


def _shift(one: PlannedShift) -> dict[str, Any]:
    return {
        "start": one.shift.start,
        "end": one.shift.end,
        "person": str(one.person) if one.person else None,
        "stands_in_for": ", ".join(str(person) for person in one.stands_in_for) or None,
        "reason": one.shift.reason,
        "layer": one.shift.layer,
    }


@router.get("/oncall")
def on_call_now(request: Request, at: datetime | None = None, weeks: int = 4) -> dict[str, Any]:
    """Who is on call at `at` (default: now) by each schedule that the actor sees, and the shifts of the next weeks. A
    client without a schedule has one row without a name."""
    instant = at or clock.now()
    until = instant + timedelta(weeks=max(1, min(weeks, 26)))
    rows: list[dict[str, Any]] = []
    for client in clients_of(request.actor):
        schedules = schedules_of(client)
        if not schedules:
            rows.append({"client": client.slug, "schedule": None, "person": None, "people": [], "reason": "nobody"})
        for row in schedules:
            who = who_is_on_call(row, instant)
            rows.append(
                {
                    "client": client.slug,
                    "schedule": row.name,
                    "person": str(who.person) if who.person else None,
                    "people": [str(person) for person in who.people],
                    "stands_in_for": str(who.stands_in_for) if who.stands_in_for else None,
                    "reason": who.reason,
                    "shifts": [_shift(one) for one in planned(row, instant, until)],
                }
            )
    return {"at": instant, "oncall": rows}
