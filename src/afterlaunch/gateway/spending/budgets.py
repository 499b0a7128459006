"""Which budgets a call is counted in, what it may cost, and what it did cost."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from datetime import datetime
from typing import Any, NamedTuple

from afterlaunch.contracts.budgets import Budget, PriceCard, Window, window_of
from afterlaunch.gateway.estimates import Estimator
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.spending.prices import Prices, kinds_of
from afterlaunch.gateway.spending.store import FLUSH_SECONDS, Asked, Held, Settled, Short, Store, Wanted
from afterlaunch.gateway.usage import Tokens
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
LEASE = 120.0  # seconds after which a reservation that nobody renews is charged
RENEW = 30.0
USUAL_OUTPUT = 1_000  # tokens, until ten answers of the route are known
MARGIN = 1.1  # what a reservation holds above the mean that was learned
SAMPLE = 200  # answers of a route whose 95th percentile is what an output is expected to be

Counted = list[tuple[Budget, str]]  # budget, counter


class Asking(NamedTuple):
    """What is known of a call before it is sent. `most_output`: its own bound, times its choices; None: none."""

    call: str
    route: str
    client: str
    tenant: str
    provider: str
    model: str
    sent_bytes: int
    most_output: int | None


class Hold:
    """A reservation of one attempt."""

    __slots__ = ("asking", "attempt", "card", "counted", "left", "renewed", "reset", "wanted")

    def __init__(
        self,
        asking: Asking,
        attempt: int,
        counted: Counted,
        wanted: list[Wanted],
        card: PriceCard | None,
        now: float,
    ) -> None:
        self.asking, self.attempt, self.counted, self.wanted = asking, attempt, counted, wanted
        self.card, self.renewed = card, now
        self.left: int | None = None  # of the nearest hard budget, in its unit
        self.reset: datetime | None = None


class Budgets:
    """`expected` output is the 95th percentile of the route's last answers, or the call's own bound if that is less."""

    def __init__(self, store: Store, prices: Prices, estimator: Estimator, metrics: Metrics) -> None:
        self._store, self._prices, self._estimator, self._metrics = store, prices, estimator, metrics
        self._outputs: dict[str, deque[int]] = {}
        self._windows: dict[tuple[str, str], Window] = {}
        self._live: dict[tuple[str, int], Hold] = {}
        self._flushing: asyncio.TimerHandle | None = None
        self._waiting: list[tuple[Asked, asyncio.Future[Held | Short]]] = []

    async def reserve(self, asking: Asking, attempt: int, counted: Counted) -> Hold:
        """Raises Refusal when a hard budget has too little left, or cannot tell."""
        card = None
        if any(budget.unit == "usd" for budget, _ in counted):
            who = (asking.client, asking.provider, asking.model)
            known, card = self._prices.known(who)
            card = card if known else await self._prices.card(who)
        now = clock.now()
        expected = self._expected(asking)
        wanted = [one for budget, counter in counted if (one := self._wanted(budget, counter, expected, card, now))]
        facts = {"route": asking.route, "client": asking.client, "provider": asking.provider, "model": asking.model}
        real = clock.real()
        by_id = {budget.id: budget for budget, _ in counted}
        answer = self._reserved(Asked(asking.call, attempt, wanted, real + LEASE, facts))
        try:
            found = await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and isinstance(answer.result(), Held):
                self._settle_soon(asking.call, attempt, Settled({}, "exact", facts), wanted)  # nothing was sent
            raise
        except sqlite3.Error as problem:
            return self._without_store(problem, Hold(asking, attempt, [], [], card, real), counted)
        if isinstance(found, Short):
            self._metrics.add("budget_refusals_total", budget=found.wanted.budget)
            raise self._refusal(by_id[found.wanted.budget], found, now)
        for budget in found.over:
            self._metrics.add("budget_would_refuse_total", budget=budget)
        hold = Hold(asking, attempt, counted, wanted, card, real)
        if found.left:
            nearest = min(found.left, key=lambda one: found.left[one] / by_id[one].limit)
            hold.left, hold.reset = found.left[nearest], self._window(by_id[nearest], now).end
        self._live[asking.call, attempt] = hold
        return hold

    def _reserved(self, asked: Asked) -> asyncio.Future[Held | Short]:
        """Calls that come at the same time share a transaction."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._reserve_waiting)
        answer: asyncio.Future[Held | Short] = loop.create_future()
        self._waiting.append((asked, answer))
        return answer

    def _reserve_waiting(self) -> None:
        """Nobody waits any more for the answer of a caller who has left: its reservation is let go."""
        waiting, self._waiting = self._waiting, []
        live = [(asked, answer) for asked, answer in waiting if not answer.done()]
        try:
            found = self._store.reserve_all([asked for asked, _ in live], clock.real())
        except sqlite3.Error as problem:
            for _, answer in live:
                answer.set_exception(problem)
            return
        for (_, answer), one in zip(live, found, strict=True):
            answer.set_result(one)

    def _without_store(self, problem: sqlite3.Error, hold: Hold, counted: Counted) -> Hold:
        """What a hard budget forbids cannot be known: it refuses. Others let pass, and it is counted."""
        log.error("budgets cannot be counted: %s", problem)
        self._metrics.add("budget_store_failures_total")
        if any(budget.mode == "hard" for budget, _ in counted):
            said = "The gateway cannot count budgets at this moment; its log says why."
            raise Refusal(503, "budget-store", said, retry_after=5)
        return hold

    def settle(self, hold: Hold, tokens: Tokens | None, estimate: Tokens | None, charged: bool) -> None:
        """`charged`: whether the provider may bill it; a refused connection or an error's answer costs nothing."""
        self._live.pop((hold.asking.call, hold.attempt), None)
        told = tokens or estimate
        amounts: dict[str, int] = {}
        if not charged:
            state = "exact"
        elif told is None:
            state = "unknown"
        else:
            state = "exact" if tokens is not None else "estimated"
            amounts = {budget.id: self._amount(budget, told, hold.card) for budget, _ in hold.counted}
        if tokens is not None and tokens.output is not None:
            self._outputs.setdefault(hold.asking.route, deque(maxlen=SAMPLE)).append(tokens.output)
        facts: dict[str, Any] = {
            "route": hold.asking.route,
            "client": hold.asking.client,
            "tenant": hold.asking.tenant,
            "provider": hold.asking.provider,
            "model": hold.asking.model,
            "tokens": told._asdict() if told else None,
            "price": hold.card.version if hold.card else None,
        }
        self._settle_soon(hold.asking.call, hold.attempt, Settled(amounts, state, facts), hold.wanted)

    def _settle_soon(self, call: str, attempt: int, settled: Settled, wanted: list[Wanted]) -> None:
        self._store.settle_soon(call, attempt, settled, wanted)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Settle what waits; what cannot be written waits on, and its reservations expire if it never can."""
        self._flushing = None
        try:
            self._store.flush(clock.real())
        except sqlite3.Error as problem:
            log.error("attempts could not be settled: %s", problem)
            self._metrics.add("budget_store_failures_total")

    def tend(self, now: float) -> None:
        """About once a second: renew what lives, charge what nobody settles."""
        old = [key for key, hold in self._live.items() if now - hold.renewed > RENEW]
        try:
            self._store.flush(now)
            self._store.renew(old, now + LEASE, now)
            late = self._store.expire(now)
        except sqlite3.Error as problem:
            log.error("reservations cannot be tended: %s", problem)
            self._metrics.add("budget_store_failures_total")
            return
        for key in old:
            self._live[key].renewed = now
        if late:
            log.warning("%s reservations were charged: nobody settled them in time", late)
            self._metrics.add("budget_unconfirmed_total", late)

    def _expected(self, asking: Asking) -> Tokens:
        guess, _ = self._estimator.estimate(asking.model, asking.tenant, asking.sent_bytes, 0)
        seen = self._outputs.get(asking.route)
        usual = sorted(seen)[int(len(seen) * 0.95)] if seen and len(seen) >= 10 else USUAL_OUTPUT
        output = usual if asking.most_output is None else min(usual, asking.most_output)
        return Tokens(input=round((guess.input or 0) * MARGIN), output=output)

    def _wanted(
        self, budget: Budget, counter: str, expected: Tokens, card: PriceCard | None, now: datetime
    ) -> Wanted | None:
        if budget.unit == "usd" and not self._priced(budget, expected, card):
            if budget.no_price == "tokens-only" or budget.mode != "hard":
                self._metrics.add("budget_unpriced_total", budget=budget.id)
                return None
            said = (
                f"Budget {budget.name} is in money, and nobody has priced this model. Price it, or choose another rule."
            )
            raise Refusal(402, "price-unknown", said)
        start = int(self._window(budget, now).start.timestamp())
        amount, hard = self._amount(budget, expected, card), budget.mode == "hard"
        observed = budget.limit if budget.mode == "observe" else None
        return Wanted(budget.id, counter, start, amount, budget.limit if hard else None, observed)

    @staticmethod
    def _priced(budget: Budget, tokens: Tokens, card: PriceCard | None) -> bool:
        known = card is not None and card.nano(kinds_of(tokens)) is not None
        return known or budget.no_price == "default-price"

    @staticmethod
    def _amount(budget: Budget, tokens: Tokens, card: PriceCard | None) -> int:
        counts = (tokens.input or 0) + (tokens.output or 0)
        if budget.unit == "requests":
            return 1
        if budget.unit == "tokens":
            return counts
        nano = card.nano(kinds_of(tokens)) if card is not None else None
        return nano if nano is not None else -(-counts * budget.default_pico // 1000)

    def _window(self, budget: Budget, now: datetime) -> Window:
        key = (budget.window, budget.zone)
        found = self._windows.get(key)
        if found is None or not (found.start <= now and (found.end is None or now < found.end)):
            found = self._windows[key] = window_of(budget.window, budget.zone, now)
        return found

    def _refusal(self, budget: Budget, short: Short, now: datetime) -> Refusal:
        end = self._window(budget, now).end
        of = f" for {short.wanted.counter}" if short.wanted.counter else ""
        left, limit = _words(budget, short.left), _words(budget, budget.limit)
        said = f"Budget {budget.name}{of} has {left} of {limit} left in this {budget.window}; this call may need "
        said += _words(budget, short.wanted.amount) + "."
        if end is None:
            return Refusal(402, "budget-exhausted", said)
        said += f" It renews at {end.isoformat().replace('+00:00', 'Z')}."
        return Refusal(429, "budget-exhausted", said, retry_after=max(1, int((end - now).total_seconds()) + 1))


def _words(budget: Budget, amount: int) -> str:
    return f"${amount / 1e9:,.6f}" if budget.unit == "usd" else f"{amount:,} {budget.unit}"
