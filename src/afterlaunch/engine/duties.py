"""A duty has a name, a period and one function of (now). Its lock and its failure are its own."""

from __future__ import annotations

import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial

from django.db import close_old_connections
from django.db.models import F, Q

from afterlaunch.engine.models import Cycle, DutyState
from afterlaunch.engine.waiting import Question, Rows
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Unavailable

log = logging.getLogger(__name__)
MORE_AFTER = 0.1  # real seconds between two cycles when work was left: other processes have their turn at the database
LINE = 500  # characters of the log
LOCK_SECONDS = 120.0  # real seconds; a duty that takes longer may be taken over


@dataclass(frozen=True)
class Duty:
    """`period` is in seconds of the product's clock; `run` must be safe to repeat after a crash. A duty that `follows`
    another one (listed before it) also runs in every cycle in which that one ran, without waiting for its period. One
    that is `apart` waits for strangers' answers: it has a thread of its own and holds up no cycle. One that names its
    `rows` has nothing to do before one of them is due, and is passed over until then. `run` returns True when its time
    ran out before its work: then it is due again at once, in the next cycle."""

    name: str
    period: float
    run: Callable[[datetime], object]
    follows: str = ""
    apart: bool = False
    rows: tuple[Rows, ...] = ()


@lru_cache(maxsize=64)
def question_of(duties: tuple[Duty, ...]) -> Question:
    """When the first row of each falls due."""
    return Question([(duty.name, rows) for duty in duties for rows in duty.rows])


def claim(duty: Duty, holder: str, now: datetime, at_once: bool = False) -> bool:
    """Take the duty's lock if it is free and due, or `at_once`: a conditional update whose count decides."""
    rows = DutyState.objects.filter(_free(now), name=duty.name)
    rows = rows if at_once else rows.filter(_due(now))
    taking = {"holder": holder, "held_until": now + clock.lease(LOCK_SECONDS), "started_at": now}
    if rows.update(**taking):
        return True
    if DutyState.objects.filter(name=duty.name).exists():
        return False
    DutyState.objects.bulk_create([DutyState(name=duty.name)], ignore_conflicts=True)
    return rows.update(**taking) == 1


def _free(now: datetime) -> Q:
    return Q(held_until__isnull=True) | Q(held_until__lte=now)


def _due(now: datetime) -> Q:
    return Q(next_due__isnull=True) | Q(next_due__lte=now)


def perform(duty: Duty, holder: str, now: datetime, unfinished: list[str] | None = None) -> bool:
    """Run one claimed duty; a failure is recorded on its row, logged, and stops nobody else. Whose time ran out is
    added to `unfinished`."""
    mine = DutyState.objects.filter(name=duty.name, holder=holder)
    following = now + timedelta(seconds=duty.period)
    began = time.monotonic()
    try:
        if duty.run(now) is True:
            following = now
            (unfinished if unfinished is not None else []).append(duty.name)
    except Exception as problem:  # noqa: BLE001 - it is told, recorded, and stops nobody else
        _tell(duty, problem)
        mine.update(
            holder="",
            held_until=None,
            next_due=following,
            finished_at=clock.now(),
            failures=F("failures") + 1,
            failed_runs=F("failed_runs") + 1,
            runs=F("runs") + 1,
            seconds=F("seconds") + (time.monotonic() - began),
            error="".join(traceback.format_exception_only(problem)).strip()[:2000],
        )
        return False
    done = clock.now()
    mine.update(
        holder="",
        held_until=None,
        next_due=following,
        finished_at=done,
        succeeded_at=done,
        failures=0,
        error="",
        runs=F("runs") + 1,
        seconds=F("seconds") + (time.monotonic() - began),
    )
    return True


def _tell(duty: Duty, problem: Exception) -> None:
    """Where a fault of ours lies is worth a traceback; a store or a neighbour that is down is not: one line a run."""
    if not isinstance(problem, Unavailable):
        log.exception("duty %s failed", duty.name)
        return
    why = f" ({type(problem.__cause__).__name__}: {problem.__cause__})" if problem.__cause__ else ""
    log.error("duty %s failed: %s", duty.name, " ".join(f"{problem}{why}".split())[:LINE])


