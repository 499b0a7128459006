"""What happened is written when it happens; the past is read from what was written, never computed again.

The record of a schedule reaches to `recorded_until`. Every edit first writes what held until then (`settle`), then
changes, then plans the next handoff anew (`plan`). At a handoff the duty does the same without the edit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from afterlaunch.ground import clock
from afterlaunch.oncall import final
from afterlaunch.oncall.handoffs import reachable, tell_handoff
from afterlaunch.oncall.models import RecordedShift, Schedule
from afterlaunch.oncall.schedule import loaded, of_schedule, people_by_pk

LONG = timedelta(days=365)
NEW = timedelta(hours=1)
BATCH = 50
SECONDS = 0.8  # real ones that one cycle may take; the rest waits for the next, pages are routed without it


@dataclass(frozen=True)
class _Change:
    """Who came and who went at one schedule's handoff."""

    schedule: Schedule
    came: tuple[int, ...]
    went: tuple[int, ...]


def settle(rows: Sequence[Schedule], now: datetime) -> None:
    """Write what held until `now`. In a transaction, before the schedules are changed."""
    _tell(_write(_locked(row.pk for row in rows), now), now)
    for row in rows:
        row.refresh_from_db(fields=["recorded_until", "next_at"])


def plan(rows: Sequence[Schedule], now: datetime) -> None:
    """Look for the next handoff at once: after a change somebody else may be on call already."""
    Schedule.objects.filter(pk__in=[row.pk for row in rows]).update(next_at=now, gaps_at=now)


def _locked(keys: Iterable[int]) -> list[Schedule]:
    rows = Schedule.objects.filter(pk__in=list(keys)).select_related("client").order_by("pk")
    return list(rows.select_for_update(of=("self",)))


def hand_over(now: datetime) -> bool:
    """Every schedule whose next handoff has come: the record is written, who comes and who goes is told, and the next
    handoff planned. Nothing is read of schedules where nothing is due. True: there is more."""
    passed = clock.stopwatch()
    while more := _some(now):
        if passed() > SECONDS:
            break
    return more


def _some(now: datetime) -> bool:
    with transaction.atomic():
        due = Schedule.objects.filter(removed_at=None, next_at__lte=now).order_by("next_at", "pk")
        skip = connection.features.has_select_for_update_skip_locked
        rows = list(due.select_related("client").select_for_update(skip_locked=skip, of=("self",))[:BATCH])
        _tell(_write(rows, now), now)
    return len(rows) == BATCH


def _tell(changes: Iterable[_Change], now: datetime) -> None:
    told = list(changes)
    people = people_by_pk(*(pk for one in told for pk in (*one.came, *one.went)))
    able = reachable(people)
    for change in told:
        tell_handoff(change.schedule, change.came, change.went, people, able, now)


def _write(rows: Sequence[Schedule], now: datetime) -> list[_Change]:
    """Record [recorded_until, now) and who is on call at `now`; a shift that goes on stays open."""
    if not rows:
        return []
    rules = loaded(rows, min(row.recorded_until for row in rows))
    standing: dict[int, list[RecordedShift]] = {row.pk: [] for row in rows}
    for one in RecordedShift.objects.filter(schedule__in=rows, ends_at=None).order_by("pk"):
        standing[one.schedule_id].append(one)
    names = {key: str(user) for key, user in people_by_pk(*_everybody(rules.values(), rows, now)).items()}
    made: list[RecordedShift] = []
    ended: list[RecordedShift] = []
    changes = []
    for row in rows:
        shifts = final.final_shifts(rules[row.pk], row.recorded_until, now + final.INSTANT)
        before = {one.person_id for one in standing[row.pk] if one.person_id is not None}
        _continue(row, shifts, standing[row.pk], now, names, made, ended)
        after = {int(one.person) for one in shifts if one.end > now}
        unseen = row.recorded_until == row.created_at and now - row.created_at > NEW and not standing[row.pk]
        if before != after and not unseen:  # one that existed before there was a record tells nobody what they know
            changes.append(_Change(row, tuple(sorted(after - before)), tuple(sorted(before - after))))
        row.recorded_until = now
        row.next_at = final.next_cut(rules[row.pk], now) or now + LONG
    RecordedShift.objects.bulk_create(made)
    RecordedShift.objects.bulk_update(ended, ["ends_at"])
    empty = [one.pk for one in ended if one.ends_at == one.starts_at]  # changed in the instant in which it began
    if empty:
        RecordedShift.objects.filter(pk__in=empty).delete()
    Schedule.objects.bulk_update(rows, ["recorded_until", "next_at"])
    return changes


