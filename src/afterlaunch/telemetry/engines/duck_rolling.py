"""Adding up the minutes of the rollups into hours, and hours into days (UTC). A stale one is written anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterlaunch.telemetry.tables import MEASURES, MINUTE_NS, TIERS

SETTLED_MINUTES = 5  # what has just begun to be late is not added up yet
AT_ONCE = 12  # of four thousand series they fit in memory; more would wait for the disk
_FROM = {"hour": "minute", "day": "hour"}


def due(cursor: Any, rolled: Mapping[str, set[int]], now_ns: int) -> dict[str, list[int]]:
    """Hours and days that are over, hold something and are not added up: the newest first, some at a time."""
    now = now_ns // MINUTE_NS - SETTLED_MINUTES
    for tier, finer in _FROM.items():
        size = TIERS[tier]
        found = cursor.execute(f"select distinct minute // {size} * {size} from sums_minute").fetchall()
        stale = [start for (start,) in found if start + size <= now and start not in rolled[tier]]
        if finer != "minute":
            parts = [(start, [*range(start, start + size, TIERS[finer])]) for start in stale]
            held = {
                minute for (minute,) in cursor.execute("select distinct minute // 60 * 60 from sums_minute").fetchall()
            }
            stale = [start for start, hours in parts if all(one in rolled[finer] for one in hours if one in held)]
        if stale:
            return {tier: sorted(stale, reverse=True)[:AT_ONCE]}
    return {}


def roll(cursor: Any, stale: Mapping[str, list[int]]) -> int:
    """Inside the caller's transaction; how many rows are replaced."""
    replaced = 0
    sums = ", ".join(f"sum({name})::bigint as {name}" for name in MEASURES)
    for tier, starts in stale.items():
        size, finer = TIERS[tier], _FROM[tier]
        inside = " or ".join(f"(minute >= {start} and minute < {start + size})" for start in starts)
        for kind, groups, measures in (
            ("sums", "series", sums),
            ("profile", "series, measure, bucket", "sum(calls)::bigint as calls"),
        ):
            replaced += int(cursor.execute(f"delete from {kind}_{tier} where {inside}").fetchone()[0])
            cursor.execute(
                f"insert into {kind}_{tier} by name select (minute // {size} * {size})::integer as minute, {groups},"
                f" {measures} from {kind}_{finer} where {inside} group by all"
                + (" having sum(calls) <> 0 order by measure, series, minute" if kind == "profile" else "")
            )
        cursor.execute("delete from rolled where tier = ? and list_contains(?, minute)", [tier, starts])
        cursor.executemany("insert into rolled values (?, ?)", [[tier, start] for start in starts])
    return replaced
