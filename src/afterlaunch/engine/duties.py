"""A duty has a name, a period and one function of (now). Its lock and its failure are its own."""

from __future__ import annotations

import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import close_old_connections, transaction
from django.db.models import F, Q

from afterlaunch.engine.models import Cycle, DutyState
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
LOCK_SECONDS = 120.0  # real seconds; a duty that takes longer may be taken over


@dataclass(frozen=True)
class Duty:
    """`period` is in seconds of the product's clock; `run` must be safe to repeat after a crash. A duty that `follows`
    another one (listed before it) also runs in every cycle in which that one ran, without waiting for its period. One
    that is `apart` waits for strangers' answers: it has a thread of its own and holds up no cycle."""

    name: str
    period: float
    run: Callable[[datetime], None]
    follows: str = ""
    apart: bool = False


def claim(duty: Duty, holder: str, now: datetime, at_once: bool = False) -> bool:
    """Take the duty's lock if it is free and due, or `at_once`: a conditional update whose count decides."""
    DutyState.objects.get_or_create(name=duty.name)
    free = Q(held_until__isnull=True) | Q(held_until__lte=now)
    due = Q() if at_once else Q(next_due__isnull=True) | Q(next_due__lte=now)
    taken = DutyState.objects.filter(free, due, name=duty.name).update(
        holder=holder, held_until=now + clock.lease(LOCK_SECONDS), started_at=now
    )
    return taken == 1


def perform(duty: Duty, holder: str, now: datetime) -> bool:
    """Run one claimed duty; a failure is recorded on its row, logged, and stops nobody else."""
    mine = DutyState.objects.filter(name=duty.name, holder=holder)
    following = now + timedelta(seconds=duty.period)
    began = time.monotonic()
    try:
        duty.run(now)
    except Exception as problem:
        log.exception("duty %s failed", duty.name)
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


def cycle(duties: Sequence[Duty], holder: str) -> int:
    """Run all that is due and not apart, once, in order; then prove it. Returns how many ran."""
    ran: set[str] = set()
    for duty in duties:
        if duty.apart:
            continue
        now = clock.now()
        if claim(duty, holder, now, at_once=duty.follows in ran):
            perform(duty, holder, now)
            ran.add(duty.name)
    with transaction.atomic():
        row, _ = Cycle.objects.select_for_update().get_or_create(
            engine=holder, defaults={"number": 0, "finished_at": clock.now()}
        )
        row.number, row.finished_at = row.number + 1, clock.now()
        row.save()
    return len(ran)


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
            thread.join(timeout=30)

    def _cycle(self) -> None:
        cycle(self._duties, self._holder)

    def _alone(self, duty: Duty) -> None:
        now = clock.now()
        if claim(duty, self._holder, now):
            perform(duty, self._holder, now)

    def _loop(self, run: Callable[[], None], period: float) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                close_old_connections()
                run()
            except Exception:
                log.exception("the engine's cycle failed; trying again")
            rest = max(clock.real_seconds(period), 0.2) - (time.monotonic() - began)
            self._stop.wait(max(rest, 0.02))


def newest_cycle() -> Cycle | None:
    return Cycle.objects.order_by("-finished_at").first()
