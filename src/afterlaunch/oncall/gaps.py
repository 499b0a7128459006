"""Where nobody would be reached: 30 days ahead, at each save and each day. Owners are warned once of each gap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import connection, transaction

from afterlaunch.accounts.models import User
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.oncall import final
from afterlaunch.oncall.documents import stamp
from afterlaunch.oncall.handoffs import local_text, reachable, zone_of
from afterlaunch.oncall.models import CalendarIn, GapTold, Schedule
from afterlaunch.oncall.schedule import administrators, loaded

AHEAD = timedelta(days=30)
AGAIN, SOON = timedelta(days=1), timedelta(minutes=5)
BATCH = 50
LISTED = 10
KEPT = 100


@dataclass(frozen=True)
class Gap:
    """[start, end): `why` is "nobody" or "unreachable"; `names` are those on call who can't be reached."""

    start: datetime
    end: datetime
    why: str
    people: tuple[Any, ...] = ()


def gaps_in(shifts: Sequence[final.Shift], reached: Iterable[Any], start: datetime, end: datetime) -> list[Gap]:
    """Where nobody is on call, and where none of those who are can be reached. Pure."""
    able = set(reached)
    good = [one for one in shifts if one.person in able]
    found = []
    for since, until in final.gaps(good, start, end):
        empty = final.gaps([one for one in shifts if one.start < until and one.end > since], since, until)
        edges = sorted({since, until, *(edge for pair in empty for edge in pair)})
        for begins, ends in pairwise(edges):
            there = tuple(dict.fromkeys(one.person for one in shifts if one.start < ends and one.end > begins))
            found.append(Gap(begins, ends, "unreachable" if there else "nobody", there))
    return found


def gaps_ahead(row: Schedule, now: datetime, rules: final.Schedule | None = None) -> list[Gap]:
    """The next 30 days."""
    rules = rules or loaded([row], now)[row.pk]
    shifts = final.final_shifts(rules, now, now + AHEAD)
    return gaps_in(shifts, reachable(one.person for one in shifts), now, now + AHEAD)


def look_through(row: Schedule, now: datetime) -> list[Gap]:
    """Find the gaps, keep them with the schedule, warn its owner of those that are new. In a transaction."""
    return _kept(row, gaps_ahead(row, now), now)


def look_for_gaps(now: datetime) -> None:
    """Every schedule that was not looked through for a day."""
    while _some(now):
        pass


@transaction.atomic
def _some(now: datetime) -> bool:
    due = Schedule.objects.filter(removed_at=None, gaps_at__lte=now).order_by("gaps_at", "pk").select_related("client")
    skip = connection.features.has_select_for_update_skip_locked
    rows = list(due.select_for_update(skip_locked=skip, of=("self",))[:BATCH])
    rules = loaded(rows, now)
    for row in rows:
        _kept(row, gaps_ahead(row, now, rules[row.pk]), now)
    return len(rows) == BATCH


def _kept(row: Schedule, found: list[Gap], now: datetime) -> list[Gap]:
    kept = [{"from": stamp(one.start), "to": stamp(one.end), "why": one.why, "people": one.people} for one in found]
    unread = bool(kept) and row.calendars_in.filter(good_at=None, error="").exists()
    row.gaps, row.gaps_at = kept[:KEPT], now + (SOON if unread else AGAIN)
    Schedule.objects.filter(pk=row.pk).update(gaps=row.gaps, gaps_at=row.gaps_at)
    if unread:
        return found  # a calendar that nobody has fetched yet may fill them
    told = list(GapTold.objects.filter(schedule=row, ends_at__gt=now).values_list("starts_at", "ends_at"))
    new = [one for one in found if not any(one.start < ends and one.end > starts for starts, ends in told)]
    if new and _in_use(row):
        GapTold.objects.bulk_create(
            GapTold(schedule=row, starts_at=one.start, ends_at=one.end, told_at=now) for one in new
        )
        _warn(row, new, now)
    return found


def _in_use(row: Schedule) -> bool:
    """A schedule without any layer yet is unfinished, which its page says."""
    return any(version.layers for version in row.versions.all())


def owners_of(row: Schedule) -> list[User]:
    return [row.owner] if row.owner is not None and row.owner.is_active else administrators(row.client)


def _warn(row: Schedule, gaps: Sequence[Gap], now: datetime) -> None:
    names = {user.pk: str(user) for user in User.objects.filter(pk__in={p for one in gaps for p in one.people})}
    for owner in owners_of(row):
        zone = zone_of(owner, row)
        lines = [_line(one, zone, names) for one in gaps[:LISTED]]
        if len(gaps) > LISTED:
            lines.append(f"and {len(gaps) - LISTED} more within 30 days.")
        lines += [f"Not matched in {one}: {', '.join(one.unmatched[:5])}" for one in _unmatched(row)]
        title = f"Nobody would be paged: {row} of {row.client} has {len(gaps)} gap{'s' if len(gaps) > 1 else ''}"
        facts = {"type": "oncall.gap", "title": title, "lines": lines, "path": row.get_absolute_url()}
        occurrence = f"gap-{gaps[0].start:%Y%m%dT%H%M%S}-{now:%Y%m%dT%H%M%S}"
        enqueue(owner, Notice(f"schedule/{row.pk}", occurrence, row.client.slug, facts, "notice"), now)


def _unmatched(row: Schedule) -> list[CalendarIn]:
    return [one for one in row.calendars_in.all() if one.unmatched]


def _line(gap: Gap, zone: str, names: dict[Any, str]) -> str:
    hours = (gap.end - gap.start) / timedelta(hours=1)
    who = ", ".join(names.get(one, "somebody who is gone") for one in gap.people)
    why = f"{who} has no verified contact or is gone" if gap.people else "nobody is on call"
    return f"{local_text(gap.start, zone)} to {local_text(gap.end, zone)} ({hours:.1f} h): {why}."
