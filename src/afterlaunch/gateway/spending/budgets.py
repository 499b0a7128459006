"""Which budgets a call is counted in, what it may cost, and what it did cost."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from datetime import datetime
from typing import Any, NamedTuple

from afterlaunch.contracts.budgets import Budget, PriceCard
from afterlaunch.gateway.estimates import Estimator
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.spending.prices import Prices, kinds_of
from afterlaunch.gateway.spending.scopes import Counted, Standing
from afterlaunch.gateway.spending.store import FLUSH_SECONDS, Asked, Held, Settled, Short, Store, Wanted
from afterlaunch.gateway.usage import Tokens
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
LEASE = 120.0  # seconds after which a reservation that nobody renews is charged
RENEW = 30.0
USUAL_OUTPUT = 1_000  # tokens, until ten answers of the route are known
MARGIN = 1.1  # what a reservation holds above the mean that was learned
SAMPLE = 200  # answers of a route whose 95th percentile is what an output is expected to be
SORTED_AFTER = 8  # answers
GATHERED = 3  # turns of the loop that bring further calls to a transaction, at most


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
        counted: list[Standing],
        wanted: list[Wanted],
        card: PriceCard | None,
        now: float,
    ) -> None:
        self.asking, self.attempt, self.counted, self.wanted = asking, attempt, counted, wanted
        self.card, self.renewed = card, now
        self.left: int | None = None  # of the nearest hard budget, in its unit
        self.reset: datetime | None = None


class Outputs:
    """Of a route's last answers; `usual` is their 95th percentile, sorted anew now and then."""

    __slots__ = ("_seen", "_since", "usual")

    def __init__(self) -> None:
        self._seen: deque[int] = deque(maxlen=SAMPLE)
        self._since = 0
        self.usual = USUAL_OUTPUT

    def add(self, output: int) -> None:
        self._seen.append(output)
        self._since += 1
        if len(self._seen) >= 10 and (self._since >= SORTED_AFTER or len(self._seen) < SAMPLE // 4):
            self._since = 0
            self.usual = sorted(self._seen)[int(len(self._seen) * 0.95)]


class Budgets:
    """`expected` output is the 95th percentile of the route's last answers, or the call's own bound if that is less."""

    def __init__(self, store: Store, prices: Prices, estimator: Estimator, metrics: Metrics) -> None:
        self._store, self._prices, self._estimator, self._metrics = store, prices, estimator, metrics
        self._loop = asyncio.get_running_loop()
        self._outputs: dict[str, Outputs] = {}
        self._live: dict[tuple[str, int], Hold] = {}
        self._flushing: asyncio.TimerHandle | None = None
        self._waiting: list[tuple[Asked, asyncio.Future[Held | Short]]] = []

    async def reserve(self, asking: Asking, attempt: int, counted: Counted) -> Hold:
        """Raises Refusal when a hard budget has too little left, or cannot tell."""
        card = None
        if counted.money:
            who = (asking.client, asking.provider, asking.model)
            known, card = self._prices.known(who)
            card = card if known else await self._prices.card(who)
        now, real = clock.now(), clock.real()
        standing = counted.at(now)
        wanted = self._wanted(standing, counted.money, self._expected(asking), card)
        facts = {"route": asking.route, "client": asking.client, "provider": asking.provider, "model": asking.model}
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
            raise self._refusal(next(one for one in standing if one.budget.id == found.wanted.budget), found, now)
        for budget in found.over:
            self._metrics.add("budget_would_refuse_total", budget=budget)
        hold = Hold(asking, attempt, standing, wanted, card, real)
        if found.left:
            nearest = min((one for one in standing if one.budget.id in found.left), key=lambda one: _share(one, found))
            hold.left, hold.reset = found.left[nearest.budget.id], nearest.window.end
        self._live[asking.call, attempt] = hold
        return hold

    def _reserved(self, asked: Asked) -> asyncio.Future[Held | Short]:
        """Calls that come at the same time share a transaction."""
        if not self._waiting:
            self._loop.call_soon(self._gather, 0, GATHERED)
        answer: asyncio.Future[Held | Short] = self._loop.create_future()
        self._waiting.append((asked, answer))
        return answer

    def _gather(self, before: int, turns: int) -> None:
        """A turn of the loop brings what has come meanwhile, without waiting for anything: a transaction is dear."""
        if len(self._waiting) > before and turns:
            self._loop.call_soon(self._gather, len(self._waiting), turns - 1)
        else:
            self._reserve_waiting()

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
        if counted.hard:
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
            counts, nano = (told.input or 0) + (told.output or 0), _nano(told, hold.card)
            amounts = {one.budget.id: _amount(one.budget, counts, nano) for one in hold.counted}
        asking = hold.asking
        if tokens is not None and tokens.output is not None:
            seen = self._outputs.get(asking.route)
            if seen is None:
                seen = self._outputs[asking.route] = Outputs()
            seen.add(tokens.output)
        facts: dict[str, Any] = {
            "route": asking.route,
            "client": asking.client,
            "tenant": asking.tenant,
            "provider": asking.provider,
            "model": asking.model,
            "tokens": dict(zip(Tokens._fields, told, strict=True)) if told else None,
            "price": hold.card.version if hold.card else None,
        }
        self._settle_soon(asking.call, hold.attempt, Settled(amounts, state, facts), hold.wanted)

    def _settle_soon(self, call: str, attempt: int, settled: Settled, wanted: list[Wanted]) -> None:
        self._store.settle_soon(call, attempt, settled, wanted)
        if self._flushing is None:
            self._flushing = self._loop.call_later(FLUSH_SECONDS, self.flush)

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
        given = self._estimator.asked(asking.model, asking.tenant, asking.sent_bytes)
        seen = self._outputs.get(asking.route)
        usual = seen.usual if seen is not None else USUAL_OUTPUT
        output = usual if asking.most_output is None else min(usual, asking.most_output)
        return Tokens(round(given * MARGIN), output)

    def _wanted(self, standing: list[Standing], money: bool, expected: Tokens, card: PriceCard | None) -> list[Wanted]:
        """Raises Refusal 402 where a price is missing that a hard budget needs."""
        counts, nano = (expected.input or 0) + (expected.output or 0), _nano(expected, card) if money else None
        found = []
        for budget, key, limit, observed, _ in standing:
            if budget.unit == "usd" and nano is None and budget.no_price != "default-price":
                self._unpriced(budget)
                continue
            found.append(Wanted(*key, _amount(budget, counts, nano), limit, observed))
        return found

    def _unpriced(self, budget: Budget) -> None:
        """Raises Refusal, unless the budget lets pass what it cannot count."""
        if budget.no_price == "tokens-only" or budget.mode != "hard":
            self._metrics.add("budget_unpriced_total", budget=budget.id)
            return
        said = f"Budget {budget.name} is in money, and nobody has priced this model. Price it, or choose another rule."
        raise Refusal(402, "price-unknown", said)

    @staticmethod
    def _refusal(at: Standing, short: Short, now: datetime) -> Refusal:
        budget, end = at.budget, at.window.end
        of = f" for {short.wanted.counter}" if short.wanted.counter else ""
        left, limit = _words(budget, short.left), _words(budget, budget.limit)
        said = f"Budget {budget.name}{of} has {left} of {limit} left in this {budget.window}; this call may need "
        said += _words(budget, short.wanted.amount) + "."
        if end is None:
            return Refusal(402, "budget-exhausted", said)
        said += f" It renews at {end.isoformat().replace('+00:00', 'Z')}."
        return Refusal(429, "budget-exhausted", said, retry_after=max(1, int((end - now).total_seconds()) + 1))


def _nano(tokens: Tokens, card: PriceCard | None) -> int | None:
    """What they cost, None where nobody has priced them."""
    return card.nano(kinds_of(tokens)) if card is not None else None


def _amount(budget: Budget, counts: int, nano: int | None) -> int:
    """In the budget's unit. `counts`: tokens of both sides."""
    if budget.unit == "tokens":
        return counts
    if budget.unit == "requests":
        return 1
    return nano if nano is not None else -(-counts * budget.default_pico // 1000)


def _share(one: Standing, held: Held) -> float:
    return held.left[one.budget.id] / one.budget.limit


def _words(budget: Budget, amount: int) -> str:
    return f"${amount / 1e9:,.6f}" if budget.unit == "usd" else f"{amount:,} {budget.unit}"