def cycle(duties: Sequence[Duty], holder: str, unfinished: list[str] | None = None) -> int:
    """Run all that is due and not apart, once, in order; then prove it. Returns how many ran. What waits for rows is
    asked of all duties together, and again when one of them ran, which may have made rows for those behind it."""
    near = tuple(one for one in duties if not one.apart)
    states = {row.name: row for row in DutyState.objects.filter(name__in=[one.name for one in near])}
    first: dict[str, datetime] | None = None
    ran: set[str] = set()
    idle: list[Duty] = []
    for duty in near:
        now, at_once = clock.now(), duty.follows in ran
        if not at_once and not _may_run(states.get(duty.name), now):
            continue
        if duty.rows:
            first = question_of(near).ask() if first is None else first
            if not _waits_no_more(duty, first, now):
                idle.append(duty)
                continue
        if claim(duty, holder, now, at_once):
            perform(duty, holder, now, unfinished)
            ran.add(duty.name)
            first = None
    _pass_over(idle, clock.now())
    _prove(holder, clock.now())
    return len(ran)


def _may_run(state: DutyState | None, now: datetime) -> bool:
    """As far as was known at the beginning of the cycle; the claim decides."""
    if state is None:
        return True
    return (state.held_until is None or state.held_until <= now) and (state.next_due is None or state.next_due <= now)


def _waits_no_more(duty: Duty, first: Mapping[str, datetime], now: datetime) -> bool:
    return duty.name in first and first[duty.name] <= now


def _pass_over(idle: Sequence[Duty], now: datetime) -> None:
    """They looked, and had nothing to do. Where another process holds one, that is its word."""
    periods: dict[float, list[str]] = {}
    for duty in idle:
        periods.setdefault(duty.period, []).append(duty.name)
    looked = {"started_at": now, "finished_at": now, "succeeded_at": now, "failures": 0, "error": ""}
    for period, names in periods.items():
        rows = DutyState.objects.filter(_free(now), name__in=names)
        known = rows.update(**looked, runs=F("runs") + 1, next_due=now + timedelta(seconds=period))
        if known < len(names):
            DutyState.objects.bulk_create([DutyState(name=name) for name in names], ignore_conflicts=True)


def _prove(holder: str, now: datetime) -> None:
    if not Cycle.objects.filter(engine=holder).update(number=F("number") + 1, finished_at=now):
        Cycle.objects.create(engine=holder, number=1, finished_at=now)


def perform_if_due(duty: Duty, holder: str, now: datetime, first: Mapping[str, datetime] | None = None) -> bool:
    """One duty by itself: whether it ran. `first`: when rows fall due, where that was asked just now."""
    if duty.rows and not _waits_no_more(duty, question_of((duty,)).ask() if first is None else first, now):
        _pass_over([duty], now)
        return False
    return claim(duty, holder, now) and perform(duty, holder, now)


def free_locks_of_the_dead(holder: str) -> int:
    """A process that was killed on this host holds its duties no longer; without this they wait for their lock's end.

    `holder` is ours, "host:pid". Returns how many locks were freed.
    """
    host = holder.rpartition(":")[0]
    freed = 0
    for state in DutyState.objects.filter(holder__startswith=f"{host}:"):
        pid = state.holder.rpartition(":")[2]
        if pid.isdigit() and not _lives(int(pid)):
            freed += DutyState.objects.filter(name=state.name, holder=state.holder).update(holder="", held_until=None)
    return freed


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Engine:
    """Cycles for ever in a thread of its own, and each duty apart in another, until stopped."""

    def __init__(self, duties: Sequence[Duty], holder: str, period: float) -> None:
        self._duties, self._holder, self._period = duties, holder, period
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._loop, args=(self._cycle, period), name="engine", daemon=True)]
        for duty in duties:
            if duty.apart:
                run = partial(self._alone, duty)
                again = threading.Thread(target=self._loop, args=(run, duty.period), name=duty.name, daemon=True)
                self._threads.append(again)

    def start(self) -> None:
        if freed := free_locks_of_the_dead(self._holder):
            log.warning("%d duties were held by a process of this host that is no more", freed)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=30)

    def _cycle(self) -> bool:
        """True: the time of a duty ran out, and there is more to do at once."""
        unfinished: list[str] = []
        cycle(self._duties, self._holder, unfinished)
        return bool(unfinished)

    def _alone(self, duty: Duty) -> None:
        perform_if_due(duty, self._holder, clock.now())

    def _loop(self, run: Callable[[], object], period: float) -> None:
        while not self._stop.is_set():
            began, more = time.monotonic(), False
            try:
                close_old_connections()
                more = run() is True
            except Exception:
                log.exception("the engine's cycle failed; trying again")
            rest = max(clock.real_seconds(period), 0.2) - (time.monotonic() - began)
            self._stop.wait(MORE_AFTER if more else max(rest, 0.02))


def newest_cycle() -> Cycle | None:
    return Cycle.objects.order_by("-finished_at").first()
