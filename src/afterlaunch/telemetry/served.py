"""What was served and what was not: per stretch of time, from the rollups. `clients` None means all.

A caller who hung up was not failed by us; every other failure counts, whosever fault it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.queries import CALL_KINDS, OF_USERS, Clients, Rollups, minute_of, narrowed, step_of
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.tables import MINUTE_NS
from afterlaunch.telemetry.tiers import grain_of

Place = tuple[str, str | None, str | None]  # client, system, environment
QUIET = timedelta(minutes=60)
PLACE = "client, system, environment"


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


def _minutes(clients: Clients, equals: Mapping[str, str | None]) -> tuple[str, list[Any]]:
    """SQL, with parameters: calls, unserved and cancelled ones of each place and minute of [?, ?) that holds a call."""
    where, parameters = narrowed(clients, equals)
    return (
        f"""select {PLACE}, minute, sum(calls)::bigint as calls, sum(cancelled)::bigint as cancelled,
              sum(failed - cancelled)::bigint as unserved
            from sums_minute join series on series.id = sums_minute.series
            where op_kind in {CALL_KINDS} and {OF_USERS} and {where} and minute >= ? and minute < ?
            group by {PLACE}, minute having sum(calls) > 0""",
        parameters,
    )


def served(bounds: Sequence[datetime], clients: Clients = None, **equals: str | None) -> list[Served]:
    """One row per place and stretch between two consecutive `bounds` that holds a call, in order."""
    per_minute, parameters = _minutes(clients, equals)
    begins = [minute_of(bound) for bound in bounds]
    rows = current().query(
        f"""select {PLACE}, step, sum(calls)::bigint as calls, sum(unserved)::bigint as unserved,
              sum(cancelled)::bigint as cancelled, count(*) as minutes,
              count(*) filter (where unserved = calls) as minutes_down
            from (select *, {step_of(begins)} as step from ({per_minute}) as told) as stepped
            group by {PLACE}, step order by {PLACE}, step""",
        [*parameters, begins[0], begins[-1]],
    )
    return [
        Served(
            (row["client"], row["system"], row["environment"]),
            clock.from_ns(begins[row["step"]] * MINUTE_NS),
            bounds[row["step"] + 1],
            *(row[name] for name in ("calls", "unserved", "cancelled", "minutes", "minutes_down")),
        )
        for row in rows
    ]


def faults(
    start: datetime, end: datetime, clients: Clients = None, **equals: str | None
) -> dict[Place, Mapping[str, int]]:
    """How many failed calls of each place were whose fault (telemetry conventions), the most frequent first."""
    rollups = Rollups(minute_of(start), minute_of(end), clients, equals, grain_of(()), users=True)
    out: dict[Place, Mapping[str, int]] = {}
    for (client, system, environment), measured in rollups.profile(
        ["client", "system", "environment"], [profiles.ERROR]
    ).items():
        counted: dict[str, int] = {}
        for code, calls in measured[profiles.ERROR]:
            _, fault = profiles.error_of(code)
            counted[fault] = counted.get(fault, 0) + calls
        out[client, system, environment] = dict(sorted(counted.items(), key=lambda one: (-one[1], one[0])))
    return out


def silences(
    start: datetime, end: datetime, clients: Clients = None, **equals: str | None
) -> dict[Place, list[Silence]]:
    """The stretches without a call over [start, end) of each place that had one, in order; those before the first
    call and after the last one are counted from `start` and to `end`."""
    per_minute, parameters = _minutes(clients, equals)
    first, last = minute_of(start), minute_of(end)
    rows = current().query(
        f"""with held as ({per_minute}),
            edges as (select {PLACE}, minute, lead(minute, 1, {last}) over place as following,
                             row_number() over place = 1 as is_first
                      from held window place as (partition by {PLACE} order by minute))
            select * from edges where is_first or following - minute > ? order by {PLACE}, minute""",
        [*parameters, first, last, int(QUIET.total_seconds() // 60)],
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
    (row,) = current().query(
        "select min(minute) as first, max(minute) as last from sums_minute"
        f" where series in (select id from series where {where})",
        parameters,
    )
    if row["first"] is None:
        return None
    return clock.from_ns(row["first"] * MINUTE_NS), clock.from_ns(row["last"] * MINUTE_NS)
