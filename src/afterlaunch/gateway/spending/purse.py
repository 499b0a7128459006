"""What one call may spend: reserved before each attempt, settled after it; the tokens of its limits when it has ended.

It knows the call by its facts alone: what an attempt holds and what holds the attempts must not hold each other, or the
memory of every call would wait for the collector of garbage.
"""

from __future__ import annotations

from afterlaunch.contracts.snapshot import Route
from afterlaunch.gateway.ending import settle
from afterlaunch.gateway.limits import Buckets, Scope
from afterlaunch.gateway.report import Attempt
from afterlaunch.gateway.spending.budgets import Asking, Budgets, Hold
from afterlaunch.gateway.spending.scopes import Counted


class Purse:
    __slots__ = ("_buckets", "_budgets", "_call", "_counted", "_limited", "_route", "_tenant")

    def __init__(
        self,
        budgets: Budgets,
        buckets: Buckets,
        counted: Counted | None,
        limited: list[Scope],
        call: str,
        route: Route,
        tenant: str | None,
    ) -> None:
        self._budgets, self._buckets, self._counted, self._limited = budgets, buckets, counted, limited
        self._call, self._route, self._tenant = call, route, tenant

    @property
    def counted(self) -> bool:
        """Whether any budget counts the call."""
        return self._counted is not None

    async def reserve(self, attempt: Attempt, most_output: int | None) -> Hold | None:
        """Raises Refusal when a budget does not allow the attempt."""
        if self._counted is None:
            return None
        asking = Asking(
            self._call,
            self._route.name,
            self._route.client,
            self._tenant or "",
            attempt.target.upstream.provider,
            attempt.model or "",
            attempt.sent_bytes,
            most_output,
        )
        return await self._budgets.reserve(asking, attempt.number, self._counted)

    def settle(self, attempt: Attempt) -> None:
        """Once for each attempt, however it ended."""
        if attempt.hold is not None:
            settle(self._budgets, attempt)

    def spend(self, last: Attempt) -> None:
        """The tokens of the limits."""
        spent = last.tokens or (last.estimate[0] if last.estimate else None)
        if self._limited and spent is not None:
            self._buckets.spend(self._limited, (spent.input or 0) + (spent.output or 0))
