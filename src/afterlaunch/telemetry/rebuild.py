"""A store made anew from its own raw spans: calls, rollups and indexes; and whether that gives what was there.

The new file stands beside the old one until it is complete, so an interruption leaves the old one as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tables import CALLS, HOUR_NS, MEASURES, NO_LEAF, TABLES

log = logging.getLogger(__name__)
ROWS = 16_384
Progress = Callable[[str], None]
MADE = {table.name for table in TABLES} - {"dead_letter"} | {"rolled", "trace_blocks", "to_rebuild"}
"""What spans give; every other table is copied."""


@dataclass(frozen=True)
class Rebuilt:
    """Sums over everything, of the store as it was and as it is made anew: spans, calls, tokens, nano-USD, and the
    number of values in each histogram."""

    before: Mapping[str, int]
    after: Mapping[str, int]
    file: Path

    @property
    def different(self) -> dict[str, tuple[int, int]]:
        names = sorted({*self.before, *self.after})
        pairs = {name: (self.before.get(name, 0), self.after.get(name, 0)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def rebuild(file: Path, now_ns: int, progress: Progress) -> Rebuilt:
    """Make `FILE.rebuilt`. Raises Unavailable while a server has the store."""
    Store(Duck(file)).close()  # what a crash left is brought in, and an old layout up to date
    target = file.with_name(file.name + ".rebuilt")
    for old in target.parent.glob(target.name + "*"):
        old.unlink()
    made = Store(Duck(target))
    try:
        engine = made.engine
        assert isinstance(engine, Duck)
        with engine.beside(file) as source:
            before = totals(engine, source)
            _spans(made, engine, source, progress)
            _inherit(made, engine, source)
            _copied(engine, source)
        made.upkeep(now_ns)
        after = totals(engine, "kept")
    finally:
        made.close()
    return Rebuilt(before, after, target)


def renew(file: Path) -> None:
    """An old layout's store, in its place: whatever its sums were."""
    log.warning("%s has an old layout: its calls and rollups are made anew from its spans", file)
    rebuild(file, clock.now_ns(), log.info).file.replace(file)


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
    calls = ", ".join(f'"{name}"' for name in CALLS.names)
    settled = engine.arrow(f"select {calls} from {source}.calls where part = '{NO_LEAF}'")
    if settled.num_rows:
        made.adopt(settled.cast(CALLS))


def _inherit(made: Store, engine: Duck, source: str) -> None:
    """Calls whose ancestors came in another commit, and where failures began: hour by hour that holds something."""
    hours = engine.query(
        f"select distinct (start_ns + coalesce(duration_ns, 0)) // {HOUR_NS} as hour from {source}.spans order by hour"
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
                cursor.execute(f"insert into kept.{name} by name select * from {source}.{name}")


def totals(engine: Duck, source: str) -> dict[str, int]:
    """What both stores must agree on."""
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in MEASURES)
    (out,) = engine.query(f"select {sums} from {source}.sums_minute")
    (spans,) = engine.query(f"select count(*) as spans from {source}.spans")
    rows: list[dict[str, Any]] = engine.query(
        f"select measure, sum(calls)::bigint as calls, sum(calls * (bucket + 2))::bigint as weighed"
        f" from {source}.profile_minute group by measure"
    )
    for row in rows:
        out[f"profile {row['measure']}"] = row["calls"]
        out[f"profile {row['measure']} by bucket"] = row["weighed"]
    return {**spans, **out}