def _everybody(rules: Iterable[final.Schedule], rows: Sequence[Schedule], now: datetime) -> set[Any]:
    found: set[Any] = set()
    for one in rules:
        for layers in [version.layers for version in one.versions] + [part.layers for part in one.temporary]:
            for layer in layers:
                groups = layer.rotation.members if layer.rotation else [fixed.people for fixed in layer.fixed]
                found.update(person for group in groups for person in group)
        found.update(person for override in one.overrides for person in (override.person, override.absent))
    return found


def _continue(
    row: Schedule,
    shifts: Sequence[final.Shift],
    standing: Sequence[RecordedShift],
    now: datetime,
    names: dict[Any, str],
    made: list[RecordedShift],
    ended: list[RecordedShift],
) -> None:
    """1. An open row whose shift goes on from `recorded_until` is kept, else it ended there. 2. Shifts that began since
    are new rows. 3. What is over before `now` gets its end."""
    open_rows = {_cause(one): one for one in standing}
    for shift in shifts:
        kept = open_rows.pop(_caused(shift, names), None) if shift.start == row.recorded_until else None
        ends = None if shift.end > now else shift.end
        if kept is None:
            if shift.start < shift.end:
                made.append(_row(row, shift, ends, names))
        elif ends is not None:
            kept.ends_at = ends
            ended.append(kept)
    for gone in open_rows.values():
        gone.ends_at = max(row.recorded_until, gone.starts_at)
        ended.append(gone)


def _cause(row: RecordedShift) -> tuple[Any, ...]:
    return row.person_id, row.layer, row.reason, tuple(row.stands_in_for), row.turn


def _caused(shift: final.Shift, names: dict[Any, str]) -> tuple[Any, ...]:
    return shift.person, shift.layer, shift.reason, tuple(names.get(one, "") for one in shift.stands_in_for), shift.turn


def _row(row: Schedule, shift: final.Shift, ends: datetime | None, names: dict[Any, str]) -> RecordedShift:
    return RecordedShift(
        schedule=row,
        person_id=int(shift.person) if shift.person in names else None,
        name=names.get(shift.person, "somebody who is gone"),
        starts_at=shift.start,
        ends_at=ends,
        layer=shift.layer,
        reason=shift.reason,
        stands_in_for=[names.get(one, "") for one in shift.stands_in_for],
        turn=shift.turn,
    )


def recorded(row: Schedule, start: datetime, end: datetime) -> list[RecordedShift]:
    """What happened in [start, end), whole shifts; those that still last have no end."""
    rows = RecordedShift.objects.filter(schedule=row, starts_at__lt=end).select_related("person")
    return [one for one in rows if one.ends_at is None or one.ends_at > start]


def shifts_between(row: Schedule, start: datetime, end: datetime) -> list[final.Shift]:
    """[start, end): what was, from the record, then what is planned; a shift that lasts now is one."""
    border = min(max(row.recorded_until, start), end)
    past = [
        final.Shift(
            max(one.starts_at, start),
            min(one.ends_at or border, end),
            one.person_id if one.person_id is not None else one.name,
            one.layer,
            one.reason,
            tuple(one.stands_in_for),
            one.turn,
        )
        for one in recorded(row, start, border)
    ]
    coming = final.final_shifts(of_schedule(row, border), border, end) if border < end else []
    return joined(past, coming, border)


def joined(past: list[final.Shift], coming: list[final.Shift], border: datetime) -> list[final.Shift]:
    """A shift that is recorded up to the border and planned from it on is one shift."""
    running = {(one.person, one.layer, one.turn): n for n, one in enumerate(past) if one.end == border}
    rest = []
    for one in coming:
        place = running.get((one.person, one.layer, one.turn)) if one.start == border else None
        if place is None:
            rest.append(one)
        else:
            past[place] = replace(one, start=past[place].start)
    return [*past, *rest]
