from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from ninja import Query, Router

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.calendars.wall import date_of
from afterlaunch.ground import clock
from afterlaunch.ground.errors import NotFound
from afterlaunch.look.requests import Request
from afterlaunch.oncall.actions import clients_of
from afterlaunch.oncall.load import load_of, period, usual_period
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


@router.get("/oncall/{client}/load")
def on_call_load(
    request: Request,
    client: str,
    since: Annotated[date | None, Query(alias="from")] = None,
    until: Annotated[date | None, Query(alias="to")] = None,
    schedule: str = "",
) -> dict[str, Any]:
    """How on-call time and pages fell, or will fall, on a client's people: hours, and of them at night, at weekends and
    on holidays (each person's own zone), pages, pages at night, nights woken, days in a row. `from` and `to` are dates
    of the client's zone, `to` not counted; by default the last four weeks. `schedule`: the name of one of them."""
    owner = client_by_slug(request.actor, client)
    zone = ZoneInfo(owner.time_zone)
    first, last = usual_period(date_of(clock.now(), zone))
    start, end = period(since or first, until or last, zone)
    rows = [one for one in schedules_of(owner) if schedule in ("", one.name)]
    if schedule and not rows:
        raise NotFound(f"{owner} has no schedule {schedule!r}.")
    found, people = load_of(owner, rows, start, end)
    told = {key: value for key, value in asdict(found).items() if key != "loads"}
    loads = [{**asdict(one), "person": str(people[one.person])} for one in found.loads]
    return {"client": owner.slug, "start": start, "end": end, "balance": told, "people": loads}
