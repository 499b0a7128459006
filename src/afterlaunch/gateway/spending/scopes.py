"""The budgets that calls of the same facts are counted in, worked out once for each window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from afterlaunch.contracts.budgets import PRESSED, Budget, Window, delay_at, window_of
from afterlaunch.gateway.spending.records import Scopes
from afterlaunch.gateway.spending.shares import Shares

BEYOND = 1 << 60  # above the limit of a budget that never refuses, so that the store tells how full it is
_NEVER = float("inf")


class Standing(NamedTuple):
    """A budget in its present window. `key`: budget, counter, start of the window in seconds since 1970. `limit`: of a
    hard one; `observed`: of one that only looks."""

    budget: Budget
    key: tuple[str, str, int]
    limit: int | None
    observed: int | None
    window: Window


class Standings:
    """All of them in one window of each. `limited`: those that can refuse."""

    __slots__ = ("_alone", "_money", "_tokens", "all", "ids", "limited", "scopes")

    def __init__(self, standings: Sequence[Standing]) -> None:
        self.all = tuple(standings)
        self.ids = [one.budget.id for one in self.all]
        self.limited = [one for one in self.all if one.limit is not None]
        self._tokens = [one.budget.unit == "tokens" for one in self.all]
        self._alone = all(self._tokens)
        self._money = any(one.budget.unit == "usd" for one in self.all)
        self.scopes = Scopes(
            [one.key for one in self.all], [one.limit for one in self.all], [one.observed for one in self.all]
        )

    def amounts(self, counts: int, nano: int | None) -> list[int | None]:
        """What a call uses of each, in its unit; None where nobody can tell. `counts`: tokens, `nano`: their cost."""
        if self._money:
            return [_amount(one.budget, counts, nano) for one in self.all]
        return [counts] * len(self.all) if self._alone else [counts if tokens else 1 for tokens in self._tokens]

    def known(self, amounts: Sequence[int | None]) -> Standings:
        """Without those of which nobody can tell the amount."""
        return Standings([one for one, amount in zip(self.all, amounts, strict=True) if amount is not None])


def _amount(budget: Budget, counts: int, nano: int | None) -> int | None:
    unit = budget.unit
    if unit == "tokens":
        return counts
    if unit == "requests":
        return 1
    if nano is None and budget.no_price == "default-price":
        return -(-counts * budget.default_pico // 1000)
    return nano


class Counted:
    """`pairs`: budgets with the names of their counters. `shares`: what this gateway may spend of shared limits; None:
    there are none, or nobody to draw them from, and every limit is this gateway's own."""

    __slots__ = ("_from", "_now", "_seen", "_until", "by_id", "fill", "hard", "money", "pairs", "pressed", "shares")

    def __init__(self, pairs: list[tuple[Budget, str]], shares: Shares | None = None) -> None:
        self.pairs = pairs
        self.shares = shares if any(budget.shared for budget, _ in pairs) else None
        self._seen = 0
        self.pressed = any(budget.mode in PRESSED for budget, _ in pairs)
        self.fill: dict[tuple[str, str, int], float] = {}  # of those, when it was last seen here
        self.by_id = {budget.id: budget for budget, _ in pairs}
        self.money = any(budget.unit == "usd" for budget, _ in pairs)
        self.hard = any(budget.mode == "hard" for budget, _ in pairs)
        self._now = Standings(())
        self._from = self._until = _NEVER

    def at(self, now: float) -> Standings:
        """`now`: seconds since 1970."""
        if not self._from <= now < self._until or (self.shares is not None and self.shares.version != self._seen):
            found = [_standing(budget, counter, datetime.fromtimestamp(now, UTC)) for budget, counter in self.pairs]
            if self.shares is not None:
                found, self._seen = [_share(one, self.shares) for one in found], self.shares.version
            self._from = max((one.window.start.timestamp() for one in found), default=now)
            ends = [one.window.end.timestamp() for one in found if one.window.end is not None]
            self._until = min(ends, default=_NEVER)
            self._now = Standings(found)
        return self._now

    def see(self, standing: Standing, left: int) -> int:
        """How full a budget is that never refuses; what is really left of it, less than nothing beyond its limit."""
        real = left - BEYOND
        if len(self.fill) > len(self.pairs) * 2:
            self.fill.clear()  # windows that are over
        self.fill[standing.key] = 1 - real / standing.budget.limit
        return real

    def cheaper(self, now: float) -> tuple[str, str] | None:
        """The model to which a budget that is spent moves calls, and the budget's id."""
        for one in self.at(now).all if self.pressed else ():
            if one.budget.cheaper and self.fill.get(one.key, 0.0) >= 1:
                return one.budget.cheaper, one.budget.id
        return None

    def delay(self, now: float) -> float:
        """Seconds that a call waits before it is sent."""
        if not self.pressed:
            return 0.0
        slow = [self.fill.get(one.key, 0.0) for one in self.at(now).all if one.budget.mode == "throttle"]
        return delay_at(max(slow, default=0.0))

    def short(self, now: float) -> list[tuple[str, str, int]]:
        """Counters of which the server may have more for this gateway."""
        return [one.key for one in self.at(now).all if one.budget.shared and (one.limit or 0) < one.budget.limit]

    def low(self, now: float, left: dict[str, int]) -> list[tuple[str, str, int]]:
        """Those of them whose share runs low. `left`: by budget, of what is held."""
        if self.shares is None:
            return []
        return [key for key in self.short(now) if key[0] in left and self.shares.runs_low(key, left[key[0]])]


def _share(one: Standing, shares: Shares) -> Standing:
    return one._replace(limit=min(one.limit or 0, shares.of(one.key))) if one.budget.shared else one


def _standing(budget: Budget, counter: str, now: datetime) -> Standing:
    window = window_of(budget.window, budget.zone, now)
    limit = budget.limit if budget.mode == "hard" else budget.limit + BEYOND if budget.mode in PRESSED else None
    observed = budget.limit if budget.mode == "observe" else None
    return Standing(budget, (budget.id, counter, int(window.start.timestamp())), limit, observed, window)
