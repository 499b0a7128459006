"""Price cards for gateways: what tokens of a model cost a client now, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta

from afterlaunch.contracts.budgets import PriceCard, Step
from afterlaunch.ground.errors import NotFound
from afterlaunch.prices.in_force import book_of
from afterlaunch.prices.table import SLOT_MINUTES, Rates, rates

LONGEST = timedelta(days=1)
SLOT = timedelta(minutes=SLOT_MINUTES)


class PriceMissing(NotFound):
    """Nobody has priced this model: an unknown price is not zero."""

    code = "price_missing"


def card(provider: str, model: str, client: str, now: datetime) -> PriceCard:
    """Raises PriceMissing."""
    book = book_of(client)
    found = rates(provider, model, now, book=book)
    if found is None:
        raise PriceMissing(f"Nobody has priced {model!r} of {provider!r}.", "A budget says what becomes of such calls.")
    until = now + LONGEST
    if book.timed(provider, model):
        at = now.replace(minute=now.minute - now.minute % SLOT_MINUTES, second=0, microsecond=0) + SLOT
        while at < until:
            # times of the same price share one object
            if rates(provider, model, at, book=book) is not found:
                until = at
            at += SLOT
    return PriceCard(_steps(found), found.flat, found.name, until.timestamp())


def _steps(found: Rates) -> tuple[Step, ...]:
    """Prices finer than a whole pico-USD are rounded up: a card never promises less than a call costs."""
    more = 0 if found.exact else 1
    return tuple(
        Step(tier.above, {kind: None if pico is None else pico + more for kind, pico in tier.pico.items()})
        for tier in found.tiers
    )
