"""Rates of a model at a time as whole numbers, for arithmetic on columns: pico-USD (10⁻¹²) per token.

A call's cost is rounded up once, to nano-USD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from afterlaunch.prices.book import BUNDLED, Book, Resolved
from afterlaunch.prices.bundled import LONGEST
from afterlaunch.prices.formula import lines, rate
from afterlaunch.prices.rows import PER, Amount

KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_other", "output", "reasoning")
OVERLAYS = {  # parts of the input or the output that may have a rate of their own: what they replace
    "in_audio": ("input_audio", "input"),
    "in_image": ("input_image", "input"),
    "in_video": ("input_video", "input"),
    "out_audio": ("output_audio", "output"),
    "out_image": ("output_image", "output"),
}
SLOT_MINUTES = 15
"""Prices change on quarters of an hour at the finest."""
_PICO = 1_000_000  # per token, of a price per million


@dataclass(frozen=True)
class Tier:
    """From more than `above` input tokens on, every token of the call costs these pico-USD (None: not known); a token
    of `more` so many pico-USD more (or less) than the one it stands for."""

    above: int
    pico: dict[str, int | None]
    more: dict[str, int]


@dataclass(frozen=True)
class Rates:
    """`assumed` names kinds whose rate was taken from another; `flat`: pico-USD of every request; `exact`: whether
    whole pico-USD hold the prices; where not, `nano` counts in decimals."""

    name: str
    tiers: tuple[Tier, ...]  # ascending; the first is above -1
    assumed: frozenset[str]
    flat: int
    exact: bool
    life_apart: bool
    unpriced_facts: bool
    resolved: Resolved

    def nano(self, buckets: Mapping[str, int], parts: Mapping[str, int]) -> int | None:
        """The exact cost, rounded up once; None where a price lacks."""
        units = {"requests": 1} if "requests" in self.resolved.prices else {}
        amounts = [line.amount for line in lines(self.resolved, buckets, parts, units)]
        return None if None in amounts else nano_of(sum((one for one in amounts if one), Decimal(0)))


def nano_of(usd: Decimal) -> int:
    """Rounded up, once."""
    scaled = usd.scaleb(9)
    whole = int(scaled)
    return whole + (scaled > whole)


def rates(
    provider: str | None,
    model: str | None,
    at: datetime,
    facts: Mapping[str, str] | None = None,
    book: Book = BUNDLED,
) -> Rates | None:
    """None when nobody has priced this model, or not its tokens: an unknown price is not zero."""
    if not provider or not model or len(provider) + len(model) > LONGEST:
        return None
    slot = at.replace(minute=at.minute - at.minute % SLOT_MINUTES, second=0, microsecond=0)
    return _rates(book, provider, model, slot, tuple(sorted((facts or {}).items())))


_one_of_each: dict[str, Rates] = {}  # times with the same price share one object, so that batches group well


@lru_cache(maxsize=4096)
def _rates(book: Book, provider: str, model: str, at: datetime, facts: tuple[tuple[str, str], ...]) -> Rates | None:
    found = book.find(provider, model, at, dict(facts))
    if found is None or "input" not in found.prices:
        return None
    key = repr((found.name, sorted(found.prices.items()), found.unpriced_facts, found.life_apart))
    if key not in _one_of_each:
        _one_of_each[key] = _made(found)
    return _one_of_each[key]


def _made(found: Resolved) -> Rates:
    kinds = {kind: rate(found.prices, kind, found.life_apart) for kind in KINDS}
    overlays = {own for own, _ in OVERLAYS.values()}
    starts = sorted({-1, *(above for amount in found.prices.values() for above, _ in amount.tiers)})
    used = [one.amount for one in kinds.values() if one.amount]
    used += [amount for unit, amount in found.prices.items() if unit in overlays]
    flat = found.prices.get("requests")
    exact = all(_whole(price) for amount in used for price in _all(amount))
    return Rates(
        found.name,
        tuple(_tier(found, {kind: one.amount for kind, one in kinds.items()}, above) for above in starts),
        frozenset(kind for kind, one in kinds.items() if one.taken),
        int(flat.base * 10**12 / PER["requests"]) if flat else 0,
        exact,
        found.life_apart,
        bool(found.unpriced_facts),
        found,
    )


def _tier(found: Resolved, kinds: Mapping[str, Amount | None], above: int) -> Tier:
    pico = {kind: None if amount is None else int(amount.at(above + 1) * _PICO) for kind, amount in kinds.items()}
    more = {}
    for name, (own, instead) in OVERLAYS.items():
        amount, base = found.prices.get(own), pico[instead]
        more[name] = 0 if amount is None or base is None else int(amount.at(above + 1) * _PICO) - base
    return Tier(above, pico, more)


def _all(amount: Amount) -> list[Decimal]:
    return [amount.base, *(price for _, price in amount.tiers)]


def _whole(price: Decimal) -> bool:
    return price * _PICO == int(price * _PICO)
