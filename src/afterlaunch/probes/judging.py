"""From what the locations know to the state of a probe, and to whom it is told. In the transaction of whoever asks."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.ground.settings import settings
from afterlaunch.probes import presence, rules, telling
from afterlaunch.probes.models import Probe
from afterlaunch.probes.rules import Found, State
from afterlaunch.probes.telling import Trouble

AT_ONCE = 500
SOON = timedelta(seconds=30)  # what waits for its parents is looked at again


def locked(pk: int) -> Probe:
    rows = Probe.objects.select_for_update(of=("self",)).select_related("system__client", "system__owner")
    return rows.get(pk=pk)


def look(now: datetime) -> int:
    """Judge what time alone may have changed."""
    due = list(Probe.objects.filter(look_at__lte=now).order_by("look_at").values_list("pk", flat=True)[:AT_ONCE])
    for pk in due:
        with transaction.atomic():
            row = locked(pk)
            if row.look_at is not None and row.look_at <= now:
                assess(row, now)
    return len(due)


def assess(row: Probe, now: datetime) -> None:
    """`row` is locked. Down and its alert are one transaction, and so are up and its end."""
    if row.paused:
        return
    places = {place.location: place.seen for place in row.places.all()}
    absence = presence.newest_absence()
    found = rules.state_of(places, row.plan, now, absence.end if absence else None)
    before = State(row.state)
    if found.state is not before:
        row.since = now
        row.children.exclude(state=State.PAUSED.value).update(look_at=now)
    row.state, row.reason, row.look_at = found.state.value, found.reason, found.look_again
    row.said = _said(row, found)
    _tell(row, found, before, now)
    row.save()


def _said(row: Probe, found: Found) -> str:
    """In words, with the last thing that a location heard."""
    if found.state is State.NO_DATA:
        last = row.places.exclude(said="").order_by("-tried_at").first()
        return f"Nobody could try it. {last.said if last else ''}".strip()[:500]
    if found.state not in (State.DOWN, State.FAILING):
        return ""
    worst = row.places.exclude(state=State.UP.value).exclude(said="").order_by("-failures", "-tried_at").first()
    where = f"Down at {found.down} of {found.heard} locations. " if len(row.locations) > 1 else ""
    return f"{where}{worst.said if worst else ''}"[:500]


def _tell(row: Probe, found: Found, before: State, now: datetime) -> None:
    parents = [State(state) for state in row.parents.values_list("state", flat=True)]
    reason = rules.notice(found, row.plan, row.told_at, parents, now)
    row.held_by = reason if reason in ("parent_down", "parent_unsure", "too_few_failures") else ""
    if reason == "tell":
        telling.tell(trouble_of(row), now)
        row.told_at = now
    elif reason == "again":
        telling.again(trouble_of(row), f"{row.name} is still down.")
        row.told_at = now
    elif found.state is State.UP and row.told_at is not None:
        telling.over(trouble_of(row), now)
        row.told_at = None
    if row.held_by.startswith("parent"):
        row.look_at = now + SOON
    elif row.told_at is not None and row.again_minutes:
        again = row.told_at + timedelta(minutes=row.again_minutes)
        row.look_at = again if row.look_at is None else min(again, row.look_at)
    _tell_silence(row, found, now)


def _tell_silence(row: Probe, found: Found, now: datetime) -> None:
    """That nobody could try it is trouble of ours, and no bad event: it is told apart, mildly."""
    silent = found.state is State.NO_DATA and found.reason != "cap"
    if silent and not row.silent:
        telling.tell(silence_of(row), now)
    elif row.silent and not silent:
        telling.over(silence_of(row), now)
    row.silent = silent


def end_all(row: Probe, now: datetime) -> None:
    """It is watched no more: its alerts end."""
    telling.over(trouble_of(row), now)
    telling.over(silence_of(row), now)
    row.told_at, row.silent = None, False


def trouble_of(row: Probe) -> Trouble:
    return Trouble(
        row.system,
        row.environment,
        row.topic,
        f"Probe {row.name} is down",
        row.severity,
        row.said or "It is down.",
        row.since,
        {"probe": row.name, "kind": row.kind},
        f"{settings().public_url}/probes/{row.pk}",
    )


def silence_of(row: Probe) -> Trouble:
    return Trouble(
        row.system,
        row.environment,
        f"{row.topic}/no-data",
        f"Probe {row.name} is not run",
        "P3",
        row.said,
        row.since,
        {"probe": row.name, "kind": row.kind},
        f"{settings().public_url}/probes/{row.pk}",
    )
