"""Starting, meeting, breaching and replacing the clock of the first response."""

from __future__ import annotations

from datetime import datetime

from afterlaunch.calendars.actions import calendar_of as business_hours
from afterlaunch.calendars.business import Calendar
from afterlaunch.calendars.documents import frozen, thawed
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor, automation
from afterlaunch.incidents.models import Incident, ResponseClock
from afterlaunch.incidents.rules import MATRIX, POLICY, due, judge_clock
from afterlaunch.incidents.timeline import append


def calendar_of(system: System) -> Calendar:
    """The newest version of the client's business hours, or the usual ones in the system's zone."""
    return business_hours(system.client, zone=system.time_zone if system.time_zone != "UTC" else "")


def start(incident: Incident, calendar: Calendar | None = None, tier: str | None = None) -> ResponseClock:
    """A clock from `detected_at`, its inputs frozen beside the answer."""
    calendar = calendar or calendar_of(incident.system)
    tier = tier or incident.system.tier
    target = MATRIX[tier, incident.severity]
    answer = due(target, calendar, incident.detected_at)
    return ResponseClock.objects.create(
        incident=incident,
        tier=tier,
        severity=incident.severity,
        policy=POLICY,
        target=target.frozen(),
        calendar=frozen(calendar),
        started_at=incident.detected_at,
        deadline=answer.at,
        candidates={name: at.isoformat() for name, at in answer.candidates.items()},
        reason=answer.reason,
    )


def running(incident: Incident) -> ResponseClock | None:
    return ResponseClock.objects.filter(incident=incident, superseded_at=None).first()


def meet(incident: Incident, at: datetime) -> None:
    """A person's first acknowledgement at `at`: met, or a breach that nobody had noticed yet."""
    row = running(incident)
    if row is None or row.met_at is not None:
        return
    row.met_at = at
    state = judge_clock(row.deadline, at, at)
    if state.breached_at and row.breached_at is None:
        row.breached_at, row.noticed_at, row.cause = state.breached_at, at, "deadline"
    row.save(update_fields=["met_at", "breached_at", "noticed_at", "cause"])


def stamp_breach(row: ResponseClock, now: datetime) -> bool:
    """Stamp a passed deadline, once: the conditional update decides."""
    if judge_clock(row.deadline, row.met_at, now).verdict != "breached":
        return False
    changed = ResponseClock.objects.filter(pk=row.pk, breached_at=None, met_at=row.met_at).update(
        breached_at=row.deadline, noticed_at=now, cause="deadline"
    )
    if changed:
        text = f"The first response was due at {row.deadline:%Y-%m-%d %H:%M} UTC; nobody had acknowledged."
        append(automation("engine"), row.incident, "clock.breached", text, {"deadline": row.deadline.isoformat()})
    return bool(changed)


def replace(actor: Actor, incident: Incident, now: datetime) -> ResponseClock:
    """After a change of severity: a new clock from the original start and with the calendar frozen then. A new
    deadline that lies in the past is breached now, for this cause; an old breach stays on the old clock."""
    old = running(incident)
    if old is None:
        return start(incident)
    ResponseClock.objects.filter(pk=old.pk).update(superseded_at=now)
    fresh = start(incident, thawed(old.calendar), old.tier)
    fresh.met_at = old.met_at
    state = judge_clock(fresh.deadline, old.met_at, now)
    if state.verdict == "breached":
        fresh.breached_at, fresh.noticed_at, fresh.cause = now, now, "severity_change"
    fresh.save(update_fields=["met_at", "breached_at", "noticed_at", "cause"])
    details = {"old_deadline": old.deadline.isoformat(), "new_deadline": fresh.deadline.isoformat()}
    append(actor, incident, "clock.replaced", f"First response now due {fresh.deadline:%Y-%m-%d %H:%M} UTC.", details)
    return fresh


def merge(actor: Actor, twin: Incident, kept: Incident, now: datetime) -> None:
    """The duplicate's clocks move to the survivor, where they stand beside its own. The earlier start wins: when the
    survivor's start moved back, its clock is computed anew from there."""
    ResponseClock.objects.filter(incident=twin, superseded_at=None).update(superseded_at=now)
    ResponseClock.objects.filter(incident=twin).update(incident=kept)
    old = running(kept)
    if old is None or old.started_at <= kept.detected_at:
        return
    ResponseClock.objects.filter(pk=old.pk).update(superseded_at=now)
    fresh = start(kept, thawed(old.calendar), old.tier)
    fresh.met_at = old.met_at
    state = judge_clock(fresh.deadline, old.met_at, now)
    if state.verdict == "breached":
        fresh.breached_at, fresh.noticed_at, fresh.cause = fresh.deadline, now, "merged"
    fresh.save(update_fields=["met_at", "breached_at", "noticed_at", "cause"])
    details = {"old_deadline": old.deadline.isoformat(), "new_deadline": fresh.deadline.isoformat()}
    append(actor, kept, "clock.replaced", f"First response now due {fresh.deadline:%Y-%m-%d %H:%M} UTC.", details)
