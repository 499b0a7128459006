"""`afterlaunch sla due`: a question as JSON in, due times with their steps out. Pure; the server counts with the same.

    {"calendar": {…}, "tier": "standard", "severity": "P1", "opened": "2026-06-09T07:55:00+02:00",
     "pauses": [{"from": "…", "to": "…"}]}

`policy` in place of `tier` is a matrix of one's own. Times without a zone are on the calendar's wall clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.calendars.business import Calendar
from afterlaunch.calendars.documents import frozen, read_calendar, require_open
from afterlaunch.ground.errors import Invalid
from afterlaunch.sla.due import Deadline, due, paused
from afterlaunch.sla.pauses import REASONS, standing
from afterlaunch.sla.spans import read_instant
from afterlaunch.sla.targets import CLOCKS, PAUSABLE, SEVERITIES, Policy, Target, read_policy, shipped

MEMBERS = ("calendar", "calendars", "tier", "policy", "severity", "opened", "pauses")
Times = list[tuple[datetime, datetime | None]]


def answer(asked: object) -> dict[str, Any]:
    """Due times of every clock that the policy promises at that severity. Raises Invalid, which says what is wrong."""
    if not isinstance(asked, Mapping):
        raise Invalid("The question is a JSON object.", f"It has {', '.join(MEMBERS)}.")
    unknown = sorted(str(name) for name in asked if name not in MEMBERS)
    if unknown:
        raise Invalid(f"The question has no {', '.join(unknown)}.", f"It may have: {', '.join(MEMBERS)}")
    missing = [name for name in ("calendar", "severity", "opened") if name not in asked]
    if missing:
        raise Invalid(f"The question lacks {', '.join(missing)}.", "See docs/sla.md for its form.")
    policy, severity = _policy(asked), asked["severity"]
    if severity not in SEVERITIES:
        raise Invalid(f"{severity!r} is no severity.", "Use P1, P2 or P3.")
    calendars = _calendars(asked)
    usual = calendars["business-hours"]
    opened = read_instant(asked["opened"], usual.zone_info)
    for calendar in calendars.values():
        _check_open(calendar, opened)
    pauses = _pauses(asked.get("pauses"), usual.zone_info)
    found = {}
    for clock in CLOCKS:
        target = policy.target(clock, severity)
        if target is not None:
            if target.calendar not in calendars:
                raise Invalid(f"The policy leans on a calendar {target.calendar!r}.", "Give it in calendars.")
            found[clock] = _one(clock, target, calendars[target.calendar], opened, policy, pauses)
    return {
        "severity": severity,
        "tier": asked.get("tier"),
        "policy": policy.label,
        "opened": _local(opened, usual.zone_info),
        "calendar": frozen(usual),
        "due": found,
    }


def _one(
    clock: str, target: Target, calendar: Calendar, opened: datetime, policy: Policy, pauses: Times
) -> dict[str, Any]:
    deadline = due(target, calendar, opened)
    steps = []
    if clock in PAUSABLE and pauses:
        latest = max(end for _, end in pauses if end is not None)
        spans = standing(pauses, latest, policy.pause_one, policy.pause_total)
        deadline = paused(deadline, target, calendar, [one for one in spans if one.end > opened])
    elif pauses:
        steps.append({"text": "A first response can't be paused: pauses move nothing.", "at": None})
    return _told(clock, target, deadline, calendar.zone_info, steps)


def _told(clock: str, target: Target, found: Deadline, zone: ZoneInfo, more: list[dict[str, Any]]) -> dict[str, Any]:
    steps = [{"text": step.text, "at": _local(step.at, zone) if step.at else None} for step in found.steps]
    return {
        "due": _local(found.at, zone),
        "reason": found.reason,
        "candidates": {name: _local(at, zone) for name, at in found.candidates.items()},
        "target": target.document(),
        "pausable": clock in PAUSABLE,
        "steps": [*steps, *more],
    }


def _local(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat()


def _policy(asked: Mapping[str, Any]) -> Policy:
    if ("tier" in asked) == ("policy" in asked):
        raise Invalid("The question needs a tier, or a policy of its own.", "For example: tier standard")
    return read_policy(asked["policy"], "given") if "policy" in asked else shipped(asked["tier"])


def _calendars(asked: Mapping[str, Any]) -> dict[str, Calendar]:
    others = asked.get("calendars") or {}
    if not isinstance(others, Mapping):
        raise Invalid("calendars is an object of calendars by name.")
    found = {str(name): read_calendar(one, str(name)) for name, one in others.items()}
    return {**found, "business-hours": read_calendar(asked["calendar"])}


def _check_open(calendar: Calendar, opened: datetime) -> None:
    try:
        require_open(calendar, opened)
    except Invalid as problem:
        raise Invalid(f"{calendar.name}: {problem.message}", problem.hint) from None


def _pauses(given: object, zone: ZoneInfo) -> Times:
    if given is None:
        return []
    if not isinstance(given, list):
        raise Invalid("pauses is a list.", 'For example: [{"from": "2026-06-09T10:00", "to": "2026-06-09T12:00"}]')
    found: Times = []
    for one in given:
        if not isinstance(one, Mapping) or not {"from", "to"} <= set(one) <= {"from", "to", "reason"}:
            raise Invalid(f"{one!r} is no pause.", "Write from and to, and its reason.")
        if "reason" in one and one["reason"] not in REASONS:
            raise Invalid(f"{one['reason']!r} is no reason for a pause.", f"Use one of {', '.join(REASONS)}.")
        start, end = read_instant(one["from"], zone), read_instant(one["to"], zone)
        if end <= start:
            raise Invalid(f"The pause from {one['from']} ends before it began.")
        found.append((start, end))
    return found
