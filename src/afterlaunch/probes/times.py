"""Uptime of systems over days, from the counts of probes and from the rollups of calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from django.db.models import Sum

from afterlaunch.estate.models import System
from afterlaunch.probes.models import Probe, ProbeDay
from afterlaunch.probes.uptime import Calls, Rounds, Uptime, coverage, of_both
from afterlaunch.telemetry.served import served

PERIODS = (1, 30, 90)


@dataclass
class Day:
    day: date
    rounds: Rounds = field(default_factory=Rounds)
    calls: Calls = field(default_factory=Calls)

    @property
    def uptime(self) -> Uptime:
        return of_both(self.rounds, self.calls)


@dataclass
class Record:
    """One system, the oldest day first. `probes` count for its uptime; `covered` is of the whole time."""

    system: System
    days: list[Day]
    probes: int = 0
    covered: float | None = None

    def over(self, days: int) -> Uptime:
        """Of the last so many days, today among them."""
        some = self.days[-days:]
        rounds = sum((one.rounds for one in some), Rounds())
        calls = Calls(sum(one.calls.calls for one in some), sum(one.calls.unserved for one in some))
        return of_both(rounds, calls)

    @property
    def periods(self) -> list[tuple[int, Uptime]]:
        return [(days, self.over(days)) for days in PERIODS]


def records(systems: Sequence[System], now: datetime, days: int = 90) -> list[Record]:
    """UTC days; a fixed number of questions for any number of systems."""
    today = now.astimezone(UTC).date()
    first = today - timedelta(days=days - 1)
    empty = [first + timedelta(days=number) for number in range(days)]
    found = {row.pk: Record(row, [Day(one) for one in empty]) for row in systems}
    _add_probes(found, first, now)
    _add_calls(systems, found, empty, first)
    return list(found.values())


def _add_probes(found: dict[int, Record], first: date, now: datetime) -> None:
    watching = Probe.objects.filter(system__in=list(found), counts=True)
    due: dict[int, list[tuple[timedelta, int, timedelta]]] = {}
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    for row in watching.exclude(state="paused"):
        watched = now - max(row.created_at, start)
        due.setdefault(row.system_id, []).append((timedelta(seconds=row.interval), len(row.locations), watched))
    counted = ProbeDay.objects.filter(probe__in=watching, begins__gte=first).values("probe__system", "begins")
    for told in counted.annotate(ok=Sum("ok"), failed=Sum("failed"), not_run=Sum("not_run")):
        place = (told["begins"] - first).days
        record = found[told["probe__system"]]
        if 0 <= place < len(record.days):
            record.days[place].rounds = Rounds(told["ok"], told["failed"], told["not_run"])
    for system, plans in due.items():
        record = found[system]
        record.probes = len(plans)
        rounds = sum((one.rounds for one in record.days), Rounds())
        wanted = sum(watched / interval * places for interval, places, watched in plans)
        record.covered = coverage(rounds, timedelta(seconds=1), 1, timedelta(seconds=wanted))


def _add_calls(systems: Sequence[System], found: dict[int, Record], days: Sequence[date], first: date) -> None:
    if not systems:
        return
    bounds = [datetime(one.year, one.month, one.day, tzinfo=UTC) for one in [*days, days[-1] + timedelta(days=1)]]
    by_key = {(row.client.slug, row.key): row.pk for row in systems}
    clients = frozenset(slug for slug, _ in by_key)
    for row in served(bounds, clients):
        client, name, _ = row.place
        pk = by_key.get((client, name or ""))
        if pk is None:
            continue
        day = found[pk].days[(row.start.date() - first).days]
        day.calls = Calls(day.calls.calls + row.calls, day.calls.unserved + row.unserved)
