"""Calls and rollups of a ClickHouse store made anew from its own raw spans, in their place.

1. Another database of the same server, `<name>_rebuilt`, gets every span again, and with it calls and rollups; 2. its
sums are compared with those that are there; 3. what differs is put in place, day by day (`migration`); 4. the other
database goes. Nothing is changed before 3; who breaks off in 3 runs it again. Who reads meanwhile may miss a day while
it is put in place; nobody may write.
"""

from __future__ import annotations

from dataclasses import replace

from afterlaunch.ground.errors import Conflict
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.engines import Changes
from afterlaunch.telemetry.engines.clickhouse import ClickHouse
from afterlaunch.telemetry.engines.clickhouse_clients import Address
from afterlaunch.telemetry.migration import DAY_NS, days, migrate, pieces
from afterlaunch.telemetry.rebuild import Progress, Rebuilt, adopted, inherited, totals
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tables import CALL_TABLE, PROFILE_TABLES, SERIES, SPAN_TABLE, SUM_TABLES

IN_PLACE = (CALL_TABLE, *SUM_TABLES.values(), *PROFILE_TABLES.values())
SERIES_AT_ONCE = 50_000


def rebuild_in_place(
    where: Address, now_ns: int, progress: Progress, since_ns: int | None = None, accept: bool = False
) -> Rebuilt:
    """What began before `since_ns`, a midnight (UTC), is left alone; so is everything where the sums differ, unless
    `accept`. Raises Conflict when somebody wrote meanwhile; Unavailable."""
    kept, beside = Store(ClickHouse(where)), replace(where, database=f"{where.database}_rebuilt")
    _emptied(beside)
    made = Store(ClickHouse(beside))
    try:
        kept.upkeep(now_ns)  # what a crash left is brought in
        before = totals(kept.engine, since_ns)
        _spans(kept, made, before["spans"], progress)
        adopted(made, kept.engine, "calls")
        inherited(made)
        if totals(kept.engine, since_ns) != before:
            raise Conflict("Somebody wrote to the store meanwhile.", "Stop every `serve ingest` and `serve engine`.")
        found = Rebuilt(before, totals(made.engine, since_ns))
        if accept or not found.different:
            _put_in_place(made, kept, None if since_ns is None else since_ns // DAY_NS)
        return found
    finally:
        kept.close()
        made.close()
        _emptied(beside)


def _spans(kept: Store, made: Store, number: int, progress: Progress) -> None:
    names, done = ", ".join(f'"{name}"' for name in SPANS.names), 0
    for day in days(kept.engine, SPAN_TABLE):
        for inside in pieces(kept.engine, SPAN_TABLE, day):
            rows = kept.engine.arrow(f"select {names} from spans where {inside}")
            done += made.commit([rows.cast(SPANS)])[0]
            progress(f"{done:,} of {number:,} spans")


def _put_in_place(made: Store, kept: Store, first_day: int | None) -> None:
    series = made.engine.arrow("select * from series").select(SERIES.names).cast(SERIES)
    for first in range(0, series.num_rows, SERIES_AT_ONCE):
        kept.engine.write(Changes("", {"series": series.slice(first, SERIES_AT_ONCE)}))
    moved = migrate(made.engine, kept.engine, IN_PLACE, lambda table, rows: None, first_day, every_tier=True)
    if moved.differences:
        raise Conflict(
            f"{moved.differences[0].table} is not what was put in place.",
            "Stop every `serve ingest` and `serve engine`, and run it again.",
        )


def _emptied(database: Address) -> None:
    engine = ClickHouse(database)
    engine.drop()
    engine.close()
