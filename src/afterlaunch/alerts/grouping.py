"""When a group is told, and told again. Pure."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Told:
    """What the last telling of a group named. `at` None: so long ago that nobody knows."""

    firing: frozenset[int]
    resolved: frozenset[int]
    at: datetime | None


@dataclass(frozen=True)
class Decision:
    yes: bool
    reason: str


def needs_telling(
    last: Told | None,
    firing: Set[int],
    resolved: Set[int],
    repeat: timedelta,
    tell_resolved: bool,
    now: datetime,
) -> Decision:
    """The order is that of Prometheus' Alertmanager: its users know it."""
    if last is None:
        return Decision(True, "first") if firing else Decision(False, "never_told_and_nothing_fires")
    if not firing <= last.firing:
        return Decision(True, "more_fires")
    if not firing:
        return Decision(True, "nothing_fires_any_more") if last.firing else Decision(False, "nothing_fires")
    if tell_resolved and not resolved <= last.resolved:
        return Decision(True, "more_resolved")
    if last.at is None or last.at < now - repeat:
        return Decision(True, "repeat")
    return Decision(False, "told_lately")


def next_look(sent_at: datetime | None, gravest: str, wait: int, interval: int, now: datetime) -> datetime:
    """When a group that has something new is looked at: a P1 at once; one that was never told after `wait`; one that
    was, `interval` after the last telling. Waits in seconds."""
    if gravest == "P1":
        return now
    if sent_at is None:
        return now + timedelta(seconds=wait)
    return max(now, sent_at + timedelta(seconds=interval))
