"""When a promise falls due, step by step. Pure.

1. The cell of the matrix says what is promised. 2. The calendar says whether it was open at the start. 3. A duration
that begins in closed time has two candidates, and the earlier counts: or else an incident five minutes before opening
would be promised later than one five minutes after. 4. Pauses move what may be paused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.calendars.business import (
    Calendar,
    NeverOpen,
    add,
    between,
    business_date_after,
    end_of_business_date,
    is_business_date,
    is_open,
    local_date,
    next_open,
    why_closed,
)
from afterlaunch.calendars.wall import clock_time, date_of, first_instant, last_instant, wall
from afterlaunch.sla.pauses import Span
from afterlaunch.sla.spans import at_words, words
from afterlaunch.sla.targets import MONDAYS, Target

__all__ = ["Deadline", "NeverOpen", "Step", "counted", "due", "moved", "paused"]


@dataclass(frozen=True)
class Step:
    """One line of the explanation; `at` is the instant that it arrives at."""

    text: str
    at: datetime | None = None

    def document(self) -> dict[str, Any]:
        return {"text": self.text, "at": self.at.isoformat() if self.at else None}


@dataclass(frozen=True)
class Deadline:
    """`candidates` are the instants that were compared; `reason` names the one chosen."""

    at: datetime
    reason: str
    candidates: dict[str, datetime] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()


def due(target: Target, calendar: Calendar, start: datetime) -> Deadline:
    """When a clock that started at `start` falls due. Raises NeverOpen."""
    if target.kind == "duration":
        found = _duration(target, calendar, start)
    elif target.kind == "business_days":
        found = _business_days(target, calendar, start)
    else:
        found = _batch(target, calendar, start)
    zone = calendar.zone_info
    began = Step(f"It began {at_words(start, zone)} ({calendar.zone}).", start)
    last = Step(f"Due {at_words(found.at, zone)} ({calendar.zone}).", found.at)
    return replace(found, steps=(Step(f"Promised: {target.words()}."), began, *found.steps, last))


def paused(deadline: Deadline, target: Target, calendar: Calendar, pauses: Sequence[Span]) -> Deadline:
    """The deadline after pauses, which are merged and in order. One that began at or after the deadline moves
    nothing."""
    at, steps, zone = deadline.at, list(deadline.steps), calendar.zone_info
    for one in pauses:
        told = f"Paused from {at_words(one.start, zone)} to {at_words(one.end, zone)}"
        capped = ", where its cap ended it" if one.capped else ""
        if one.start >= at:
            steps.append(Step(f"{told}: after the deadline, so it moves nothing."))
            continue
        length = counted(target, calendar, one.start, one.end)
        at = shifted(target, calendar, at, [one])
        what = "" if target.counting == "elapsed" else " of business time"
        moves = f"{words(length)}{what} that would have counted, so it is due {at_words(at, zone)}."
        steps.append(Step(f"{told}{capped}: {moves}", at))
    return replace(deadline, at=at, steps=tuple(steps))


def shifted(target: Target, calendar: Calendar, at: datetime, pauses: Sequence[Span]) -> datetime:
    """Where pauses move an instant of the count: a deadline, or a part of the way to it."""
    for one in pauses:
        if one.start < at:
            at = max(moved(target, calendar, at, counted(target, calendar, one.start, one.end)), one.end)
    return at


def parts(
    target: Target, calendar: Calendar, start: datetime, end: datetime, percents: Sequence[int]
) -> list[datetime]:
    """When so many percent of the counted time from `start` to `end` have passed; empty where none is counted."""
    whole = counted(target, calendar, start, end)
    return [moved(target, calendar, start, whole * percent / 100) for percent in percents] if whole else []


def counted(target: Target, calendar: Calendar, since: datetime, until: datetime) -> float:
    """Seconds of [since, until) that the target counts."""
    if target.counting == "elapsed":
        return max((until - since).total_seconds(), 0.0)
    return between(calendar, since, until)


def moved(target: Target, calendar: Calendar, at: datetime, seconds: float) -> datetime:
    """So many counted seconds after `at`. Raises NeverOpen."""
    return at + timedelta(seconds=seconds) if target.counting == "elapsed" else add(calendar, at, seconds)


def _duration(target: Target, calendar: Calendar, start: datetime) -> Deadline:
    zone = calendar.zone_info
    inside, outside = words(target.in_hours), words(target.off_hours)
    if is_open(calendar, start):
        at = moved(target, calendar, start, target.in_hours)
        line = Step(f"{_name(calendar)} was open: {at_words(start, zone)} + {inside} = {at_words(at, zone)}.", at)
        return Deadline(at, "open_in_hours", {"in_hours": at}, (line,))
    off = moved(target, calendar, start, target.off_hours)
    first = Step(
        f"{_name(calendar)} was closed ({_why(calendar, start)}): off hours, "
        f"{at_words(start, zone)} + {outside} = {at_words(off, zone)}.",
        off,
    )
    opening = next_open(calendar, start)
    if opening is None:
        none = Step("It does not open within 400 days, so there is no other candidate.")
        return Deadline(off, "closed_off_hours", {"off_hours": off}, (first, none))
    opened = moved(target, calendar, opening, target.in_hours)
    second = Step(f"Next opening {at_words(opening, zone)} + {inside} = {at_words(opened, zone)}.", opened)
    reason = "closed_off_hours" if off <= opened else "closed_next_opening"
    return Deadline(min(off, opened), reason, {"off_hours": off, "next_opening": opened}, (first, second, EARLIER))


EARLIER = Step("The earlier of the two counts.")


def _business_days(target: Target, calendar: Calendar, start: datetime) -> Deadline:
    began = local_date(calendar, start)
    day = business_date_after(calendar, began, target.days)
    skipped = [one for one in _dates(began, day) if not is_business_date(calendar, one)]
    steps = [Step(f"Business day {target.days} after {_date(began)} is {_date(day)}{_left_out(calendar, skipped)}.")]
    if target.due_time:
        at = last_instant(wall(day, clock_time(target.due_time)), calendar.zone_info)
        steps.append(Step(f"The policy sets {target.due_time} on that day.", at))
    else:
        at = end_of_business_date(calendar, day)
        steps.append(Step(f"The last window that begins on it ends {at_words(at, calendar.zone_info)}.", at))
    return Deadline(at, f"business_day_{target.days}", {"business_day_end": at}, tuple(steps))


def _batch(target: Target, calendar: Calendar, start: datetime) -> Deadline:
    """The first slot strictly after `start`; a slot on a closed date moves to the next business date. The series is
    made from dates, so the year's end needs no care. It begins a fortnight back: a moved slot may still be ahead."""
    slot = target.slot or MONDAYS
    zone = ZoneInfo(slot.zone) if slot.zone else calendar.zone_info
    day = date_of(start, zone) - timedelta(days=14)
    day += timedelta(days=(slot.weekday - day.isoweekday()) % 7)
    for _ in range(120):
        open_day = is_business_date(calendar, day)
        on = day if open_day else business_date_after(calendar, day, 1)
        at = first_instant(wall(on, clock_time(slot.time)), zone)
        if at > start:
            steps = [Step(f"The weekly batch is on {day:%A}s at {slot.time} ({zone.key}); the next is {_date(day)}.")]
            if not open_day:
                steps.append(Step(f"{_date(day)} is closed{_because(calendar, day)}, so it moves to {_date(on)}.", at))
            return Deadline(at, "batch_slot" if open_day else "batch_slot_moved", {"batch_slot": at}, tuple(steps))
        day += timedelta(days=7)
    raise NeverOpen(f"the calendar {calendar.name} has no open second within 400 days")


def _name(calendar: Calendar) -> str:
    return f"The calendar {calendar.name}{f', version {calendar.version},' if calendar.version else ''}"


def _why(calendar: Calendar, at: datetime) -> str:
    day = local_date(calendar, at)
    reason = why_closed(calendar, day)
    if reason == "closure":
        return f"closure on {_date(day)}"
    if reason:
        return reason
    return "outside its windows" if is_business_date(calendar, day) else f"no window on {day:%A}s"


def _because(calendar: Calendar, day: date) -> str:
    reason = why_closed(calendar, day)
    return f" ({reason})" if reason else ""


def _left_out(calendar: Calendar, days: Sequence[date]) -> str:
    if not days:
        return ""
    told = ", ".join(f"{_date(day)}{_because(calendar, day)}" for day in days[:6])
    more = f" and {len(days) - 6} more" if len(days) > 6 else ""
    return f"; closed are {told}{more}"


def _dates(after: date, before: date) -> list[date]:
    return [after + timedelta(days=number) for number in range(1, (before - after).days)]


def _date(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b %Y}"
