"""The final schedule: layers, temporary schedules and overrides put together. Pure.

`final_shifts` is the one function behind the page, the calendar feeds, the history and the routing of pages.

1. The version in force, or the temporary schedule made last, gives the layers. 2. At any instant the highest priority
that has somebody decides; all its shifts are on call together. 3. Overrides are applied in the order in which they
were made. 4. Neighbouring pieces of one turn are one shift; an override over a handoff melts no two turns.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.calendars.windows import Interval, Window, cut, within
from afterlaunch.oncall.rotations import Group, Person, Rotation, cycle, group_of, turn_at, turns, wall_of

OVERRIDES = ("add", "remove", "replace", "cover")
INSTANT = timedelta(microseconds=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Fixed:
    """Somebody on call over [start, end), as a calendar or a temporary schedule says it."""

    start: datetime
    end: datetime
    people: Group


@dataclass(frozen=True)
class Layer:
    """A rotation, or fixed shifts. `windows` (empty: always) are on the wall clock of `zone`. Larger priority wins."""

    name: str
    rotation: Rotation | None = None
    fixed: tuple[Fixed, ...] = ()
    windows: tuple[Window, ...] = ()
    zone: str = "UTC"
    priority: int = 0


@dataclass(frozen=True)
class Version:
    """What the schedule is from `valid_from` on, until the next version."""

    valid_from: datetime
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Temporary:
    """Over [start, end) these layers stand in the place of all others. Of two at once the one made last counts."""

    start: datetime
    end: datetime
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Override:
    """Over [start, end): add `person`, remove `absent`, replace `absent` by `person`, or cover everyone by `person`."""

    kind: str
    start: datetime
    end: datetime
    person: Person | None = None
    absent: Person | None = None


@dataclass(frozen=True)
class Schedule:
    """Versions by the instant they are valid from; temporary schedules and overrides in the order they were made."""

    versions: tuple[Version, ...] = ()
    temporary: tuple[Temporary, ...] = ()
    overrides: tuple[Override, ...] = ()


@dataclass(frozen=True)
class Shift:
    """`person` is on call over [start, end). `stands_in_for` names whom an override replaced; `turn` is the instant at
    which the turn beneath began, None for somebody who was added."""

    start: datetime
    end: datetime
    person: Person
    layer: str = ""
    reason: str = "rotation"
    stands_in_for: Group = ()
    turn: datetime | None = None

    @property
    def cause(self) -> tuple[Any, ...]:
        """Two pieces with the same cause are one shift."""
        return self.person, self.layer, self.reason, self.stands_in_for, self.turn


@dataclass(frozen=True)
class _Held:
    start: datetime
    end: datetime
    priority: int
    shifts: tuple[Shift, ...]


@dataclass
class _Slice:
    start: datetime
    end: datetime
    shifts: list[Shift] = field(default_factory=list)


def final_shifts(schedule: Schedule, start: datetime, end: datetime) -> list[Shift]:
    """Every shift over [start, end), cut at both ends, by start and then by layer. Nobody on call leaves a gap."""
    slices: list[_Slice] = []
    for since, until, layers in _sources(schedule, start, end):
        slices += _decided(layers, since, until)
    return _joined(_overridden(slices, schedule.overrides, start, end))


def on_call_at(schedule: Schedule, at: datetime) -> list[Shift]:
    """Who is on call at one instant; the shifts are cut to it."""
    return final_shifts(schedule, at, at + INSTANT)


def next_cut(schedule: Schedule, at: datetime) -> datetime | None:
    """The first instant after `at` at which a turn, a window, a version or an override begins or ends: nobody comes or
    goes before it. None: there is none."""
    edges = [version.valid_from for version in schedule.versions]
    edges += [edge for one in schedule.temporary for edge in (one.start, one.end)]
    edges += [edge for one in schedule.overrides for edge in (one.start, one.end)]
    for _, _, layers in _sources(schedule, at, at + INSTANT):
        for layer in layers:
            edges += [edge for one in layer.fixed for edge in (one.start, one.end)]
            if layer.rotation is not None:
                edges.append(turn_at(layer.rotation, at).end)
            if layer.windows:
                edges += [edge for one in within(layer.windows, ZoneInfo(layer.zone), at, at + 9 * DAY) for edge in one]
    return min((edge for edge in edges if edge > at), default=None)


def gaps(shifts: Iterable[Shift], start: datetime, end: datetime) -> list[Interval]:
    """Where nobody is on call in [start, end)."""
    found, at = [], start
    for one in sorted(shifts, key=lambda shift: shift.start):
        if one.start > at:
            found.append((at, one.start))
        at = max(at, one.end)
    return [*found, (at, end)] if at < end else found


def _sources(
    schedule: Schedule, start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime, tuple[Layer, ...]]]:
    """[start, end) cut at versions and temporary schedules, with the layers of each piece."""
    begins = [version.valid_from for version in schedule.versions]
    edges = {edge for one in schedule.temporary for edge in (one.start, one.end)} | set(begins)
    for since, until in pairwise(sorted({start, end, *(edge for edge in edges if start < edge < end)})):
        standing = [one for one in schedule.temporary if one.start <= since < one.end]
        number = bisect_right(begins, since)
        if standing:
            yield since, until, standing[-1].layers
        elif number:
            yield since, until, schedule.versions[number - 1].layers
        else:
            yield since, until, ()


def _decided(layers: Sequence[Layer], start: datetime, end: datetime) -> Iterator[_Slice]:
    """[start, end) cut wherever anything changes, with the shifts of the highest priority that has somebody."""
    held = [one for layer in layers for one in _held(layer, start, end)]
    opening: dict[datetime, list[int]] = {}
    closing: dict[datetime, list[int]] = {}
    for number, one in enumerate(held):
        opening.setdefault(one.start, []).append(number)
        closing.setdefault(one.end, []).append(number)
    active: set[int] = set()
    for since, until in pairwise(sorted({start, end, *opening, *closing})):
        active.difference_update(closing.get(since, ()))
        active.update(opening.get(since, ()))
        top = max((held[number].priority for number in active), default=0)
        found: dict[Person, Shift] = {}
        for number in sorted(active):
            if held[number].priority == top:
                for shift in held[number].shifts:
                    found.setdefault(shift.person, shift)
        yield _Slice(since, until, [_cut_to(shift, since, until) for shift in found.values()])


def _cut_to(shift: Shift, since: datetime, until: datetime) -> Shift:
    return shift if shift.start == since and shift.end == until else replace(shift, start=since, end=until)


def _held(layer: Layer, start: datetime, end: datetime) -> Iterator[_Held]:
    """The layer's own shifts that have somebody, cut to [start, end) and to the layer's hours."""
    opened = spans(layer.windows, layer.zone, start, end) if layer.windows else [(start, end)]
    for began, until, people in _raw(layer, start, end):
        for opens, closes in opened:
            since, upto = max(began, opens, start), min(until, closes, end)
            if since < upto and people:
                reason = "rotation" if layer.rotation else "fixed"
                shifts = tuple(Shift(since, upto, one, layer.name, reason, (), began) for one in people)
                yield _Held(since, upto, layer.priority, shifts)


def spans(windows: tuple[Window, ...], zone: str, start: datetime, end: datetime) -> list[Interval]:
    """The windows' open time, cut to [start, end)."""
    return list(cut(within(windows, ZoneInfo(zone), start, end), start, end))


