"""A store made anew from its own raw spans: calls, rollups and indexes; and whether that gives what was there.

The new file stands beside the old one until it is complete, so an interruption leaves the old one as it is. What is
older than the spans that are held (`since_ns`) has nothing to be made of, and is copied as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.engines import Engine
from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tables import (
    CALL_TABLE,
    CALLS,
    CHECK_TABLE,
    COUNT_TABLE,
    FAILURE_TABLE,
    HOUR_NS,
    MEASURES,
    MINUTE_NS,
    NO_LEAF,
    PROFILE_TABLES,
    ROW_GROUP,
    SUM_TABLES,
    TABLES,
)

log = logging.getLogger(__name__)
ROWS = ROW_GROUP
Progress = Callable[[str], None]
MADE = {table.name for table in TABLES} - {"dead_letter"} | {"rolled", "trace_blocks", "to_rebuild"}
"""What spans give; every other table is copied."""
AS_THEY_WERE = (COUNT_TABLE, CHECK_TABLE)
"""What was noted of spans when they came; it tells what no later look at them would."""
OLDER = (CALL_TABLE, FAILURE_TABLE, *SUM_TABLES.values(), *PROFILE_TABLES.values())


@dataclass(frozen=True)
class Rebuilt:
    """Sums, of the store as it was and as it is made anew: spans, calls, tokens, nano-USD, and the number of values in
    each histogram. `file`: the new store, where it is one."""

    before: Mapping[str, int]
    after: Mapping[str, int]
    file: Path | None = None

    @property
    def different(self) -> dict[str, tuple[int, int]]:
        names = sorted({*self.before, *self.after})
        pairs = {name: (self.before.get(name, 0), self.after.get(name, 0)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def rebuild(file: Path, now_ns: int, progress: Progress, since_ns: int | None = None) -> Rebuilt:
    """Make `FILE.rebuilt`; what began before `since_ns`, a midnight (UTC), is what it was. Raises Unavailable while a
    server has the store."""
    Store(Duck(file)).close()  # what a crash left is brought in, and an old layout up to date
    target = file.with_name(file.name + ".rebuilt")
    for old in target.parent.glob(target.name + "*"):
        old.unlink()
    made = Store(Duck(target))
    try:
        engine = made.engine
        assert isinstance(engine, Duck)
        with engine.beside(file) as source:
            before = totals(engine, since_ns, f"{source}.")
            _spans(made, engine, source, progress)
            inherited(made)
            _copied(engine, source)
        made.upkeep(now_ns)
        after = totals(engine, since_ns)
        if since_ns is not None:
            with engine.beside(file) as source:
                _older(engine, source, since_ns)
    finally:
        made.close()
    return Rebuilt(before, after, target)


def renew(file: Path) -> None:
    """An old layout's store, in its place: whatever its sums were."""
    log.warning("%s has an old layout: its calls and rollups are made anew from its spans", file)
    made = rebuild(file, clock.now_ns(), log.info).file
    assert made is not None
    made.replace(file)


def _spans(made: Store, engine: Duck, source: str, progress: Progress) -> None:
    (told,) = engine.query(f"select max(seq) as last, count(*) as spans from {source}.spans")
    names = ", ".join(f'"{name}"' for name in SPANS.names)
    for first in range(0, (told["last"] or -1) + 1, ROWS):
        rows = engine.arrow(
            f"select {names} from {source}.spans where seq >= ? and seq < ? order by seq", [first, first + ROWS]
        )
        if rows.num_rows:
            made.commit([rows.cast(SPANS)])
        if first // ROWS % 20 == 0:
            progress(f"{min(first + ROWS, told['spans']):,} of {told['spans']:,} spans")
    adopted(made, engine, f"{source}.calls")


def adopted(made: Store, engine: Engine, calls: str, condition: str = "true") -> None:
    """Aggregates that were counted, since no call came below them: time told that, not the spans."""
    names = ", ".join(f'"{name}"' for name in CALLS.names)
    settled = engine.arrow(f"select {names} from {calls} where part = '{NO_LEAF}' and {condition}")
    if settled.num_rows:
        made.adopt(settled.cast(CALLS).combine_chunks())


def inherited(made: Store) -> None:
    """Calls whose ancestors came in another commit, and where failures began: hour by hour that holds something."""
    hours = made.query(
        f"select distinct (start_ns + coalesce(duration_ns, 0)) // {HOUR_NS} as hour from spans order by hour"
    )
    for hour in (row["hour"] * HOUR_NS for row in hours):
        made.inherit(hour, hour + HOUR_NS - 1)
        made.trace_failures(hour, hour + HOUR_NS - 1)


def _copied(engine: Duck, source: str) -> None:
    with engine.transaction() as cursor:
        held = cursor.execute("select table_name from duckdb_tables() where database_name = ?", [source]).fetchall()
        for (name,) in held:
            if name not in MADE:
                cursor.execute(f"create table if not exists kept.{name} as select * from {source}.{name} limit 0")
            if name in {table.name for table in AS_THEY_WERE}:
                cursor.execute(f"delete from kept.{name}")
            elif name in MADE:
                continue
            cursor.execute(f"insert into kept.{name} by name select * from {source}.{name}")


def _older(engine: Duck, source: str, since_ns: int) -> None:
    """What the spans of before cannot tell, or tell in part only, as it was."""
    with engine.transaction() as cursor:
        for table in OLDER:
            older = f'"{table.instant}" < {since_ns // table.unit_ns}'
            cursor.execute(f"delete from kept.{table.name} where {older}")
            cursor.execute(f"insert into kept.{table.name} by name select * from {source}.{table.name} where {older}")
        rolled = f"minute < {since_ns // MINUTE_NS}"
        cursor.execute(f"delete from kept.rolled where {rolled}")
        cursor.execute(f"insert into kept.rolled by name select * from {source}.rolled where {rolled}")
        cursor.execute(
            f"insert into kept.series by name select * from {source}.series"
            " where id not in (select id from kept.series)"
        )


def totals(engine: Engine, since_ns: int | None = None, source: str = "") -> dict[str, int]:
    """What both stores must agree on; of sums and histograms what is not before `since_ns`. `source`: before the names
    of the tables."""
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in MEASURES)
    where = "true" if since_ns is None else f"minute >= {since_ns // MINUTE_NS}"
    (out,) = engine.query(f"select {sums} from {source}sums_minute where {where}")
    (spans,) = engine.query(f"select count(*) as spans from {source}spans")
    rows: list[dict[str, Any]] = engine.query(
        f"select measure, sum(calls)::bigint as calls, sum(calls * (bucket + 2))::bigint as weighed"
        f" from {source}profile_minute where {where} group by measure"
    )
    for row in rows:
        out[f"profile {row['measure']}"] = row["calls"]
        out[f"profile {row['measure']} by bucket"] = row["weighed"]
    return {**spans, **out}
