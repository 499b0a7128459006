"""Budgets without the gateway in the path: what telemetry saw used, late, and never refused."""

from __future__ import annotations

from datetime import datetime, timedelta

from afterlaunch.budgets.actions import IN_TELEMETRY
from afterlaunch.budgets.counting import TELEMETRY, Telling, store
from afterlaunch.budgets.standing import begun, window_now
from afterlaunch.contracts.budgets import EACH
from afterlaunch.contracts.budgets import Budget as Contract
from afterlaunch.routes.models import Budget
from afterlaunch.telemetry.queries import answered_stretches
from afterlaunch.telemetry.windows import Window


def observe(now: datetime) -> None:
    """Count what was used in the window that runs now. The whole window is asked again, so that late spans count."""
    rows = Budget.objects.select_related("client").filter(ended_at=None, fed=TELEMETRY)
    for row in rows.order_by("pk"):
        window = window_now(row, now)
        tellings = {}
        for seen in used_between([begun(row, window), now + timedelta(minutes=1)], row.contract()):
            counter = counter_of(row.contract(), seen)
            if counter is not None:
                start = int(window.start.timestamp())
                used, unpriced = amount(seen, row.unit), seen.calls_unknown_cost
                tellings[counter] = Telling(
                    row.pk, counter, start, now.timestamp(), used, unpriced=unpriced if row.unit == "usd" else 0
                )
        store(TELEMETRY, list(tellings.values()), {row.pk: row})


def used_between(bounds: list[datetime], budget: Contract) -> list[Window]:
    """One row per stretch and counter; the scope's dimensions are all in the rollups."""
    each = [name for name, value in budget.scope.items() if value == EACH]
    equals = {name: value for name, value in budget.scope.items() if value != EACH}
    return answered_stretches(bounds, each, None, **equals)


def extrapolated(row: Budget, counter: str, now: datetime) -> int | None:
    """What a counter would stand at, had samplers left nothing out; None where nothing of it is of a sample. The
    budget itself counts what was told."""
    window, budget = window_now(row, now), row.contract()
    seen = [
        one
        for one in used_between([begun(row, window), now + timedelta(minutes=1)], budget)
        if counter_of(budget, one) == counter
    ]
    if not any(one.calls_sampled for one in seen):
        return None
    return sum(amount(one, row.unit) + _unsent(one, row.unit) for one in seen)


def _unsent(seen: Window, unit: str) -> int:
    if unit == "usd":
        return seen.cost_unsent_nano
    return seen.calls_extrapolated - seen.calls if unit == "requests" else seen.input_unsent + seen.output_unsent


def counter_of(budget: Contract, seen: Window) -> str | None:
    """As a gateway would name it; None where a value is not told."""
    return budget.counter({**budget.scope, **seen.key})


def amount(seen: Window, unit: str) -> int:
    if unit == "usd":
        return seen.cost_nano
    return seen.calls if unit == "requests" else seen.input_tokens + seen.output_tokens


def countable(budget: Contract) -> bool:
    return not set(budget.scope) - set(IN_TELEMETRY)
