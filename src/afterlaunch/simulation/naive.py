"""The same questions answered again, slowly: minute by minute, from the plan alone. Shares no code with the product.

Only one thing is asked of a time zone: what the wall clock shows at an instant of UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from afterlaunch.simulation.plan import CalendarPlan, ClientPlan, OverridePlan, RotationPlan

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
DURATIONS = {  # (tier, severity): minutes while open, minutes while closed
    ("standard", "P1"): (30, 120),
    ("enterprise", "P1"): (15, 30),
    ("enterprise", "P2"): (240, 240),
}
BUSINESS_DAYS = {("standard", "P2"): 1, ("enterprise", "P3"): 2}
SLOT = (1, 10 * 60)  # Mondays at ten


def minutes_of(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


class Minutes:
    """Every minute of the days from `start` to `end`, and whether the calendar is open in it."""

    def __init__(self, plan: CalendarPlan, start: datetime, end: datetime) -> None:
        self._zone = ZoneInfo(plan.zone)
        self._first = start.replace(hour=0, minute=0, second=0, microsecond=0) - 20 * DAY
        count = (end + 20 * DAY - self._first) // MINUTE
        years = range(self._first.year, end.year + 2)
        known = holidays.country_holidays(plan.country, subdiv=plan.subdivision, years=years) if plan.country else ()
        self._off = set(known)
        self._plan = plan
        self._half = {day: (minutes_of(opens), minutes_of(closes)) for day, opens, closes in plan.half_days}
        self._days: list[date] = []
        self._walls: list[int] = []
        self._open = bytearray(count)
        for number in range(count):
            wall = (self._first + number * MINUTE).astimezone(self._zone)
            day, minute = wall.date(), wall.hour * 60 + wall.minute
            self._days.append(day)
            self._walls.append(minute)
            self._open[number] = self._is_open(day, minute)
        self._business = {day for day, open_ in zip(self._days, self._open, strict=True) if open_}

    def _is_open(self, day: date, minute: int) -> bool:
        if day in self._plan.closures:
            return False
        if day in self._half:
            opens, closes = self._half[day]
            return opens <= minute < closes
        if day in self._off:
            return False
        return any(
            day.isoweekday() in one.days and minutes_of(one.start) <= minute < minutes_of(one.end)
            for one in self._plan.hours
        )

    def deadline(self, tier: str, severity: str, start: datetime) -> datetime:
        """When the first response is due."""
        if (tier, severity) in DURATIONS:
            return self._duration(*DURATIONS[tier, severity], start)
        if (tier, severity) in BUSINESS_DAYS:
            return self._business_day(BUSINESS_DAYS[tier, severity], start)
        return self._slot(start)

    def _at(self, instant: datetime) -> int:
        return (instant - self._first) // MINUTE

    def _instant(self, number: int) -> datetime:
        return self._first + number * MINUTE

    def _duration(self, open_: int, closed: int, start: datetime) -> datetime:
        number = self._at(start)
        if self._open[number]:
            return start + open_ * MINUTE
        while not self._open[number]:
            number += 1
        return min(start + closed * MINUTE, self._instant(number) + open_ * MINUTE)

    def _business_day(self, count: int, start: datetime) -> datetime:
        number = self._at(start)
        today = self._days[number]
        seen: list[date] = []
        while True:
            day = self._days[number]
            if day > today and self._open[number] and day not in seen:
                seen.append(day)
                if len(seen) == count:
                    break
            number += 1
        last = number
        while self._days[number] == seen[-1]:
            last = number if self._open[number] else last
            number += 1
        return self._instant(last + 1)

    def _slot(self, start: datetime) -> datetime:
        number = self._at(start - 14 * DAY)
        moving = False
        while True:
            day, minute = self._days[number], self._walls[number]
            if minute == SLOT[1] and (moving or day.isoweekday() == SLOT[0]):
                moving = day not in self._business
                if not moving and self._instant(number) > start:
                    return self._instant(number)
            number += 1


def turn(rotation: RotationPlan, at: datetime) -> str:
    """Whose week it is. A week begins when the wall clock shows its hour for the first time, or has jumped over it; an
    hour that comes again takes nothing back, so the latest week of the last three hours counts."""
    return rotation.members[_week(rotation, at.replace(second=0, microsecond=0)) % len(rotation.members)]


@lru_cache(maxsize=100_000)
def _week(rotation: RotationPlan, at: datetime) -> int:
    zone = ZoneInfo(rotation.zone)
    return max(
        ((at - back * MINUTE).astimezone(zone).replace(tzinfo=None) - rotation.anchor) // (7 * DAY)
        for back in range(180)
    )


def on_call(client: ClientPlan, overrides: Iterable[OverridePlan], at: datetime) -> frozenset[str]:
    """Names. `overrides` of this client in the order in which they were made; those made by then."""
    there = {turn(client.rotation, at)} if client.rotation.members else set()
    for one in overrides:
        if not one.start <= at < one.end:
            continue
        if one.kind == "cover":
            there = {one.person}
        elif one.kind == "add":
            there = there | {one.person}
        elif one.kind == "remove":
            there = there - {one.absent}
        elif one.absent in there:
            there = (there - {one.absent}) | {one.person}
    return frozenset(there)


@dataclass(frozen=True)
class Paged:
    """Whom the policy pages, and the step, round and seconds that follow; `wait` None: it has come to its end."""

    who: frozenset[str]
    step: int = 0
    round: int = 0
    wait: int | None = None


def paged(client: ClientPlan, owner: frozenset[str], step: int, number: int, on: frozenset[str]) -> Paged:
    """From this step of the round `number` on, while `on` are on call: a step for nobody is passed by at once; after
    the last round, or a round for nobody, the owner is paged and that is all."""
    anybody = step > 0
    while number <= client.repeat:
        one = client.steps[step]
        who = {"schedule": on, "person": frozenset({one.person}), "owner": owner}[one.target]
        last = step + 1 == len(client.steps)
        if who:
            return Paged(who, 0 if last else step + 1, number + last, one.delay)
        if last and not anybody:
            break
        step, number, anybody = (0, number + 1, False) if last else (step + 1, number, anybody)
    return Paged(owner)
