"""What was served and what was not: per stretch of time, from the calls. `clients` None means all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from afterlaunch.ground import clock
from afterlaunch.telemetry.queries import MINUTE_NS, Clients, minute_of, narrowed
from afterlaunch.telemetry.schema import IS_CALL
from afterlaunch.telemetry.store import current

Place = tuple[str, str | None, str | None]  # client, system, environment
QUIET = timedelta(minutes=60)
PLACE = "client, system, environment"
# A caller who hung up was not failed by us; every other failure counts, whosever fault it is.
UNSERVED = "failed and fault is distinct from 'user'"


@dataclass(frozen=True)
class Served:
    """One place over [start, end). `unserved`: calls that failed, but for those that the user cancelled.
    `minutes`: minutes that hold a call; `minutes_down`: those of them in which no call was served. Minutes without
    a call are in neither: nothing is known of them."""

    place: Place
    start: datetime
    end: datetime
    calls: int
    unserved: int
    cancelled: int
    minutes: int
    minutes_down: int


@dataclass(frozen=True)
class Silence:
    """A stretch of more than an hour without a call, between two calls of one place."""

    start: datetime
    end: datetime


def served(bounds: Sequence[datetime], clients: Clients = None, **equals: str | None) -> list[Served]:
    """One row per place and stretch between two consecutive `bounds` that holds a call, in order."""
    where, parameters = narrowed(clients, equals)
    begins = [minute_of(bound) for bound in bounds]
    rows = current().query(
        f"""with per_minute as (
              select {PLACE}, minute, count(*) as calls, count(*) filter ({UNSERVED}) as unserved,
                     count(*) filter (failed and fault = 'user') as cancelled
              from calls where {IS_CALL} and start_ns >= ? and start_ns < ? and {where} group by all),
            stretches as (select unnest(?::integer[]) as begins)
            select {PLACE}, begins, sum(calls)::bigint as calls, sum(unserved)::bigint as unserved,
                   sum(cancelled)::bigint as cancelled, count(*) as minutes,
                   count(*) filter (unserved = calls) as minutes_down
            from per_minute asof join stretches on per_minute.minute >= stretches.begins
            group by all order by all""",
        [begins[0] * MINUTE_NS, begins[-1] * MINUTE_NS, *parameters, begins[:-1]],
    )
    return [
        Served(
            (row["client"], row["system"], row["environment"]),
            clock.from_ns(row["begins"] * MINUTE_NS),
            bounds[begins.index(row["begins"]) + 1],
            *(row[name] for name in ("calls", "unserved", "cancelled", "minutes", "minutes_down")),
        )
        for row in rows
    ]


def faults(
    start: datetime, end: datetime, clients: Clients = None, **equals: str | None
) -> dict[Place, Mapping[str, int]]:
    """How many failed calls of each place were whose fault (telemetry conventions), the most frequent first."""
    where, parameters = narrowed(clients, equals)
    rows = current().query(
        f"""select {PLACE}, coalesce(fault, 'unknown') as fault, count(*) as calls from calls
            where {IS_CALL} and failed and start_ns >= ? and start_ns < ? and {where}
            group by all order by calls desc, fault""",
        [clock.to_ns(start), clock.to_ns(end), *parameters],
    )
    out: dict[Place, dict[str, int]] = {}
    for row in rows:
        out.setdefault((row["client"], row["system"], row["environment"]), {})[row["fault"]] = row["calls"]
    return dict(out)


def silences(
    start: datetime, end: datetime, clients: Clients = None, **equals: str | None
) -> dict[Place, list[Silence]]:
    """The stretches without a call over [start, end) of each place that had one, in order; those before the first
    call and after the last one are counted from `start` and to `end`."""
    where, parameters = narrowed(clients, equals)
    first, last = minute_of(start), minute_of(end)
    rows = current().query(
        f"""with held as (select distinct {PLACE}, minute from calls
                          where {IS_CALL} and start_ns >= ? and start_ns < ? and {where}),
            edges as (select {PLACE}, minute, lead(minute, 1, {last}) over place as following,
                             row_number() over place = 1 as is_first
                      from held window place as (partition by {PLACE} order by minute))
            select * from edges where is_first or following - minute > ? order by {PLACE}, minute""",
        [first * MINUTE_NS, last * MINUTE_NS, *parameters, QUIET.total_seconds() // 60],
    )
    out: dict[Place, list[Silence]] = {}
    for row in rows:
        found = out.setdefault((row["client"], row["system"], row["environment"]), [])
        at = clock.from_ns(row["minute"] * MINUTE_NS)
        following = clock.from_ns(row["following"] * MINUTE_NS)
        if row["is_first"] and at - start > QUIET:
            found.append(Silence(start, at))
        if following - at > QUIET:
            found.append(Silence(at + timedelta(minutes=1), following))
    return out


def extent(clients: Clients = None) -> tuple[datetime, datetime] | None:
    """The first and the last minute that hold a call; None when none does."""
    where, parameters = narrowed(clients, {})
    (row,) = current().query(f"select min(minute) as first, max(minute) as last from rollup where {where}", parameters)
    if row["first"] is None:
        return None
    return clock.from_ns(row["first"] * MINUTE_NS), clock.from_ns(row["last"] * MINUTE_NS)
