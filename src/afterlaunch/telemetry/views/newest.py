"""The newest spans that a view looks at one by one: never more than so many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.telemetry.queries import narrowed
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.search import conditions


def newest(ask: Asked, condition: str, columns: str, most: int, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Rows of `spans` in the time and search that hold `condition` (SQL with parameters), newest first. First it is
    looked how far back so many reach, so that wide columns are read of these alone."""
    own, _ = conditions(ask.search, "spans")
    seen, mine = narrowed(ask.clients, {})
    where = f"start_ns >= ? and start_ns < ? and {seen} and {condition}" + (f" and {own[0]}" if own[0] else "")
    last, more = clock.to_ns(ask.end), [*mine, *parameters, *own[1]]
    (found,) = current().query(
        f"select min(start_ns) as least from (select start_ns from spans where {where}"
        f" order by start_ns desc limit {int(most)}) as newest",
        [clock.to_ns(ask.start), last, *more],
    )
    if found["least"] is None:
        return []
    rows = current().query(f"select {columns} from spans where {where}", [found["least"], last, *more])
    rows.sort(key=lambda row: -row["start_ns"])
    return rows[:most]
