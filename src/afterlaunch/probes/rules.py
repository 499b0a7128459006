"""The states of a probe, from one try to the page. Pure.

1. A location tries at every interval; a failure is tried again `retries` times, quickly, before the round counts as
failed. 2. A location whose round failed is down until a try succeeds. 3. The probe is down when `quorum` locations are,
or all that were heard of, if these are fewer. 4. What nobody could try for a while is no data: never up, never down.
5. Somebody is told after `notify_after` failed rounds in a row, unless something it depends on is down, or failing just
now; and again after so many minutes while it is down, where that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from afterlaunch.probes.outcomes import Result

LEAST_INTERVAL, MOST_INTERVAL, INTERVAL = 10, 86_400, 60
LEAST_STALE = timedelta(minutes=5)
SHOWN = 90  # rounds of a location that its bars show


class State(StrEnum):
    NEW = "new"
    UP = "up"
    FAILING = "failing"
    DOWN = "down"
    NO_DATA = "no_data"
    PAUSED = "paused"


@dataclass(frozen=True)
class Plan:
    interval: timedelta
    retries: int
    retry: timedelta
    quorum: int
    notify_after: int
    again: timedelta

    @property
    def stale(self) -> timedelta:
        """So long nothing is known before it is no data."""
        return max(LEAST_STALE, 3 * self.interval)


@dataclass(frozen=True)
class Seen:
    """What one location knows. `tries`: failed ones of the round that is under way; `failures`: failed rounds in a
    row; `heard`: the last try that told something, or when watching began."""

    state: State
    heard: datetime
    tries: int = 0
    failures: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Round:
    """`counts`: "ok", "failed", "not_run" for a round that ended; "retried" while it is tried again."""

    seen: Seen
    counts: str
    next_due: datetime


def after(seen: Seen, result: Result, reason: str, plan: Plan, at: datetime, regular: datetime) -> Round:
    """A try has ended. `regular` is when the next round is due."""
    if result is Result.NOT_RUN:
        return Round(replace(seen, reason=reason), "not_run", regular)
    if result is Result.OK:
        return Round(Seen(State.UP, at, reason=reason), "ok", regular)
    tries = seen.tries + 1
    if seen.state is not State.DOWN and tries <= plan.retries:
        again = min(at + plan.retry, max(regular, at))
        return Round(Seen(State.FAILING, at, tries, 0, reason), "retried", again)
    return Round(Seen(State.DOWN, at, 0, seen.failures + 1, reason), "failed", regular)


@dataclass(frozen=True)
class Found:
    """`reason` is a name; `down` of `heard` locations; `failures`: rounds in a row that failed at the quorum."""

    state: State
    reason: str
    down: int = 0
    heard: int = 0
    failures: int = 0
    look_again: datetime | None = None


def state_of(places: Mapping[str, Seen], plan: Plan, now: datetime, back_since: datetime | None = None) -> Found:
    """`back_since`: the end of the last absence of the platform; nobody is stale for what was missed in it."""

    def limit(one: Seen) -> datetime:
        return max(one.heard, back_since or one.heard) + plan.stale

    heard = {name: one for name, one in places.items() if now <= limit(one)}
    known = [one for one in heard.values() if one.state in (State.UP, State.FAILING, State.DOWN)]
    if not heard:
        reasons = {one.reason for one in places.values()}
        return Found(State.NO_DATA, "cap" if reasons == {"cap"} else "not_run")
    ends = max(limit(one) for one in heard.values())
    if not known:
        return Found(State.NEW, "not_tried_yet", look_again=ends)
    down = [one for one in known if one.state is State.DOWN]
    needed = min(max(1, plan.quorum), len(known))
    found = Found(State.UP, "answers", len(down), len(known), 0, ends)
    if len(down) >= needed:
        failures = sorted((one.failures for one in down), reverse=True)[needed - 1]
        return replace(found, state=State.DOWN, reason="quorum" if len(places) > 1 else "failed", failures=failures)
    if down:
        return replace(found, state=State.FAILING, reason="below_quorum")
    if any(one.state is State.FAILING for one in known):
        return replace(found, state=State.FAILING, reason="tried_again")
    return found


def notice(found: Found, plan: Plan, told_at: datetime | None, parents: Sequence[State], now: datetime) -> str:
    """The named reason for which somebody is told now, or not: "tell", "again"; "not_down", "too_few_failures",
    "parent_down", "parent_unsure", "told"."""
    if found.state is not State.DOWN:
        return "not_down"
    if found.failures < plan.notify_after:
        return "too_few_failures"
    if told_at is None:
        if State.DOWN in parents:
            return "parent_down"
        return "parent_unsure" if State.FAILING in parents else "tell"
    return "again" if plan.again and now - told_at >= plan.again else "told"


def regular(now: datetime, interval: int, number: int) -> datetime:
    """The next of the probe's own instants: whole intervals apart, spread by its number."""
    offset = number * 7_919 % (interval * 1_000) / 1_000
    passed = (now.timestamp() - offset) % interval
    return now + timedelta(seconds=interval - passed)


MARKS = {"ok": "u", "failed": "d", "not_run": "n"}
TONES = {"u": "ok", "d": "breach", "n": "not_assessed", "r": "warning"}


def marked(recent: str, counts: str, tries: int) -> str:
    """The last rounds of a location, one letter each; a round that was only well when tried again is an r."""
    if counts not in MARKS:
        return recent
    return (recent + ("r" if counts == "ok" and tries else MARKS[counts]))[-SHOWN:]


def combined(places: Sequence[str], quorum: int) -> str:
    """The bars of several locations as one: a round is down where a quorum was."""
    if len(places) == 1:
        return places[0]
    longest = max((len(one) for one in places), default=0)
    out = []
    for back in range(longest, 0, -1):
        marks = [one[-back] for one in places if len(one) >= back]
        told = [mark for mark in marks if mark != "n"]
        down = told.count("d")
        needed = min(max(1, quorum), len(told))
        out.append("n" if not told else "d" if down >= needed else "r" if down or "r" in told else "u")
    return "".join(out)


def circular(number: int, parents: Mapping[int, Sequence[int]]) -> bool:
    """Whether a probe would depend on itself. `parents`: by number, as they would be."""
    seen: set[int] = set()
    ahead = list(parents.get(number, ()))
    while ahead:
        one = ahead.pop()
        if one == number:
            return True
        if one not in seen:
            seen.add(one)
            ahead += parents.get(one, ())
    return False
