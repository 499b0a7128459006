"""Which budgets a call is counted in, what it may cost, and what it did cost."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, cast

import orjson

from afterlaunch.contracts.budgets import PRESSED, Budget, PriceCard
from afterlaunch.gateway.estimates import Estimator
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.spending.prices import Prices, kinds_of
from afterlaunch.gateway.spending.records import Asked, Held, Settled, Short
from afterlaunch.gateway.spending.scopes import Counted, Standing, Standings
from afterlaunch.gateway.spending.store import FLUSH_SECONDS, IDLE_SECONDS, Store
from afterlaunch.gateway.usage import Tokens
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
LEASE = 120.0  # seconds after which a reservation that nobody renews is charged
RENEW = 30.0
USUAL_OUTPUT = 1_000  # tokens, until ten answers of the route are known
MARGIN = 1.1  # what a reservation holds above the mean that was learned
SAMPLE = 200  # answers of a route whose 95th percentile is what an output is expected to be
SORTED_AFTER = 32  # answers
LENT_SECONDS = 2 * IDLE_SECONDS  # that a call waits for what other workers hold unspent
GATHERED = 3  # turns of the loop that bring further calls to a transaction, at most


class Kind:
    """What attempts have in common that ask for the same model in the same name. `facts`: what the ledger says of it,
    by version of the price."""

    __slots__ = ("_facts", "_said", "model", "route", "tenant", "who")

    def __init__(self, route: str, client: str, tenant: str, provider: str, model: str) -> None:
        self.route, self.tenant, self.model = route, tenant, model
        self.who = (client, provider, model)
        self._said = {"route": route, "client": client, "tenant": tenant, "provider": provider, "model": model}
        self._facts: dict[str | None, bytes] = {}

    def facts(self, price: str | None) -> bytes:
        """JSON without its end."""
        found = self._facts.get(price)
        if found is None:
            self._facts = {price: orjson.dumps({**self._said, "price": price})[:-1]}
            found = self._facts[price]
        return found


kind_of = lru_cache(maxsize=4096)(Kind)


class Asking(NamedTuple):
    """What is known of an attempt before it is sent. `most_output`: its own bound, times its choices; None: none."""

    call: str
    kind: Kind
    sent_bytes: int
    most_output: int | None


class Hold:
    """A reservation of one attempt. `facts`: what the ledger keeps of it; `left`: of the nearest hard budget, in its
    unit."""

    __slots__ = ("asking", "attempt", "card", "facts", "left", "reset", "standings")

    def __init__(
        self, asking: Asking, attempt: int, standings: Standings, card: PriceCard | None, facts: bytes
    ) -> None:
        self.asking, self.attempt, self.standings, self.card, self.facts = asking, attempt, standings, card, facts
        self.left: int | None = None
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
        if self._since >= SORTED_AFTER or 10 <= len(self._seen) < SAMPLE // 4:
            self._since = 0
            self.usual = sorted(self._seen)[int(len(self._seen) * 0.95)]


class Budgets:
    """`expected` output is the 95th percentile of the route's last answers, or the call's own bound if that is less."""

    def __init__(self, store: Store, prices: Prices, estimator: Estimator, metrics: Metrics) -> None:
        self._store, self._prices, self._estimator, self._metrics = store, prices, estimator, metrics
        self._loop = asyncio.get_running_loop()
        self._outputs: dict[str, Outputs] = {}
        self._flushing: asyncio.TimerHandle | None = None
        self._waiting: list[tuple[Asked, asyncio.Future[Held | Short]]] = []

    def reserve_now(self, asking: Asking, attempt: int, counted: Counted) -> Hold | None:
        """Where prices are known and what this worker was granted covers it; else None, and `reserve` may do it. Raises
        Refusal where a price is missing."""
        card = None
        if counted.money:
            known, card = self._prices.known(asking.kind.who)
            if not known:
                return None
        now, real = clock.seconds(), clock.real()
        standings, asked = self._asked(asking, attempt, counted.at(now), card, now, real)
        try:
            found = self._store.take(asked, real)
        except sqlite3.Error:
            return None  # `reserve` meets it again
        if found is None:
            return None
        if self._flushing is None:
            self._flush_soon()
        return self._held(Hold(asking, attempt, standings, card, asked.facts), found, counted)

    async def reserve(self, asking: Asking, attempt: int, counted: Counted) -> Hold:
        """Raises Refusal when a hard budget has too little left, or cannot tell."""
        card = None
        if counted.money:
            known, card = self._prices.known(asking.kind.who)
            card = card if known else await self._prices.card(asking.kind.who)
        now, real = clock.seconds(), clock.real()
        standings, asked = self._asked(asking, attempt, counted.at(now), card, now, real, patient=True)
        try:
            found = await self._answer(asked)
            if isinstance(found, Short) and found.may_come:
                found = await self._insist(asked)
        except sqlite3.Error as problem:
            return self._without_store(problem, Hold(asking, attempt, Standings(()), card, asked.facts), counted)
        if isinstance(found, Short):
            self._metrics.add("budget_refusals_total", budget=found.wanted.budget)
            raise self._refusal(next(one for one in standings.all if one.budget.id == found.wanted.budget), found, now)
        return self._held(Hold(asking, attempt, standings, card, asked.facts), found, counted)

    async def _insist(self, asked: Asked) -> Held | Short:
        """It is short only of what other workers hold: that comes back when they do not use it, at once from the
        dead."""
        self._store.recover(clock.real())
        until = self._loop.time() + LENT_SECONDS
        while True:
            patient = self._loop.time() < until
            found = await self._answer(asked._replace(patient=patient))
            if isinstance(found, Held) or not (patient and found.may_come):
                return found
            await asyncio.sleep(FLUSH_SECONDS)

    async def _answer(self, asked: Asked) -> Held | Short:
        """A caller who leaves meanwhile holds nothing: nothing was sent."""
        answer = self._reserved(asked)
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and isinstance(answer.result(), Held):
                self._settle_soon(asked.call, asked.attempt, Settled({}, "exact", asked.facts[:-1] + b',"nano":0}'))
            raise

    def _held(self, hold: Hold, found: Held, counted: Counted) -> Hold:
        for budget in found.over:
            self._metrics.add("budget_would_refuse_total", budget=budget)
        left = found.left
        if left and counted.pressed:
            for one in hold.standings.limited:
                if one.budget.mode in PRESSED and one.budget.id in left:
                    left[one.budget.id] = max(counted.see(one, left[one.budget.id]), 0)
        if left:
            limited = hold.standings.limited
            nearest = limited[0] if len(limited) == 1 else min(limited, key=lambda one: _share(one, found))
            hold.left, hold.reset = left[nearest.budget.id], nearest.window.end
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
        told = tokens or estimate
        amounts: dict[str, int] = {}
        nano: int | None = None
        if not charged:
            state, nano = "exact", 0
        elif told is None:
            state = "unknown"
        else:
            state = "exact" if tokens is not None else "estimated"
            counts, nano = (told.input or 0) + (told.output or 0), _nano(told, hold.card)
            standings = hold.standings
            used = standings.amounts(counts, nano)
            if None in used:
                used = [amount or 0 for amount in used]
            amounts = dict(zip(standings.ids, cast(list[int], used), strict=True))
        asking = hold.asking
        if tokens is not None and tokens.output is not None:
            route = asking.kind.route
            seen = self._outputs.get(route)
            if seen is None:
                seen = self._outputs[route] = Outputs()
            seen.add(tokens.output)
        came = orjson.dumps(
            {"nano": nano, "tokens": dict(zip(Tokens._fields, told, strict=True)) if told and charged else None}
        )
        self._settle_soon(asking.call, hold.attempt, Settled(amounts, state, hold.facts[:-1] + b"," + came[1:]))

    def _settle_soon(self, call: str, attempt: int, settled: Settled) -> None:
        self._store.settle_soon(call, attempt, settled, clock.real())
        if self._flushing is None:
            self._flush_soon()

    def _flush_soon(self) -> None:
        self._flushing = self._loop.call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Book what waits; what cannot be written waits on, and its reservations expire if it never can. Again while
        grants are out: those that nobody uses go back."""
        self._flushing = None
        try:
            self._store.flush(clock.real())
        except sqlite3.Error as problem:
            log.error("attempts could not be settled: %s", problem)
            self._metrics.add("budget_store_failures_total")
            return
        if self._store.holding:
            self._flush_soon()

    def tend(self, now: float) -> None:
        """About once a second: renew what lives, charge what nobody settles."""
        try:
            self._store.flush(now)
            self._store.recover(now)
            self._store.renew(self._store.due(now + LEASE - RENEW), now + LEASE, now)
            late = self._store.expire(now)
        except sqlite3.Error as problem:
            log.error("reservations cannot be tended: %s", problem)
            self._metrics.add("budget_store_failures_total")
            return
        if late:
            log.warning("%s reservations were charged: nobody settled them in time", late)
            self._metrics.add("budget_unconfirmed_total", late)

    def _asked(
        self,
        asking: Asking,
        attempt: int,
        standings: Standings,
        card: PriceCard | None,
        now: float,
        real: float,
        patient: bool = False,
    ) -> tuple[Standings, Asked]:
        """What it is expected to need of each counter that can count it: tokens of the request as was learned, of the
        answer what is usual on the route. Raises Refusal 402 where a hard budget needs a missing price."""
        call, kind, sent, most = asking
        given = round(self._estimator.asked(kind.model, kind.tenant, sent) * MARGIN)
        seen = self._outputs.get(kind.route)
        output = seen.usual if seen is not None else USUAL_OUTPUT
        if most is not None and most < output:
            output = most
        nano, price, text = None, None, b"null"
        if card is not None:
            nano, price = _nano(Tokens(given, output), card), card.version
            text = b"null" if nano is None else b"%d" % nano
        counts = given + output
        facts = b'%b,"reserved":[%d,%d,%b]}' % (kind.facts(price), now, counts, text)
        amounts = standings.amounts(counts, nano)
        if None in amounts:
            self._unpriced(standings, amounts)
            standings = standings.known(amounts)
            amounts = [amount for amount in amounts if amount is not None]
        return standings, Asked(call, attempt, standings.scopes, cast(list[int], amounts), real + LEASE, facts, patient)

    def _unpriced(self, standings: Standings, amounts: Sequence[int | None]) -> None:
        """Raises Refusal, unless the budgets let pass what they cannot count."""
        for budget in (one.budget for one, amount in zip(standings.all, amounts, strict=True) if amount is None):
            if budget.no_price != "tokens-only" and budget.mode == "hard":
                said = f"Budget {budget.name} is in money, and nobody has priced this model."
                raise Refusal(402, "price-unknown", f"{said} Price it, or choose another rule.")
            self._metrics.add("budget_unpriced_total", budget=budget.id)

    @staticmethod
    def _refusal(at: Standing, short: Short, now: float) -> Refusal:
        budget, end = at.budget, at.window.end
        of = f" for {short.wanted.counter}" if short.wanted.counter else ""
        left, limit = _words(budget, short.left), _words(budget, budget.limit)
        said = f"Budget {budget.name}{of} has {left} of {limit} left in this {budget.window}; this call may need "
        said += _words(budget, short.wanted.amount) + "."
        if end is None:
            return Refusal(402, "budget-exhausted", said)
        said += f" It renews at {end.isoformat().replace('+00:00', 'Z')}."
        return Refusal(429, "budget-exhausted", said, retry_after=max(1, int(end.timestamp() - now) + 1))


def _nano(tokens: Tokens, card: PriceCard | None) -> int | None:
    """What they cost, None where nobody has priced them."""
    return card.nano(kinds_of(tokens)) if card is not None else None


def _share(one: Standing, held: Held) -> float:
    return held.left[one.budget.id] / one.budget.limit


def _words(budget: Budget, amount: int) -> str:
    return f"${amount / 1e9:,.6f}" if budget.unit == "usd" else f"{amount:,} {budget.unit}"
