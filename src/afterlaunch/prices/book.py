"""The prices in force for one client: own rows before the bundled table, and what a contract takes off.

Selection (spend rules §2): 1. by provider and the answered model, else the requested one. 2. Own rows of that model;
the one with most matching conditions. 3. The bundled table: the latest of its rows that holds, then its variants, unit
by unit. 4. Percentages of the contract, which own rows do not get: they are what the contract says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from afterlaunch.prices.bundled import SOURCE, Sheet, provider_id, sheet
from afterlaunch.prices.rows import ALWAYS, CONDITIONS, DEFAULTS, Amount, Row, Times, best


@dataclass(frozen=True)
class Own:
    """A row of the client's own. `model` is an exact id, or an anchored pattern where `pattern`."""

    provider: str
    model: str
    row: Row
    pattern: bool = False

    def names(self, provider: str, model: str) -> bool:
        if self.provider != provider:
            return False
        if self.pattern:
            return re.fullmatch(self.model, model, re.IGNORECASE) is not None
        return self.model.lower() == model.lower()


@dataclass(frozen=True)
class Discount:
    """`percent` off (negative: on top) for a provider, or one model of it."""

    id: str
    provider: str
    model: str
    percent: Decimal
    times: Times = ALWAYS

    def names(self, provider: str, model: str, at: datetime) -> bool:
        return self.provider == provider and self.model.lower() in ("", model.lower()) and self.times.hold(at)


@dataclass(frozen=True)
class Resolved:
    """`names`: the rows that a price was taken from; `factor`: what the contract leaves of it."""

    names: tuple[str, ...]
    prices: Mapping[str, Amount]
    source: str
    life_apart: bool
    factor: Decimal = Decimal(1)
    conditions: Mapping[str, str] = field(default_factory=dict)
    open_facts: tuple[str, ...] = ()  # facts that would have mattered and are not recorded
    unpriced_facts: tuple[str, ...] = ()  # facts that are recorded and that no row asks for
    override: bool = False

    @property
    def name(self) -> str:
        """As stored with a call."""
        return f"{self.source} {' + '.join(self.names)}"


@dataclass(frozen=True, eq=False)
class Book:
    """`version` names this state of a client's rows; empty for the bundled table alone."""

    own: tuple[Own, ...] = ()
    discounts: tuple[Discount, ...] = ()
    version: str = ""

    def find(
        self, provider: str | None, model: str | None, at: datetime, facts: Mapping[str, str] | None = None
    ) -> Resolved | None:
        """None when nobody has priced this model: an unknown price is not zero."""
        if not provider or not model:
            return None
        maker, told = provider_id(provider), usual(facts or {})
        found = self._own(maker, model, told, at) or _bundled(maker, model, tuple(sorted(told.items())), at)
        if found is None or found.override or not self.discounts:
            return found
        return self._discounted(found, maker, model, at)

    def timed(self, provider: str | None, model: str | None) -> bool:
        """Whether the price of this model may depend on when it was called."""
        if not provider or not model:
            return False
        maker = provider_id(provider)
        makers = {one.provider for one in self.own} | {one.provider for one in self.discounts}
        if maker in makers:
            return True
        found = sheet(maker, model)
        return found is not None and any(row.times != ALWAYS for row in (*found.standard, *found.variants))

    def _own(self, maker: str, model: str, facts: Mapping[str, str], at: datetime) -> Resolved | None:
        rows = [one.row for one in self.own if one.names(maker, model)]
        found = best(rows, facts, at) if rows else None
        if found is None:
            return None
        bundled = sheet(maker, model)
        open_facts = {name for row in rows for name in row.when if name not in facts and row.times.hold(at)}
        return Resolved(
            (found.id,),
            found.prices,
            f"{found.source.table} {self.version}".strip(),
            bool(bundled and bundled.life_apart),
            conditions=found.when,
            open_facts=tuple(sorted(open_facts)),
            unpriced_facts=_unasked(facts, found.when),
            override=True,
        )

    def _discounted(self, found: Resolved, maker: str, model: str, at: datetime) -> Resolved:
        fitting = [one for one in self.discounts if one.names(maker, model, at)]
        # The percentage of a model stands in place of its provider's.
        fitting = [one for one in fitting if one.model] or fitting
        if not fitting:
            return found
        factor = Decimal(1)
        for one in fitting:
            factor *= 1 - one.percent / 100
        prices = {unit: amount.times(factor) for unit, amount in found.prices.items()}
        names = (*found.names, *(f"{one.id} -{one.percent.normalize():f}%" for one in fitting))
        source = f"{found.source} {self.version}".strip()
        return replace(found, names=names, prices=prices, factor=factor, source=source)


BUNDLED = Book()


def usual(facts: Mapping[str, str]) -> dict[str, str]:
    """Facts in the words of the tables. What says that nothing special was asked for stays, in one word."""
    out: dict[str, str] = {}
    for name in CONDITIONS:
        said = str(facts.get(name) or "").strip()
        word = said.lower()
        if name == "service_tier":
            word = {"standard": "default", "on_demand": "default", "on-demand": "default"}.get(word, word)
            if word == "batch":  # Anthropic says so where others have an API of its own
                out["processing"], word = "batch", "default"
            if word in ("auto", "unspecified"):
                continue
        if name == "region" and word in ("global", "not_available", "not available"):
            continue
        if word:
            out.setdefault(name, word)
    return out


def _unasked(facts: Mapping[str, str], asked: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        name for name, said in sorted(facts.items()) if name not in asked and said not in DEFAULTS.get(name, ())
    )


@lru_cache(maxsize=8192)
def _sheet_price(
    found: Sheet,
    standard: int,
    variants: tuple[int, ...],
    facts: tuple[tuple[str, str], ...],
    open_facts: tuple[str, ...],
) -> Resolved:
    row = found.standard[standard]
    prices, names = dict(row.prices), [row.id]
    asked: dict[str, str] = {}
    for number in reversed(variants):
        one = found.variants[number]
        prices |= one.prices
    for number in variants:
        one = found.variants[number]
        asked |= dict(one.when)
        if one.prices:
            names.append(one.id.removeprefix(found.id).strip())
    return Resolved(
        tuple(names),
        prices,
        str(SOURCE),
        found.life_apart,
        conditions=asked,
        open_facts=open_facts,
        unpriced_facts=_unasked(dict(facts), asked),
    )


def _bundled(maker: str, model: str, facts: tuple[tuple[str, str], ...], at: datetime) -> Resolved | None:
    found = sheet(maker, model)
    if found is None:
        return None
    holding = [number for number, row in enumerate(found.standard) if row.times.hold(at)]
    told = dict(facts)
    now = [(number, row) for number, row in enumerate(found.variants) if row.times.hold(at)]
    variants = tuple(number for number, row in now if row.fits(told))
    might = {name for _, row in now if row.prices for name in row.when if name not in told and name != "processing"}
    return _sheet_price(found, holding[-1] if holding else 0, variants, facts, tuple(sorted(might)))
