"""What one call may spend: reserved before each attempt, settled after it; the tokens of its limits when it has ended.

It knows the call by its facts alone: what an attempt holds and what holds the attempts must not hold each other, or the
memory of every call would wait for the collector of garbage.
"""

from __future__ import annotations

import asyncio

from afterlaunch.gateway.admission import Admission
from afterlaunch.gateway.ending import settle
from afterlaunch.gateway.limits import Buckets
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.report import Attempt
from afterlaunch.gateway.spending.budgets import Asking, Budgets, Hold, kind_of
from afterlaunch.gateway.spending.scopes import Counted
from afterlaunch.gateway.spending.shares import TRIES, Shares
from afterlaunch.ground import clock


class Purse:
    """`call`: its id; `counted`: the budgets that count it."""

    __slots__ = ("_admission", "_buckets", "_budgets", "_call", "counted")

    def __init__(self, budgets: Budgets, buckets: Buckets, admission: Admission, call: str) -> None:
        self._budgets, self._buckets, self._admission, self._call = budgets, buckets, admission, call
        self.counted = admission.counted

    def reserve_now(self, attempt: Attempt, most_output: int | None) -> Hold | None:
        """Without waiting, where this worker may decide it. Raises Refusal when a budget does not allow the attempt."""
        counted = self.counted
        if counted is None or counted.shares is not None or counted.pressed:
            return None
        return self._budgets.reserve_now(self._asking(attempt, most_output), attempt.number, counted)

    async def reserve(self, attempt: Attempt, most_output: int | None) -> Hold | None:
        """Raises Refusal when a budget does not allow the attempt."""
        counted = self.counted
        if counted is None:
            return None
        asking = self._asking(attempt, most_output)
        if counted.shares is None:
            return await self._reserve(asking, attempt.number, counted)
        return await self._of_shares(asking, attempt.number, counted, counted.shares)

    def _asking(self, attempt: Attempt, most_output: int | None) -> Asking:
        admission, provider = self._admission, attempt.target.upstream.provider
        route = admission.route
        kind = kind_of(route.name, route.client, admission.tenant or "", provider, attempt.model or "")
        return Asking(self._call, kind, attempt.sent_bytes, most_output)

    async def _of_shares(self, asking: Asking, number: int, counted: Counted, shares: Shares) -> Hold:
        """The server is asked for more before a call is refused for want of it."""
        for tries in range(TRIES):
            short = counted.short(clock.seconds())
            if any(not shares.of(key) for key in short):  # of a counter that nobody has drawn from yet
                await shares.more([key for key in short if not shares.of(key)], tries)
            try:
                hold = await self._reserve(asking, number, counted)
            except Refusal as refused:
                short = counted.short(clock.seconds())
                if refused.reason != "budget-exhausted" or not short or not await shares.more(short, tries):
                    raise
            else:
                if hold.left is not None:
                    for key in counted.low(clock.seconds(), dict.fromkeys(hold.standings.ids, hold.left)):
                        shares.beforehand(key)
                return hold
        return await self._reserve(asking, number, counted)

    async def _reserve(self, asking: Asking, number: int, counted: Counted) -> Hold:
        hold = self._budgets.reserve_now(asking, number, counted)
        if hold is None:
            hold = await self._budgets.reserve(asking, number, counted)
        if counted.pressed and (seconds := counted.delay(clock.seconds())):
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:  # the caller left: nothing was sent
                self._budgets.settle(hold, None, None, charged=False)
                raise
        return hold

    def cheaper(self) -> tuple[str, str] | None:
        """The model that a spent budget moves the call to, and the budget's id."""
        if self.counted is None or not self.counted.pressed:
            return None
        return self.counted.cheaper(clock.seconds())

    def settle(self, attempt: Attempt) -> None:
        """Once for each attempt, however it ended."""
        settle(self._budgets, attempt)

    def spend(self, last: Attempt) -> None:
        """The tokens of the limits, where there are some."""
        spent = last.tokens or (last.estimate[0] if last.estimate else None)
        if spent is not None:
            self._buckets.spend(self._admission.limited, (spent.input or 0) + (spent.output or 0))
