from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ninja import Router

from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.look.requests import Request
from afterlaunch.oncall.schedule import PlannedShift, planned, who_is_on_call

router = Router(tags=["on-call"])


def clients_of(actor: Actor) -> list[Client]:
    seen = actor.sees()
    rows = Client.objects.order_by("slug")
    return list(rows if seen is None else rows.filter(slug__in=seen))


def _shift(one: PlannedShift) -> dict[str, Any]:
    return {
        "start": one.shift.start,
        "end": one.shift.end,
        "person": str(one.person) if one.person else None,
        "stands_in_for": str(one.stands_in_for) if one.stands_in_for else None,
        "reason": one.shift.reason,
    }


@router.get("/oncall")
def on_call_now(request: Request, at: datetime | None = None, weeks: int = 4) -> dict[str, Any]:
    """Who is on call at `at` (default: now) for each client the actor sees, and the shifts of the next weeks."""
    instant = at or clock.now()
    until = instant + timedelta(weeks=max(1, min(weeks, 26)))
    rows = []
    for client in clients_of(request.actor):
        who = who_is_on_call(client, instant)
        rows.append(
            {
                "client": client.slug,
                "person": str(who.person) if who.person else None,
                "stands_in_for": str(who.stands_in_for) if who.stands_in_for else None,
                "reason": who.reason,
                "shifts": [_shift(one) for one in planned(client, instant, until)],
            }
        )
    return {"at": instant, "oncall": rows}
