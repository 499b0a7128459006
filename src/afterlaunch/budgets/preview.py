"""What a budget would have refused lately, from telemetry.

1. The days are cut at every hour (every six, for long windows) and at the beginning of each window. 2. Within each
window and counter what was used is added up. 3. Calls of a stretch that begins above the limit would have been refused,
and of one that crosses it the part above,
rounded up: a call that does not fit is refused.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from afterlaunch.budgets.observing import amount, countable, counter_of, used_between
from afterlaunch.contracts.budgets import Budget, window_of

DAYS = 30
STEP = {"hour": timedelta(hours=1), "day": timedelta(hours=1)}
LONG = timedelta(hours=6)


@dataclass
class Over:
    """A counter that went over: in so many windows, with so many calls refused; `most`: used in its worst window."""

    counter: str
    windows: int = 0
    calls: int = 0
    most: int = 0


@dataclass(frozen=True)
class Preview:
    """`unpriced`: calls without a known cost, which count as nothing here. `why`: why nothing can be told."""

    calls: int = 0
    refused: int = 0
    windows: int = 0
    counters: int = 0
    unpriced: int = 0
    over: list[Over] = field(default_factory=list)
    why: str = ""


def preview(budget: Budget, now: datetime) -> Preview:
    if not countable(budget):
        return Preview(why="Telemetry does not count by key or user.")
    bounds = _bounds(budget, now)
    used: dict[tuple[str, datetime], int] = defaultdict(int)
    over: dict[str, Over] = {}
    crossed: set[tuple[str, datetime]] = set()
    calls = unpriced = 0
    for seen in used_between(bounds, budget):
        counter = counter_of(budget, seen)
        if counter is None:
            continue
        window = window_of(budget.window, budget.zone, seen.start).start
        calls, unpriced = calls + seen.calls, unpriced + seen.calls_unknown_cost
        before, more = used[counter, window], amount(seen, budget.unit)
        used[counter, window] = before + more
        beyond = min(more, before + more - budget.limit)
        if beyond <= 0 or not more:
            continue
        one = over.setdefault(counter, Over(counter))
        one.calls += -(-seen.calls * beyond // more)
        one.most = max(one.most, before + more)
        if (counter, window) not in crossed:
            crossed.add((counter, window))
            one.windows += 1
    ranked = sorted(over.values(), key=lambda one: (-one.calls, one.counter))
    return Preview(
        calls,
        sum(one.calls for one in ranked),
        len(crossed),
        len({counter for counter, _ in used}),
        unpriced if budget.unit == "usd" else 0,
        ranked[:10],
    )


def _bounds(budget: Budget, now: datetime) -> list[datetime]:
    """From the beginning of the window that was running then."""
    at = now - timedelta(days=DAYS)
    if budget.window != "once":
        at = window_of(budget.window, budget.zone, at).start
    at = at.replace(minute=at.minute, second=0, microsecond=0)
    bounds = [at]
    step = STEP.get(budget.window, LONG)
    while at < now:
        window = window_of(budget.window, budget.zone, at)
        after = at + step
        at = min(after, window.end) if window.end is not None else after
        bounds.append(min(at, now))
    return bounds
