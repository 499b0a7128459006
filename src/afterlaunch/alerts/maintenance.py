"""Maintenance windows: planned, announced at their start and end, and over when they are over.

Alerts are recorded meanwhile; what still fires at the end pages at once. Only a person makes one longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.alerts import news
from afterlaunch.alerts.matchers import MOST, Matcher, as_rows, from_rows, selective, written
from afterlaunch.alerts.models import MaintenanceWindow
from afterlaunch.alerts.silences import look_again
from afterlaunch.calendars.recurrence import document, following, read_recurrence
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotFound

ENGINE = automation("engine")
LONGEST = timedelta(days=30)
Turn = tuple[datetime, datetime]


def windows_seen_by(actor: Actor) -> QuerySet[MaintenanceWindow]:
    seen = actor.sees()
    rows = MaintenanceWindow.objects.filter(removed_at=None).select_related("client")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def window_by_id(actor: Actor, pk: int) -> MaintenanceWindow:
    row = windows_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no maintenance window {pk}.")
    return row


def turn(row: MaintenanceWindow, at: datetime) -> Turn | None:
    """The turn that runs at `at`, with its whole length, or the next one; None: it never begins again."""
    if row.recurrence is None:
        assert row.starts_at is not None and row.ends_at is not None
        return (row.starts_at, row.ends_at) if at < row.ends_at else None
    since = max(at, row.starts_at) if row.starts_at else at
    found = following(read_recurrence(row.recurrence), since)
    if found is None or (row.ends_at is not None and found[0] >= row.ends_at):
        return None
    return found[0], min(found[1], row.ends_at) if row.ends_at else found[1]


def turns(row: MaintenanceWindow, since: datetime, count: int) -> list[Turn]:
    """The next turns in order, the one that runs now first."""
    found: list[Turn] = []
    at = since
    while len(found) < count and (one := turn(row, at)) is not None:
        found.append(one)
        at = one[1]
    return found


@transaction.atomic
def put_window(
    actor: Actor,
    client: Client,
    name: str,
    wanted: Sequence[Matcher],
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    recurrence: Mapping[str, Any] | None = None,
    comment: str = "",
) -> MaintenanceWindow:
    """Plan one, or alter the one of that name. Raises Invalid."""
    actor.require(Role.RESPONDER, client.slug)
    now = clock.now()
    if not name.strip() or len(name) > 100:
        raise Invalid("A maintenance window needs a name of up to 100 characters.")
    if not wanted or len(wanted) > MOST or not selective(wanted):
        raise Invalid("It needs a matcher that does not match everything.", 'For example system="support-assistant".')
    if recurrence is None and (starts_at is None or ends_at is None or not starts_at < ends_at <= starts_at + LONGEST):
        raise Invalid("It needs a start, and an end within thirty days of it.")
    if any(one is not None and one.tzinfo is None for one in (starts_at, ends_at)):
        raise Invalid("Start and end need a zone.", "For example 2026-03-01T06:00:00Z")
    if recurrence is None and ends_at is not None and ends_at <= now:
        raise Invalid("It is over already.")
    shape = document(read_recurrence(recurrence)) if recurrence is not None else None
    if shape is not None and not (set(shape) - {"location"}):
        raise Invalid("This recurrence holds always.", "Say at which times, weekdays, days of the month or months.")
    values = {
        "matchers": as_rows(sorted(set(wanted))),
        "starts_at": starts_at,
        "ends_at": ends_at,
        "recurrence": shape,
        "comment": comment.strip()[:300],
    }
    known = MaintenanceWindow.objects.select_for_update(of=("self",)).filter(client=client, name=name, removed_at=None)
    row = known.first()
    if row is not None and {key: getattr(row, key) for key in values} == values:
        return row
    made = row is None
    row = row or MaintenanceWindow(client=client, name=name, created_at=now, created_by=actor.name)
    for key, value in values.items():
        setattr(row, key, value)
    row.turns_at = now  # the next pass sees whether it runs
    if turn(row, now) is None:
        raise Invalid("It never begins.")
    row.save()
    details = {"name": name, "matchers": written(wanted), "turns": [_said(one) for one in turns(row, now, 3)]}
    record(
        actor, "maintenance.planned" if made else "maintenance.altered", f"maintenance/{row.pk}", client.slug, details
    )
    return row


def _said(one: Turn) -> str:
    return f"{one[0].isoformat()} to {one[1].isoformat()}"


@transaction.atomic
def extend(actor: Actor, row: MaintenanceWindow, until: datetime) -> MaintenanceWindow:
    """The turn that runs now lasts longer. Raises Conflict when none runs."""
    fresh = MaintenanceWindow.objects.select_for_update(of=("self",)).select_related("client").get(pk=row.pk)
    actor.require(Role.RESPONDER, fresh.client.slug)
    now = clock.now()
    if fresh.running_until is None or fresh.running_until <= now:
        raise Conflict("It does not run now.", "Plan another one.")
    if not now < until <= now + LONGEST:
        raise Invalid("The new end must be within thirty days.")
    before, fresh.running_until, fresh.extended_until, fresh.turns_at = fresh.running_until, until, until, until
    fresh.save(update_fields=["running_until", "extended_until", "turns_at"])
    details = {"before": before.isoformat(), "until": until.isoformat()}
    record(actor, "maintenance.extended", f"maintenance/{fresh.pk}", fresh.client.slug, details)
    look_again(fresh.client.slug, now)
    return fresh


@transaction.atomic
def end_now(actor: Actor, row: MaintenanceWindow) -> None:
    """The turn that runs ends. What still fires pages at once."""
    fresh = MaintenanceWindow.objects.select_for_update(of=("self",)).select_related("client").get(pk=row.pk)
    actor.require(Role.RESPONDER, fresh.client.slug)
    now = clock.now()
    if fresh.running_since is None or fresh.running_until is None or fresh.running_until <= now:
        raise Conflict("It does not run now.")
    planned = fresh.running_until
    _ended(fresh, now, f"Ended early by {actor.name}.")
    fresh.turns_at = None if fresh.recurrence is None else max(planned, now)
    if fresh.recurrence is None:
        fresh.ends_at = now
    fresh.save()
    record(actor, "maintenance.ended", f"maintenance/{fresh.pk}", fresh.client.slug, {"planned": planned.isoformat()})


@transaction.atomic
def remove_window(actor: Actor, row: MaintenanceWindow) -> None:
    """It never begins again, and ends where it runs. Twice changes nothing."""
    actor.require(Role.RESPONDER, row.client.slug)
    now = clock.now()
    if MaintenanceWindow.objects.filter(pk=row.pk, removed_at=None).update(removed_at=now, turns_at=None):
        record(actor, "maintenance.removed", f"maintenance/{row.pk}", row.client.slug, {"name": row.name})
        look_again(row.client.slug, now)


def turn_windows(now: datetime) -> None:
    """Begin and end what is due. A turn that nobody saw, since the engine stood still, is passed by."""
    due = MaintenanceWindow.objects.filter(removed_at=None, turns_at__lte=now).order_by("turns_at")
    for pk in list(due.values_list("pk", flat=True)[:500]):
        _turn(pk, now)


@transaction.atomic
def _turn(pk: int, now: datetime) -> None:
    rows = MaintenanceWindow.objects.select_for_update(of=("self",)).select_related("client")
    row = rows.filter(Q(turns_at__lte=now), pk=pk, removed_at=None).first()
    if row is None:
        return
    if row.running_until is not None and row.running_until <= now:
        _ended(row, now, "")
    found = turn(row, now)
    if row.extended_until is not None and row.running_until is not None:
        found = (row.running_since or now, row.running_until)
    if found is None:
        if row.running_until is not None:
            _ended(row, now, "")
        row.turns_at = None
    elif found[0] <= now:
        _runs(row, found, now)
    else:
        if row.running_until is not None:
            _ended(row, now, "")
        row.turns_at = found[0]
    row.save()


def _runs(row: MaintenanceWindow, found: Turn, now: datetime) -> None:
    began = row.running_since is None
    row.running_since = row.running_since or found[0]
    row.running_until = row.turns_at = found[1]
    look_again(row.client.slug, now)
    if began:
        what = written(from_rows(row.matchers))
        lines = [f"Until {found[1]:%Y-%m-%d %H:%M} UTC nobody is paged for {what}. Alerts are recorded.", row.comment]
        _announce(row, "began", f"Maintenance begins: {row.name}", lines, now)


def _ended(row: MaintenanceWindow, now: datetime, how: str) -> None:
    lines = [how, f"What still fires of {written(from_rows(row.matchers))} pages now."]
    _announce(row, "ended", f"Maintenance is over: {row.name}", lines, now)
    row.running_since = row.running_until = row.extended_until = None
    look_again(row.client.slug, now)


def _announce(row: MaintenanceWindow, what: str, title: str, lines: Sequence[str], now: datetime) -> None:
    since = row.running_since or now
    occurrence = f"{what}-{since:%Y%m%dT%H%M%S}"
    told = [line for line in lines if line]
    news.tell(row.client, f"maintenance/{row.pk}", occurrence, f"maintenance.{what}", title, told, "/maintenance", now)
    record(ENGINE, f"maintenance.{what}", f"maintenance/{row.pk}", row.client.slug, {"name": row.name})
