"""The state of a heartbeat. Pure.

1. A ping of success moves the next run on: due by its schedule after this one. 2. Past that instant it is late, past
its grace as well it is down. 3. A run that started holds this up until its longest run time; a start without an end
within it is down. 4. A failure is down at once. 5. New and paused ones are never down. 6. Whoever was due while the
platform itself was away, or right after, gets one grace more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from afterlaunch.probes.schedules import Schedule

MOST_RUNS = 20  # that are open at once; the oldest is forgotten
NO_RUN = ""  # a start without an id of its own


class State(StrEnum):
    NEW = "new"
    UP = "up"
    LATE = "late"
    DOWN = "down"
    PAUSED = "paused"


@dataclass(frozen=True)
class Plan:
    """`longest`: how long a run may take; None: nobody said."""

    schedule: Schedule
    grace: timedelta
    longest: timedelta | None = None


@dataclass(frozen=True)
class Absence:
    """While the platform itself was away: nobody looked, and pings may have been lost."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Beat:
    """What is known of a heartbeat. `due`: when it is to tell of itself next; `runs`: starts without an end, by id.
    `failed`: the reason why it was called down by a ping, until a success."""

    state: State = State.NEW
    due: datetime | None = None
    runs: Mapping[str, datetime] = field(default_factory=dict)
    failed: str = ""


@dataclass(frozen=True)
class Judged:
    """`reason` is a name; `look_again`: when time alone may change the state."""

    state: State
    reason: str
    look_again: datetime | None


def pinged(beat: Beat, plan: Plan, kind: str, run: str, at: datetime) -> tuple[Beat, timedelta | None]:
    """After a ping ("start", "success", "fail", "log"); the second value is how long the run took, if that is known.
    A paused one stays paused."""
    if kind == "start":
        runs = dict(sorted({**beat.runs, run: at}.items(), key=lambda one: one[1])[-MOST_RUNS:])
        return replace(beat, runs=runs), None
    if kind not in ("success", "fail"):
        return beat, None
    began = beat.runs.get(run)
    took = at - began if began is not None and at >= began else None
    # Runs that began before this one and never ended are over too: the job itself tells that it goes on.
    runs = {name: start for name, start in beat.runs.items() if began is not None and name != run and start > began}
    state = beat.state if beat.state is State.PAUSED else State.DOWN if kind == "fail" else State.UP
    failed = "failed" if kind == "fail" else ""
    return replace(beat, state=state, runs=runs, due=plan.schedule.after(at), failed=failed), took


def resumed(plan: Plan, now: datetime) -> Beat:
    """As if it had just told of itself."""
    return Beat(State.UP, plan.schedule.after(now))


def judge(beat: Beat, plan: Plan, now: datetime, absences: Sequence[Absence] = ()) -> Judged:
    """What time makes of it."""
    if beat.state in (State.NEW, State.PAUSED) and not beat.runs:
        return Judged(beat.state, beat.state.value, None)
    if beat.state is State.PAUSED:
        return Judged(State.PAUSED, "paused", None)
    if beat.failed or beat.state is State.DOWN:
        return Judged(State.DOWN, beat.failed or "still_down", None)  # only a success ends it
    overdue = _overdue(beat, plan, absences)
    if overdue is not None and overdue <= now:
        return Judged(State.DOWN, "no_end", None)
    if beat.state is State.NEW:
        return Judged(State.NEW, "started", overdue)
    due = beat.due
    if due is None:
        return Judged(State.UP, "never_due", overdue)
    if overdue is not None and beat.runs:
        # It has begun: its end is waited for, not another beginning.
        return Judged(State.UP if now <= due else State.LATE, "running", overdue if now > due else min(due, overdue))
    limit = _with_one_grace_more(due + plan.grace, plan.grace, absences)
    if now > limit:
        return Judged(State.DOWN, "silent", None)
    if now > due:
        return Judged(State.LATE, "late", limit)
    return Judged(State.UP, "on_time", _earlier(due, overdue))


def _overdue(beat: Beat, plan: Plan, absences: Sequence[Absence]) -> datetime | None:
    """When the oldest run has taken too long."""
    if plan.longest is None or not beat.runs:
        return None
    return _with_one_grace_more(min(beat.runs.values()) + plan.longest, plan.grace, absences)


def _with_one_grace_more(limit: datetime, grace: timedelta, absences: Sequence[Absence]) -> datetime:
    for gone in absences:
        if gone.start <= limit <= gone.end + grace:
            limit = max(limit, gone.end) + grace
    return limit


def _earlier(one: datetime, other: datetime | None) -> datetime:
    return one if other is None else min(one, other)
