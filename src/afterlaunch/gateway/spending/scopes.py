"""The budgets that calls of the same facts are counted in, worked out once for each window."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from afterlaunch.contracts.budgets import Budget, Window, window_of

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


class Standing(NamedTuple):
    """A budget in its present window. `key`: budget, counter, start of the window in seconds since 1970. `limit`: of a
    hard one; `observed`: of one that only looks."""

    budget: Budget
    key: tuple[str, str, int]
    limit: int | None
    observed: int | None
    window: Window


class Counted:
    """`pairs`: budgets with the names of their counters."""

    __slots__ = ("_from", "_now", "_until", "by_id", "hard", "money", "pairs")

    def __init__(self, pairs: list[tuple[Budget, str]]) -> None:
        self.pairs = pairs
        self.by_id = {budget.id: budget for budget, _ in pairs}
        self.money = any(budget.unit == "usd" for budget, _ in pairs)
        self.hard = any(budget.mode == "hard" for budget, _ in pairs)
        self._now: list[Standing] = []
        self._from = self._until = _NEVER

    def at(self, now: datetime) -> list[Standing]:
        if not self._from <= now < self._until:
            self._now = [_standing(budget, counter, now) for budget, counter in self.pairs]
            self._from = max((one.window.start for one in self._now), default=now)
            self._until = min((one.window.end or _NEVER for one in self._now), default=_NEVER)
        return self._now


def _standing(budget: Budget, counter: str, now: datetime) -> Standing:
    window = window_of(budget.window, budget.zone, now)
    limit = budget.limit if budget.mode == "hard" else None
    observed = budget.limit if budget.mode == "observe" else None
    return Standing(budget, (budget.id, counter, int(window.start.timestamp())), limit, observed, window)
