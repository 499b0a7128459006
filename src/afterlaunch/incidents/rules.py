"""The response promise: which target a severity and tier have, and when it falls due. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from afterlaunch.calendars.business import (
    Calendar,
    NeverOpen,
    add,
    business_date_after,
    end_of_business_date,
    is_business_date,
    is_open,
    local_date,
    next_open,
)
from afterlaunch.calendars.wall import first_instant

POLICY = "shipped-1"
STABILITY = timedelta(minutes=30)
RANK = {"P1": 3, "P2": 2, "P3": 1}


@dataclass(frozen=True)
class Target:
    """One cell of the matrix. Durations in seconds. `counting` is stated, never implied; `slot` is the weekly batch
    as (ISO weekday, "HH:MM") on the calendar's wall clock."""

    kind: Literal["duration", "business_days", "batch_slot"]
    counting: Literal["elapsed", "business"]
    in_hours: int = 0
    off_hours: int = 0
    days: int = 0
    slot: tuple[int, str] = (1, "10:00")

    def frozen(self) -> dict[str, Any]:
        return asdict(self)


MINUTE, HOUR = 60, 3600
MATRIX: dict[tuple[str, str], Target] = {
    ("standard", "P1"): Target("duration", "elapsed", 30 * MINUTE, 2 * HOUR),
    ("standard", "P2"): Target("business_days", "business", days=1),
    ("standard", "P3"): Target("batch_slot", "business"),
    ("enterprise", "P1"): Target("duration", "elapsed", 15 * MINUTE, 30 * MINUTE),
    ("enterprise", "P2"): Target("duration", "elapsed", 4 * HOUR, 4 * HOUR),
    ("enterprise", "P3"): Target("business_days", "business", days=2),
}


@dataclass(frozen=True)
class Deadline:
    """`candidates` are the instants that were compared; `reason` names the one chosen."""

    at: datetime
    reason: str
    candidates: dict[str, datetime] = field(default_factory=dict)


def due(target: Target, calendar: Calendar, start: datetime) -> Deadline:
    """When a clock that started at `start` falls due. Raises NeverOpen."""
    if target.kind == "duration":
        return _duration(target, calendar, start)
    if target.kind == "business_days":
        return _business_days(target, calendar, start)
    return _batch(target, calendar, start)


def _after(target: Target, calendar: Calendar, start: datetime, seconds: int) -> datetime:
    if target.counting == "elapsed":
        return start + timedelta(seconds=seconds)
    return add(calendar, start, seconds)


def _duration(target: Target, calendar: Calendar, start: datetime) -> Deadline:
    """Open: start + in_hours. Closed: the earlier of start + off_hours and next opening + in_hours, or else an
    incident five minutes before opening would be promised later than one five minutes after."""
    if is_open(calendar, start):
        at = _after(target, calendar, start, target.in_hours)
        return Deadline(at, "open_in_hours", {"in_hours": at})
    off = _after(target, calendar, start, target.off_hours)
    opening = next_open(calendar, start)
    if opening is None:
        if target.counting == "business":
            raise NeverOpen("the calendar never opens")
        return Deadline(off, "closed_off_hours", {"off_hours": off})
    opened = _after(target, calendar, opening, target.in_hours)
    reason = "closed_off_hours" if off <= opened else "closed_next_opening"
    return Deadline(min(off, opened), reason, {"off_hours": off, "next_opening": opened})


def _business_days(target: Target, calendar: Calendar, start: datetime) -> Deadline:
    day = business_date_after(calendar, local_date(calendar, start), target.days)
    at = end_of_business_date(calendar, day)
    return Deadline(at, f"business_day_{target.days}", {"business_day_end": at})


def _batch(target: Target, calendar: Calendar, start: datetime) -> Deadline:
    """The first slot strictly after `start`; a slot on a closed date moves to the next business date. The series is
    made from dates, so the year's end needs no care. It begins a fortnight back: a moved slot may still be ahead."""
    weekday, text = target.slot
    day = local_date(calendar, start) - timedelta(days=14)
    day += timedelta(days=(weekday - day.isoweekday()) % 7)
    for _ in range(60):
        moved = day if is_business_date(calendar, day) else business_date_after(calendar, day, 1)
        at = _slot_instant(moved, text, calendar.zone)
        if at > start:
            return Deadline(at, "batch_slot" if moved == day else "batch_slot_moved", {"batch_slot": at})
        day += timedelta(days=7)
    raise NeverOpen("no batch slot within a year")


def _slot_instant(day: date, text: str, zone: str) -> datetime:
    return first_instant(datetime.combine(day, time.fromisoformat(text)), ZoneInfo(zone))


Verdict = Literal["running", "met", "breached"]


@dataclass(frozen=True)
class ClockState:
    verdict: Verdict
    breached_at: datetime | None
    reason: str


def judge_clock(deadline: datetime, acknowledged_at: datetime | None, now: datetime) -> ClockState:
    """An acknowledgement at the deadline is in time. A breach bears the deadline's instant, however late it is seen."""
    if acknowledged_at is not None and acknowledged_at <= deadline:
        return ClockState("met", None, "acknowledged_in_time")
    if acknowledged_at is not None:
        return ClockState("breached", deadline, "acknowledged_late")
    if now > deadline:
        return ClockState("breached", deadline, "deadline_passed")
    return ClockState("running", None, "waiting")


def higher(a: str, b: str) -> str:
    """The graver of two severities."""
    return a if RANK[a] >= RANK[b] else b
