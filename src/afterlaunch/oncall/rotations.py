"""Rotations: who has which turn, and when it is handed over. Pure.

Only the anchor is given; every handoff is computed from it on the wall clock, so a turn keeps its hour over every
change of the clocks, and months never drift. A handoff inside a spring gap is the first instant after the gap, one in
a repeated hour its first occurrence. Turns that fall together in a gap have no length and are passed by.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import gcd
from zoneinfo import ZoneInfo

from afterlaunch.calendars.wall import first_instant, local_of

Person = int | str
Group = tuple[Person, ...]
KINDS = ("hourly", "daily", "weekly", "monthly")
ADVANCES = ("calendar", "active_period")
HOURS = {"hourly": 1, "daily": 24, "weekly": 168}
WEEK = 168
LONGEST = {"hourly": 8760, "daily": 366, "weekly": 52, "monthly": 12}


@dataclass(frozen=True)
class Rotation:
    """`members` take turns of `length` hours, days, weeks or months; several in one group are on call together. The
    first of them has the turn that begins at `anchor`, a naive wall time in `zone`. `advance_on`: "calendar" turns at
    every period, "active_period" only after one in which the layer's hours were open."""

    kind: str
    length: int
    zone: str
    anchor: datetime
    members: tuple[Group, ...]
    advance_on: str = "calendar"


@dataclass(frozen=True)
class Turn:
    """[start, end) of the turn with this number; number 0 begins at the anchor."""

    number: int
    start: datetime
    end: datetime


def wall_of(rotation: Rotation, number: int) -> datetime:
    """The naive wall time of a handoff. A day that a month lacks is the month's last."""
    anchor = rotation.anchor
    if rotation.kind != "monthly":
        return anchor + timedelta(hours=HOURS[rotation.kind] * rotation.length * number)
    months = anchor.year * 12 + anchor.month - 1 + rotation.length * number
    year, month = divmod(months, 12)
    return anchor.replace(year=year, month=month + 1, day=min(anchor.day, monthrange(year, month + 1)[1]))


def handoff(rotation: Rotation, number: int) -> datetime:
    """The instant, in UTC, at which the turn with this number begins."""
    return first_instant(wall_of(rotation, number), ZoneInfo(rotation.zone))


def turn_at(rotation: Rotation, at: datetime) -> Turn:
    """The last turn that begins at or before `at`, up to the first handoff strictly after it.

    1. The wall clock's difference over the length is a guess, which a change of clocks may put off. 2. Step to it.
    """
    number = _guess(rotation, local_of(at, ZoneInfo(rotation.zone)))
    start, end = handoff(rotation, number), handoff(rotation, number + 1)
    while start > at:
        number, start, end = number - 1, handoff(rotation, number - 1), start
    while end <= at:
        number, start, end = number + 1, end, handoff(rotation, number + 2)
    return Turn(number, start, end)


def _guess(rotation: Rotation, local: datetime) -> int:
    anchor = rotation.anchor
    if rotation.kind == "monthly":
        return ((local.year - anchor.year) * 12 + local.month - anchor.month) // rotation.length
    return (local - anchor) // timedelta(hours=HOURS[rotation.kind] * rotation.length)


def turns(rotation: Rotation, start: datetime, end: datetime) -> Iterator[Turn]:
    """Every turn that has a part of [start, end), in order; their ends and starts are not cut."""
    if start >= end:
        return
    turn = turn_at(rotation, start)
    while turn.start < end:
        if turn.start < turn.end:
            yield turn
        if turn.end >= end:
            return
        turn = Turn(turn.number + 1, turn.end, handoff(rotation, turn.number + 2))


def group_of(rotation: Rotation, number: int, active: Sequence[bool] = (True,)) -> Group:
    """Who has the turn. `active` tells of one cycle of turns from the anchor on which had open hours (`cycle`)."""
    if not rotation.members:
        return ()
    if rotation.advance_on == "active_period" and any(active):
        rounds, rest = divmod(number, len(active))
        number = rounds * sum(active) + sum(active[:rest])
    return rotation.members[number % len(rotation.members)]


def cycle(rotation: Rotation) -> int:
    """After how many turns hours that repeat by the week lie the same way again. A month always has every weekday."""
    if rotation.kind == "monthly":
        return 1
    hours = HOURS[rotation.kind] * rotation.length
    return WEEK // gcd(hours, WEEK)
