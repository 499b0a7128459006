"""Where each counter of a budget stands in the window that runs now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Max, QuerySet, Sum

from afterlaunch.budgets import rules
from afterlaunch.budgets.counting import AMOUNTS, SLOTS
from afterlaunch.budgets.models import Count, Mark
from afterlaunch.budgets.rules import Forecast
from afterlaunch.contracts.budgets import Window, window_of
from afterlaunch.routes.models import Budget


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


def window_now(budget: Budget, now: datetime) -> Window:
    return window_of(budget.window, budget.zone, now)


def begun(budget: Budget, window: Window) -> datetime:
    """From when telemetry's use is counted."""
    return window.start if window.end is not None else budget.created_at


def standings(budget: Budget, now: datetime, of: str | None = None) -> list[Standing]:
    """The nearest to its limit first; two questions. `of`: of this counter alone."""
    window = window_now(budget, now)
    start = int(window.start.timestamp())
    rows = Count.objects.filter(budget=budget, window_start=start)
    rows = rows if of is None else rows.filter(counter=of)
    sums = {name: Sum(name) for name in (*AMOUNTS, "unpriced")}
    told_of = rows.values("counter").annotate(told=Max("told_at"), **sums).order_by("counter")
    found: list[dict[str, Any]] = [dict(one) for one in told_of]
    since = _since(budget, window, now)
    then = _used_by(budget, start, since, of)
    out = []
    for row in found:
        counter, amounts = row["counter"], {name: row[name] for name in sums}
        # A gateway's counter began at nothing; telemetry's may be older than what was marked down of it.
        base = since if counter in then or budget.fed != "telemetry" else begun(budget, window)
        used = amounts["used"]
        amounts["overdraft"] = max(amounts["overdraft"], used - budget.limit)
        seen = rules.forecast(used, then.get(counter, 0), base, budget.limit, window, budget.window, now)
        out.append(Standing(counter, **amounts, at=row["told"], limit=budget.limit, forecast=seen))
    return sorted(out, key=lambda one: (-one.held, one.counter))


def _since(budget: Budget, window: Window, now: datetime) -> datetime:
    """From when the pace is measured: a whole stretch back, not before the window or the budget began."""
    size = SLOTS[budget.window]
    back = (now - rules.BACK[budget.window]).timestamp() // size * size
    first = budget.created_at if budget.fed != "telemetry" else begun(budget, window)
    return max(window.start, first, datetime.fromtimestamp(back, UTC))


def _used_by(budget: Budget, start: int, since: datetime, of: str | None) -> dict[str, int]:
    """What had been used then: within a window it only grows."""
    size = SLOTS[budget.window]
    rows: QuerySet[Mark] = Mark.objects.filter(budget=budget, window_start=start, slot__lte=since.timestamp() - size)
    rows = rows if of is None else rows.filter(counter=of)
    return dict(rows.values_list("counter").annotate(Max("used")))
