"""Where each counter of a budget stands in the window that runs now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import Max, Q, QuerySet, Sum

from afterlaunch.budgets import rules
from afterlaunch.budgets.counting import AMOUNTS, SLOTS
from afterlaunch.budgets.models import Count, Mark
from afterlaunch.budgets.rules import Forecast
from afterlaunch.contracts.budgets import Window, window_of
from afterlaunch.routes.models import Budget

SUMMED = (*AMOUNTS, "unpriced")
_COUNTED = ("window", "zone", "limit")
CHUNK = 300  # budgets in one question: databases bound how many conditions one may have


@dataclass(frozen=True)
class Standing:
    """Amounts of the budget's unit, over all gateways. `unpriced`: calls without a known cost. `at`: told last."""

    counter: str
    used: int
    reserved: int
    refused: int
    overdraft: int
    unconfirmed: int
    unpriced: int
    at: datetime
    limit: int
    forecast: Forecast

    @property
    def share(self) -> float:
        return self.used / self.limit

    @property
    def held(self) -> float:
        """With what is reserved."""
        return (self.used + self.reserved) / self.limit


class Nearest(NamedTuple):
    """Of a budget's counters the one that is nearest to its limit (`held`: its share, with what is reserved), how many
    there are, and what all of them refused."""

    counter: str
    held: float
    counters: int
    refused: int


def nearest(budgets: QuerySet[Budget], now: datetime) -> dict[int, Nearest]:
    """Of each that was counted in its present window, by its key: one question, without forecasts."""
    told = {pk: (window, zone, limit) for pk, window, zone, limit in budgets.values_list("pk", *_COUNTED)}
    starts = {one: int(window_of(*one, now).start.timestamp()) for one in {one[:2] for one in told.values()}}
    rows = Count.objects.filter(budget__in=budgets.values("pk"), window_start__in=set(starts.values()))
    sums = rows.values_list("budget", "counter", "window_start").annotate(Sum("used"), Sum("reserved"), Sum("refused"))
    found: dict[int, Nearest] = {}
    for pk, counter, start, used, reserved, refused in sums.order_by("budget", "counter"):
        window, zone, limit = told[pk]
        if start != starts[window, zone]:
            continue
        before, held = found.get(pk), (used + reserved) / limit
        if before is None:
            found[pk] = Nearest(counter, held, 1, refused)
            continue
        first = before if before.held >= held else Nearest(counter, held, 0, 0)
        found[pk] = Nearest(first.counter, first.held, before.counters + 1, before.refused + refused)
    return found


def window_now(budget: Budget, now: datetime) -> Window:
    return window_of(budget.window, budget.zone, now)


def begun(budget: Budget, window: Window) -> datetime:
    """From when telemetry's use is counted."""
    return window.start if window.end is not None else budget.created_at


def standings(budget: Budget, now: datetime, of: str | None = None) -> list[Standing]:
    """The nearest to its limit first. `of`: of this counter alone."""
    return many([budget], now, of)[budget.pk]


def many(budgets: Sequence[Budget], now: datetime, of: str | None = None) -> dict[int, list[Standing]]:
    """Of each, by its key. Two questions for a few hundred of them."""
    found: dict[int, list[Standing]] = {}
    for first in range(0, len(budgets), CHUNK):
        found |= _some(budgets[first : first + CHUNK], now, of)
    return found


def _some(budgets: Sequence[Budget], now: datetime, of: str | None) -> dict[int, list[Standing]]:
    calendars = {(one.window, one.zone) for one in budgets}
    running = {one: window_of(*one, now) for one in calendars}
    windows = {one.pk: running[one.window, one.zone] for one in budgets}
    sinces = {one.pk: _since(one, windows[one.pk], now) for one in budgets}
    starting: dict[int, list[int]] = defaultdict(list)  # keys by the window's start
    marked: dict[tuple[int, float], list[int]] = defaultdict(list)  # and by the last slot that counts
    for one in budgets:
        start = int(windows[one.pk].start.timestamp())
        starting[start].append(one.pk)
        marked[start, sinces[one.pk].timestamp() - SLOTS[one.window]].append(one.pk)
    counts, marks = Q(), Q()
    for start, keys in starting.items():
        counts |= Q(budget__in=keys, window_start=start)
    for (start, slot), keys in marked.items():
        marks |= Q(budget__in=keys, window_start=start, slot__lte=slot)
    only = Q() if of is None else Q(counter=of)
    then = Mark.objects.filter(marks & only).values_list("budget", "counter").annotate(Max("used"))
    used_by = {(budget, counter): used for budget, counter, used in then.order_by("budget", "counter")}
    sums = {name: Sum(name) for name in SUMMED}
    rows = Count.objects.filter(counts & only).values("budget", "counter").annotate(told=Max("told_at"), **sums)
    by = {one.pk: one for one in budgets}
    found: dict[int, list[Standing]] = {one.pk: [] for one in budgets}
    for row in rows.order_by("budget", "counter"):
        budget = by[row["budget"]]
        before = used_by.get((budget.pk, row["counter"]))
        found[budget.pk].append(_standing(budget, dict(row), before, sinces[budget.pk], windows[budget.pk], now))
    for some in found.values():
        some.sort(key=lambda one: (-one.held, one.counter))
    return found


def _standing(
    budget: Budget, row: dict[str, Any], then: int | None, since: datetime, window: Window, now: datetime
) -> Standing:
    """`then`: what had been used at `since`, where it was marked down."""
    amounts = {name: row[name] for name in SUMMED}
    # A gateway's counter began at nothing; telemetry's may be older than what was marked down of it.
    base = since if then is not None or budget.fed != "telemetry" else begun(budget, window)
    used = amounts["used"]
    amounts["overdraft"] = max(amounts["overdraft"], used - budget.limit)
    seen = rules.forecast(used, then or 0, base, budget.limit, window, budget.window, now)
    return Standing(row["counter"], **amounts, at=row["told"], limit=budget.limit, forecast=seen)


def _since(budget: Budget, window: Window, now: datetime) -> datetime:
    """From when the pace is measured: a whole stretch back, not before the window or the budget began."""
    size = SLOTS[budget.window]
    back = (now - rules.BACK[budget.window]).timestamp() // size * size
    first = budget.created_at if budget.fed != "telemetry" else begun(budget, window)
    return max(window.start, first, datetime.fromtimestamp(back, UTC))
