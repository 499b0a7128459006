"""Weekly shifts and overrides. Pure: who is on call and when it turns are computed from wall time, never stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from afterlaunch.calendars.wall import first_instant, local_of


@dataclass(frozen=True)
class Weekly:
    """`anchor` is the naive wall time of one handoff; `members` take turns of `days` days."""

    zone: str
    anchor: datetime
    members: tuple[int, ...]
    days: int = 7


@dataclass(frozen=True)
class Stand:
    """An override over [start, end): `absent` None covers everyone. Later ones beat earlier ones."""

    absent: int | None
    substitute: int
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Shift:
    """[start, end): `person` is on call; `stands_in_for` names the member an override replaced."""

    start: datetime
    end: datetime
    person: int | None
    stands_in_for: int | None = None
    reason: str = "rotation"


def _handoff(rotation: Weekly, number: int) -> datetime:
    return first_instant(rotation.anchor + timedelta(days=rotation.days * number), ZoneInfo(rotation.zone))


def _turn(rotation: Weekly, at: datetime) -> int:
    """The number of the turn at `at`. The wall clock's difference modulo the length gives a first guess, which a
    gap or a repeated hour may put one off."""
    passed = local_of(at, ZoneInfo(rotation.zone)) - rotation.anchor
    number = passed // timedelta(days=rotation.days)
    while _handoff(rotation, number) > at:
        number -= 1
    while _handoff(rotation, number + 1) <= at:
        number += 1
    return number


def start_of_shift(rotation: Weekly, at: datetime) -> datetime:
    """The handoff at or before `at`."""
    return _handoff(rotation, _turn(rotation, at))


def end_of_shift(rotation: Weekly, at: datetime) -> datetime:
    """The first handoff strictly after `at`."""
    return _handoff(rotation, _turn(rotation, at) + 1)


def on_call(rotation: Weekly | None, stands: Sequence[Stand], at: datetime) -> tuple[int | None, int | None, str]:
    """(person, whom they stand in for, named reason). The one function behind the page and the routing of pages."""
    member = None
    if rotation is not None and rotation.members:
        member = rotation.members[_turn(rotation, at) % len(rotation.members)]
    person, reason = member, "rotation" if member is not None else "nobody"
    for stand in stands:
        if not stand.start <= at < stand.end:
            continue
        if stand.absent is None:
            person, reason = stand.substitute, "covered"
        elif stand.absent == person:
            person, reason = stand.substitute, "replaced"
    return person, member if person != member else None, reason


def shifts(
    versions: Sequence[tuple[datetime, Weekly]], stands: Sequence[Stand], start: datetime, end: datetime
) -> Iterator[Shift]:
    """The final schedule over [start, end), cut at every handoff, version and override; an override that spans a
    handoff does not melt two shifts into one. `versions` are (valid from, rotation) in order."""
    at = start
    while at < end:
        rotation = in_force(versions, at)
        cuts = [end, *(edge for stand in stands for edge in (stand.start, stand.end))]
        cuts += [valid_from for valid_from, _ in versions]
        if rotation is not None and rotation.members:
            cuts.append(end_of_shift(rotation, at))
        until = min(cut for cut in cuts if cut > at)
        person, absent, reason = on_call(rotation, stands, at)
        yield Shift(at, until, person, absent, reason)
        at = until


def in_force(versions: Sequence[tuple[datetime, Weekly]], at: datetime) -> Weekly | None:
    known = [rotation for valid_from, rotation in versions if valid_from <= at]
    return known[-1] if known else None


@dataclass(frozen=True)
class Step:
    """A step of an escalation policy; `delay` in seconds of the product's clock."""

    target: str
    delay: int
    person: int | None = None


DEFAULT_STEPS = (Step("schedule", 300), Step("catch_all", 900))
REPEAT = 2


@dataclass(frozen=True)
class Move:
    """Where an escalation goes after its step `step` of loop `loop` was performed."""

    do: str
    reason: str
    step: int = 0
    loop: int = 0
    delay: int = 0


def move_on(steps: Sequence[Step], step: int, loop: int, paged_now: bool, paged_ever: bool) -> Move:
    """1. A step that reached nobody falls through at once. 2. One that paged waits its delay. 3. After the last step
    the policy begins again (`advance` ends it after `REPEAT` rounds), unless it never reached anybody."""
    delay = steps[step].delay if paged_now else 0
    if step + 1 < len(steps):
        return Move("next", "waits" if paged_now else "nobody_falls_through", step + 1, loop, delay)
    if not paged_ever:
        return Move("exhausted", "nobody_reachable")
    return Move("next", "begins_again", 0, loop + 1, delay)