def _raw(layer: Layer, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, Group]]:
    for one in layer.fixed:
        if one.start < end and one.end > start:
            yield one.start, one.end, one.people
    if layer.rotation is not None:
        active = active_turns(layer.rotation, layer.windows)
        for turn in turns(layer.rotation, start, end):
            yield turn.start, turn.end, group_of(layer.rotation, turn.number, active)


@lru_cache(maxsize=4096)
def active_turns(rotation: Rotation, windows: tuple[Window, ...]) -> tuple[bool, ...]:
    """Of one cycle of turns from the anchor, which have open hours on the wall clock."""
    if not windows or rotation.advance_on == "calendar":
        return (True,)
    found = []
    for number in range(cycle(rotation)):
        since, until = (wall_of(rotation, one).replace(tzinfo=UTC) for one in (number, number + 1))
        found.append(bool(spans(windows, "UTC", since, until)))
    return tuple(found)


def _overridden(
    slices: list[_Slice], overrides: Sequence[Override], start: datetime, end: datetime
) -> Iterator[_Slice]:
    """Cut at the overrides' edges, too, and change who is on call where one holds."""
    if not overrides:
        yield from slices
        return
    edges = sorted({edge for one in overrides for edge in (one.start, one.end) if start < edge < end})
    for piece in slices:
        inner = edges[bisect_right(edges, piece.start) :]
        cuts = [piece.start, *(edge for edge in inner if edge < piece.end), piece.end]
        for since, until in pairwise(cuts):
            shifts = [replace(one, start=since, end=until) for one in piece.shifts]
            for override in overrides:
                if override.start <= since < override.end:
                    shifts = _changed(shifts, override, since, until)
            yield _Slice(since, until, shifts)


def _changed(shifts: list[Shift], override: Override, since: datetime, until: datetime) -> list[Shift]:
    person, absent = override.person, override.absent
    there = {one.person for one in shifts}
    if override.kind == "remove":
        return [one for one in shifts if one.person != absent]
    if person is None:
        return shifts
    if override.kind == "add":
        return shifts if person in there else [*shifts, Shift(since, until, person, reason="added")]
    if override.kind == "replace":
        if absent not in there:
            return shifts
        kept = [one for one in shifts if one.person not in (absent, person)]
        changed = [one for one in shifts if one.person == absent]
        own = [one for one in shifts if one.person == person]
        return [*kept, *(own or [_for(one, person, "replaced", (one.person,)) for one in changed])]
    first = shifts[0] if shifts else Shift(since, until, person)
    others = tuple(one.person for one in shifts if one.person != person)
    return [_for(first, person, "covered", others)]


def _for(shift: Shift, person: Person, reason: str, stands_in_for: Group) -> Shift:
    """Whoever held the turn in the first place stays named over a chain of overrides."""
    origin = shift.stands_in_for or stands_in_for
    return replace(shift, person=person, reason=reason, stands_in_for=tuple(one for one in origin if one != person))


def _joined(slices: Iterable[_Slice]) -> list[Shift]:
    """Pieces of one cause that touch become one shift."""
    found: list[Shift] = []
    last: dict[tuple[Any, ...], int] = {}
    for piece in slices:
        for shift in piece.shifts:
            place = last.get(shift.cause)
            if place is not None and found[place].end == shift.start:
                found[place] = replace(found[place], end=shift.end)
            else:
                last[shift.cause] = len(found)
                found.append(shift)
    return found
