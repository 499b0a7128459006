"""How a person wants to be paged: which methods, after how long, and when not. Pure.

A P1 takes the urgent list and knows no quiet hours. Everything else takes the other list, waits for the end of quiet
hours, and may be collected for some minutes into one message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from afterlaunch.calendars.windows import Window, within
from afterlaunch.ground.errors import Invalid

URGENT, NORMAL = "urgent", "normal"
MOST_STEPS, MOST_MINUTES, MOST_COLLECTED = 6, 120, 60
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Step:
    """A contact method, tried `delay` seconds after the page was decided unless somebody acknowledged before."""

    contact: int
    delay: int


@dataclass(frozen=True)
class Rules:
    """`collect` in seconds."""

    urgent: tuple[Step, ...] = ()
    normal: tuple[Step, ...] = ()
    quiet: tuple[Window, ...] = ()
    collect: int = 0
    zone: str = "UTC"


@dataclass(frozen=True)
class Planned:
    """One message to come: when it is due, and why it waits, in words."""

    contact: int
    due: datetime
    held: str = ""


def urgency_of(purpose: str, severity: str) -> str:
    return URGENT if purpose == "page" and severity == "P1" else NORMAL


def steps_of(rules: Rules, urgency: str, known: Sequence[int]) -> tuple[Step, ...]:
    """The person's own list, without methods that are gone; else the first method at once."""
    chosen = rules.urgent if urgency == URGENT else rules.normal
    kept = tuple(sorted((one for one in chosen if one.contact in known), key=lambda one: one.delay))
    if kept:
        return (Step(kept[0].contact, 0 if urgency == URGENT else kept[0].delay), *kept[1:])
    return (Step(known[0], 0),) if known else ()


def quiet_until(rules: Rules, at: datetime) -> datetime | None:
    """The end of the quiet hours around `at`."""
    if not rules.quiet:
        return None
    found = within(rules.quiet, ZoneInfo(rules.zone), at, at + timedelta(microseconds=1))
    return found[0][1] if found else None


def planned(rules: Rules, purpose: str, severity: str, known: Sequence[int], now: datetime) -> list[Planned]:
    """What a page or notice decided `now` becomes. A notice goes to the first method only."""
    urgency = urgency_of(purpose, severity)
    steps = steps_of(rules, urgency, known)
    steps = steps if purpose == "page" else steps[:1]
    return [_planned(rules, step, urgency, now) for step in steps]


def _planned(rules: Rules, step: Step, urgency: str, now: datetime) -> Planned:
    due = now + timedelta(seconds=step.delay)
    if urgency == URGENT:
        return Planned(step.contact, due)
    due += timedelta(seconds=rules.collect)
    end = quiet_until(rules, due)
    if end is not None:
        return Planned(step.contact, end, "quiet hours")
    if rules.collect:
        return Planned(step.contact, due, f"collected for {rules.collect // 60} min")
    return Planned(step.contact, due)


def checked(rules: Rules, known: Sequence[int]) -> Rules:
    """The rules, if they can be kept. Raises Invalid."""
    for steps in (rules.urgent, rules.normal):
        if len(steps) > MOST_STEPS:
            raise Invalid(f"At most {MOST_STEPS} steps.", "Leave some out.")
        for one in steps:
            if one.contact not in known:
                raise Invalid("A step names a contact method that is not yours.", "Choose one of yours.")
            if not 0 <= one.delay <= MOST_MINUTES * 60:
                raise Invalid(f"A delay is 0 to {MOST_MINUTES} minutes.")
    if not 0 <= rules.collect <= MOST_COLLECTED * 60:
        raise Invalid(f"Pages are collected for 0 to {MOST_COLLECTED} minutes.")
    _leave_some_hours(rules)
    return rules


def _leave_some_hours(rules: Rules) -> None:
    start = datetime.fromisoformat("2026-01-05T00:00:00+00:00")  # any week
    found = within(rules.quiet, ZoneInfo(rules.zone), start, start + WEEK)
    quiet = sum((min(end, start + WEEK) - max(begin, start) for begin, end in found), timedelta())
    if quiet > WEEK - timedelta(hours=8):
        raise Invalid("Quiet hours must leave at least eight hours of the week.", "Take a window out.")
