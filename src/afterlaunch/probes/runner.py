"""Tries what is due at this location: bounded, under leases, never inside a transaction.

1. Claim due places: a conditional update whose count decides, so that two engines never try one at the same time.
2. Try each on a thread of the pool. 3. Settle what has ended; a lease that was lost changes nothing. A process that
dies leaves its leases to run out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from afterlaunch.ground import clock
from afterlaunch.probes import rules, settling
from afterlaunch.probes.kinds import KINDS, Context
from afterlaunch.probes.kinds.kind import Through, tried
from afterlaunch.probes.models import Probe, ProbeLocation, ProbeResult
from afterlaunch.probes.outcomes import Outcome, not_run
from afterlaunch.probes.routing import through

log = logging.getLogger(__name__)
WORKERS = 24
WAIT_SECONDS = 2.0
LEASE_SECONDS = 60.0  # beyond the time limit of the try
MOST_UNPRICED = 5_000  # tries a day whose cost is not known


@dataclass(frozen=True)
class Try:
    at: datetime
    outcome: Outcome


class Runner:
    """`land` writes what came out to the telemetry."""

    def __init__(
        self,
        location: str,
        land: Callable[[Sequence[ProbeResult]], None] = settling.land,
        workers: int = WORKERS,
    ) -> None:
        self._location, self._land, self._workers = location, land, workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="probe")
        self._under_way: dict[int, tuple[ProbeLocation, Future[Try]]] = {}

    def run(self, now: datetime, wait_seconds: float = WAIT_SECONDS) -> int:
        """One pass; returns how many tries were settled."""
        self._send_out(now)
        if self._under_way:
            wait([future for _, future in self._under_way.values()], timeout=wait_seconds)
        ended = [key for key, (_, future) in self._under_way.items() if future.done()]
        rows = []
        for key in ended:
            place, future = self._under_way.pop(key)
            found = future.result()
            row = settling.settle(place, found.outcome, found.at, max(clock.now(), now))
            if row is not None:
                rows.append(row)
        self._land(rows)
        return len(rows)

    def _send_out(self, now: datetime) -> None:
        room = self._workers - len(self._under_way)
        if room <= 0:
            return
        free = Q(held_until=None) | Q(held_until__lte=now)
        due = ProbeLocation.objects.filter(free, location=self._location, next_due__lte=now)
        due = due.exclude(probe__state="paused").select_related("probe__system__client").order_by("next_due", "pk")
        for place in due[:room]:
            probe = place.probe
            seconds = clock.lease(probe.timeout + LEASE_SECONDS)
            taken = ProbeLocation.objects.filter(pk=place.pk, fence=place.fence).update(
                fence=place.fence + 1,
                held_until=now + seconds,
                next_due=rules.regular(now, probe.interval, probe.pk),
            )
            if taken:
                place.fence += 1
                self._under_way[place.pk] = place, self._submit(probe, now)

    def _submit(self, probe: Probe, now: datetime) -> Future[Try]:
        capped = _capped(probe, now)
        if capped is not None:
            done: Future[Try] = Future()
            done.set_result(Try(now, capped))
            return done
        route = probe.config.get("route") if probe.kind == "golden" else None
        return self._pool.submit(attempt, probe, now, through(probe.system.client, route) if route else None)


def _capped(probe: Probe, now: datetime) -> Outcome | None:
    if probe.cap_nano is None or probe.spent_on != now.date():
        return None
    if probe.spent_nano >= probe.cap_nano:
        return not_run("cap", "What it may spend today is spent.")
    if probe.spent_runs >= MOST_UNPRICED:
        return not_run("cap", f"It was tried {MOST_UNPRICED:,} times today.")
    return None


def attempt(probe: Probe, at: datetime, way: Through | None = None) -> Try:
    """On a thread that serves no page; touches no database. Never raises."""
    try:
        context = Context(probe.timeout, probe.trusted, at, way)
        return Try(at, tried(KINDS[probe.kind], probe.config, context))
    except Exception as problem:
        log.exception("probe %s could not be tried", probe.pk)
        return Try(at, not_run("our_fault", f"A fault of the server: {type(problem).__name__}."))
