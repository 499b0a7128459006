"""The cost of each call, as arithmetic on columns: one look-up per series and quarter of an hour, none per span."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from afterlaunch.ground import clock
from afterlaunch.prices.book import BUNDLED, Book
from afterlaunch.prices.buckets import BUCKETS, Count
from afterlaunch.prices.formula import KIND
from afterlaunch.prices.in_force import book_of
from afterlaunch.prices.table import OVERLAYS, SLOT_MINUTES, Rates, rates
from afterlaunch.telemetry.anyvalues import Bools, Ints

SLOT_NS = SLOT_MINUTES * 60_000_000_000
INPUTS = 6  # of the buckets
OTHER = BUCKETS.index("in_cache_write_other")
FRESH, VISIBLE = BUCKETS.index("in_uncached"), BUCKETS.index("out_visible")
NO_RATE = -1
WORDS_PRICED_BY = ("provider", "model_answered", "model_requested", "service_tier")
PRICED_BY = (*WORDS_PRICED_BY, "batch", "start_ns", "client")
MOST_SLOTS = 1_000
MOST_NANO = 10.0**14
"""Of one call: 100,000 USD. What is more is another unit, and sums of it would be no numbers any more."""
SENDER = "sender"
_WORDS = pa.array(["unknown", "exact", "assumed", SENDER], pa.string())
_UNKNOWN, _EXACT, _ASSUMED, _SENDER = range(4)
APART, APART_NANO = 0.01, 100_000  # a sender's cost may differ by this share, or by 0.0001 USD


@dataclass(frozen=True)
class Price:
    """`above[t]`: tier t holds from more than so many input tokens on; `pico[t, bucket]`: NO_RATE where none is."""

    name: str
    on_requested: bool
    above: Ints
    pico: Ints
    more: Ints  # per tier and overlay: what a token costs more than the one it stands for
    assumed: Bools  # per bucket
    flat: int  # pico-USD of every request
    open_fact: bool  # a fact is recorded that no price row asks for
    rates: Rates


FLAGS = (*("price_missing", "usage_missing", "price_on_requested_model", "cache_write_ttl_assumed", "tier_not_priced"),)


class Costs:
    """Fills `cost_nano`, `cost_confidence`, `price` for the rows that are calls; the rest stay NULL."""

    def __init__(self, count: int) -> None:
        self.nano = np.zeros(count, np.int64)
        self.known = np.zeros(count, bool)
        self.confidence = np.full(count, -1, np.int64)
        self.price = np.full(count, -1, np.int64)
        self.names: list[str] = []
        self.flags: dict[str, Bools] = {name: np.zeros(count, bool) for name in FLAGS}

    def columns(self) -> dict[str, Any]:
        return {
            "cost_nano": pa.array(self.nano, pa.int64(), mask=~self.known),
            "cost_confidence": _WORDS.take(pa.array(self.confidence, mask=self.confidence < 0)),
            "price": pa.array(self.names, pa.string()).take(pa.array(self.price, mask=self.price < 0)),
        }


class _Slots(dict[int, Price | None]):
    """The price of one model, served one way, in each quarter of an hour, looked up once."""

    def __init__(self, book: Book, of: tuple[str | None, ...]) -> None:
        self._book, self._of = book, of
        self._timed = any(book.timed(of[0], model) for model in of[1:3])

    def __missing__(self, slot: int) -> Price | None:
        if len(self) >= MOST_SLOTS:
            self.clear()
        if not self._timed and self:
            self[slot] = next(iter(self.values()))
        else:
            self[slot] = self._found(clock.from_ns(slot * SLOT_NS))
        return self[slot]

    def _found(self, at: datetime) -> Price | None:
        maker, answered, requested, tier, processing = self._of
        told = {"service_tier": tier, "processing": processing}
        facts = {name: said for name, said in told.items() if said}
        found = rates(maker, answered, at, facts, self._book)
        used = found or rates(maker, requested, at, facts, self._book)
        return _one(used, found is None) if used else None


_slots = lru_cache(maxsize=1024)(_Slots)
_made: dict[tuple[int, bool], Price] = {}


def _one(found: Rates, on_requested: bool) -> Price:
    """One object per price: `rates` keeps one of each for good."""
    key = id(found), on_requested
    if key not in _made:
        _made[key] = _as_columns(found, on_requested)
    return _made[key]


def _as_columns(found: Rates, on_requested: bool) -> Price:
    kinds = list(KIND.values())
    pico = [[NO_RATE if (rate := tier.pico[kind]) is None else rate for kind in kinds] for tier in found.tiers]
    above = np.array([tier.above for tier in found.tiers], np.int64)
    assumed = np.array([kind in found.assumed for kind in kinds])
    more = np.array([[tier.more[name] for name in OVERLAYS] for tier in found.tiers], np.int64)
    columns = np.array(pico, np.int64)
    return Price(found.name, on_requested, above, columns, more, assumed, found.flat, found.unpriced_facts, found)


@dataclass(frozen=True)
class Models:
    """Who answered what, served how: provider, answered and requested model, service tier and processing as numbers
    into lists of words (-1: none), and the start."""

    words: tuple[list[str], ...]
    codes: tuple[Ints, ...]
    start_ns: Ints


DOUBTED = (
    *("total_mismatch", "cache_exceeds_input", "negative_bucket", "cache_write_split_exceeds_total"),
    "semantics_assumed",
)
"""Flags of counts that contradict each other: what they cost is not exact."""


def doubt(costs: Costs, rows: Bools) -> None:
    """What these rows cost rests on an assumption."""
    costs.confidence[rows & (costs.confidence == _EXACT)] = _ASSUMED


def believe_sender(costs: Costs, call: Bools, reported: Ints, known: Bools) -> None:
    """What the sender says a call cost counts only where no price is known; beside ours it is compared."""
    alone = call & known & ~costs.known
    costs.nano[alone], costs.known[alone], costs.confidence[alone] = reported[alone], True, _SENDER
    both = call & known & ~alone
    apart = np.abs(costs.nano - reported) > np.maximum(costs.nano * APART, APART_NANO)
    costs.flags |= {"cost_from_sender": alone, "cost_mismatch": both & apart}


PROCESSING = ["batch"]


def price_calls(told: dict[str, Any], buckets: dict[str, Any], book: Book | None = None) -> Costs:
    """Calls that are stored, from their raw buckets: Arrow arrays of equal length, `told` those of `PRICED_BY`. By
    `book`, or by what is in force for each client."""
    coded = [told[name].dictionary_encode() for name in WORDS_PRICED_BY]
    words: tuple[list[str], ...] = (*(one.dictionary.to_pylist() for one in coded), PROCESSING)
    batch = told["batch"].fill_null(False).to_numpy(zero_copy_only=False)
    codes = (*(one.indices.fill_null(-1).to_numpy() for one in coded), np.where(batch, 0, -1))
    counts = {
        name: Count(column.fill_null(0).to_numpy(), column.is_valid().to_numpy(zero_copy_only=False))
        for name, column in buckets.items()
    }
    overlays = {name: counts[name] for name in OVERLAYS if name in counts}
    models, call = Models(words, codes, told["start_ns"].to_numpy()), np.ones(len(batch), bool)
    if book is None:
        return price_by_client(call, told["client"], models, counts, overlays)
    return price_rows(call, models, counts, overlays, book)


def price_rows(
    call: Bools,
    models: Models,
    buckets: dict[str, Count],
    overlays: dict[str, Count],
    book: Book = BUNDLED,
    costs: Costs | None = None,
) -> Costs:
    """`call` marks the rows to price; `overlays` are parts of the input or the output, priced in their place; `costs`:
    what other rows cost already."""
    costs = Costs(len(call)) if costs is None else costs
    rows = np.flatnonzero(call)
    if not len(rows):
        return costs
    tokens = np.array([buckets[name].values * buckets[name].known for name in BUCKETS])[:, rows]
    told = (buckets["in_uncached"].known & buckets["out_visible"].known)[rows]
    costs.confidence[rows] = _UNKNOWN
    costs.flags["usage_missing"][rows[~told]] = True
    prices, of_row = _prices(models, rows, book)
    costs.flags["price_missing"][rows[of_row < 0]] = True
    if prices:
        parts = [overlays[name].values[rows] if name in overlays else None for name in OVERLAYS]
        _fill(costs, rows, prices, of_row, tokens, told, parts)
    return costs


def price_by_client(
    call: Bools, clients: Any, models: Models, buckets: dict[str, Count], overlays: dict[str, Count]
) -> Costs:
    """Each client's calls by the book in force for it."""
    coded = clients.dictionary_encode()
    names = [str(name) for name in coded.dictionary.to_pylist()]
    if len(names) == 1:
        return price_rows(call, models, buckets, overlays, book_of(names[0]))
    costs, of = Costs(len(call)), coded.indices.to_numpy()
    for number, name in enumerate(names):
        price_rows(call & (of == number), models, buckets, overlays, book_of(name), costs)
    return costs


def _prices(models: Models, rows: Ints, book: Book) -> tuple[list[Price], Ints]:
    """(the prices that occur, each row's place among them or -1). By distinct series and quarter of an hour."""
    slots, at = np.unique(models.start_ns[rows] // SLOT_NS, return_inverse=True)
    key = np.zeros(len(rows), np.int64)
    for words, codes in zip(models.words, models.codes, strict=True):
        key = key * (len(words) + 1) + codes[rows] + 1
    distinct, of_row = np.unique(key * len(slots) + at, return_inverse=True)
    model, slot = distinct // len(slots), slots[distinct % len(slots)]
    tables = {one: _slots(book, tuple(_parts(one, models.words))) for one in set(model.tolist())}
    found = [tables[one][at] for one, at in zip(model.tolist(), slot.tolist(), strict=True)]
    prices = {id(price): price for price in found if price}
    number = {key: place for place, key in enumerate(prices)}
    return list(prices.values()), np.array([number.get(id(price), -1) for price in found])[of_row]


def _parts(one: int, words: tuple[list[str], ...]) -> list[str | None]:
    parts: list[str | None] = []
    for column in reversed(words):
        one, code = divmod(one, len(column) + 1)
        parts.insert(0, column[code - 1] if code else None)
    return parts


def _fill(
    costs: Costs,
    rows: Ints,
    prices: list[Price],
    of_row: Ints,
    tokens: npt.NDArray[np.int64],
    told: Bools,
    parts: list[Ints | None],
) -> None:
    first = len(costs.names)
    costs.names += [price.name for price in prices]
    tiers = np.array([len(price.above) for price in prices])
    begins = np.cumsum(tiers) - tiers
    pico, above = np.concatenate([price.pico for price in prices]), np.concatenate([price.above for price in prices])
    has = of_row >= 0
    inputs = tokens[:INPUTS].sum(axis=0)
    tier = begins[of_row]
    for step in range(1, int(tiers.max())):
        later = np.minimum(begins[of_row] + step, len(above) - 1)
        tier = np.where((tiers[of_row] > step) & (inputs > above[later]), later, tier)
    rate, used = pico[tier].T, tokens > 0
    flat = np.array([price.flat for price in prices], np.int64)[of_row]
    summed = (tokens * np.maximum(rate, 0)).sum(axis=0) + flat
    more = np.concatenate([price.more for price in prices])
    for place, (name, part) in enumerate(zip(OVERLAYS, parts, strict=True)):
        if part is not None and part.any() and more[:, place].any():
            whole = tokens[FRESH] if OVERLAYS[name][1] == "input" else tokens[VISIBLE]
            summed = summed + np.minimum(part, whole) * more[tier, place]
    exceeds = (tokens.astype(float) * np.maximum(rate, 0)).sum(axis=0) > 1000 * MOST_NANO
    able = has & told & ~(used & (rate < 0)).any(axis=0) & ~exceeds
    requested = np.array([price.on_requested for price in prices])[of_row]
    unasked = np.array([price.open_fact for price in prices])[of_row]
    apart = np.array([price.rates.life_apart for price in prices])[of_row]
    no_life = apart & (tokens[OTHER] > 0)
    assumed = np.array([price.assumed for price in prices])[of_row].T
    guessed = requested | unasked | (used & assumed).any(axis=0) | no_life
    costs.flags["price_on_requested_model"][rows[has & requested]] = True
    costs.flags["cache_write_ttl_assumed"][rows[has & told & no_life & (rate[OTHER] >= 0)]] = True
    costs.flags["tier_not_priced"][rows[has & unasked]] = True
    fine = rows[able]
    costs.nano[fine] = -(-summed[able] // 1000)  # rounded up, once
    costs.known[fine] = True
    costs.confidence[fine] = np.where(guessed[able], _ASSUMED, _EXACT)
    costs.price[fine] = first + of_row[able]
    for number, price in enumerate(prices):
        if not price.rates.exact:
            _in_decimals(costs, rows, np.flatnonzero(able & (of_row == number)), price.rates, tokens, parts)


def _in_decimals(
    costs: Costs, rows: Ints, places: Ints, price: Rates, tokens: npt.NDArray[np.int64], parts: list[Ints | None]
) -> None:
    """Prices that whole pico-USD do not hold, call by call: few models have such."""
    for place in places.tolist():
        buckets = dict(zip(BUCKETS, tokens[:, place].tolist(), strict=True))
        inside = {name: int(part[place]) for name, part in zip(OVERLAYS, parts, strict=True) if part is not None}
        nano = price.nano(buckets, inside)
        if nano is not None:
            costs.nano[rows[place]] = nano
