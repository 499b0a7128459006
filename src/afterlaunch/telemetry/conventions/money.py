"""The cost of each call, as arithmetic on columns: one look-up per (provider, model, hour), none per span."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from afterlaunch.ground import clock
from afterlaunch.prices.table import Rates, Tier, rates
from afterlaunch.telemetry.columns import BUCKETS

HOUR_NS = 3_600_000_000_000
RATE_OF = dict(
    zip(
        BUCKETS,
        (
            "input",
            "cache_read",
            "cache_write_5m",
            "cache_write_1h",
            "cache_write_other",
            "input",
            "output",
            "reasoning",
        ),
        strict=True,
    )
)
Bools = npt.NDArray[Any]


class Costs:
    """Fills `cost_nano`, `cost_confidence`, `price` for the rows that are calls; the rest stay NULL."""

    def __init__(self, count: int) -> None:
        self.nano = np.zeros(count, np.int64)
        self.known = np.zeros(count, bool)
        self.confidence = np.full(count, None, object)
        self.price = np.full(count, None, object)
        self.flags: dict[str, Bools] = {
            name: np.zeros(count, bool)
            for name in ("price_missing", "usage_missing", "price_on_requested_model", "cache_write_ttl_assumed")
        }

    def columns(self) -> dict[str, Any]:
        return {
            "cost_nano": pa.array(self.nano, pa.int64(), mask=~self.known),
            "cost_confidence": pa.array(self.confidence, pa.string()),
            "price": pa.array(self.price, pa.string()),
        }


def price_calls(
    call: Bools, provider: Any, answered: Any, requested: Any, start_ns: Any, buckets: dict[str, Any]
) -> Costs:
    """`call` marks the rows to price; columns are Arrow arrays of equal length."""
    costs = Costs(len(call))
    rows = np.flatnonzero(call)
    if not len(rows):
        return costs
    where = pa.array(rows)
    names = [column.take(where).to_pylist() for column in (provider, answered, requested)]
    hours = (start_ns.take(where).to_numpy() // HOUR_NS).tolist()
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, *key in zip(rows.tolist(), *names, hours, strict=True):
        groups.setdefault(tuple(key), []).append(row)
    counts = {name: column.to_numpy(zero_copy_only=False) for name, column in buckets.items()}
    known = {name: column.is_valid().to_numpy(zero_copy_only=False) for name, column in buckets.items()}
    plain = {name: np.where(known[name], np.nan_to_num(counts[name]), 0).astype(np.int64) for name in counts}
    by_price: dict[tuple[int, bool], tuple[Rates | None, list[int]]] = {}
    for (maker, model, asked, hour), members in groups.items():
        at = clock.from_ns(hour * HOUR_NS)
        found = rates(maker, model, at)
        price = found or rates(maker, asked, at)
        by_price.setdefault((id(price), found is None), (price, []))[1].extend(members)
    for (_, on_requested), (price, members) in by_price.items():
        _price_group(costs, np.array(members), price, on_requested, plain, known)
    return costs


def _price_group(
    costs: Costs, rows: npt.NDArray[np.int64], found: Rates | None, on_requested: bool, plain: Any, known: Any
) -> None:
    told = known["in_uncached"][rows] & known["out_visible"][rows]
    costs.confidence[rows] = "unknown"
    costs.flags["usage_missing"][rows[~told]] = True
    if found is None:
        costs.flags["price_missing"][rows] = True
        return
    costs.flags["price_on_requested_model"][rows] = on_requested
    inputs = sum(plain[name][rows] for name in BUCKETS[:6])
    for place, tier in enumerate(found.tiers):
        upper = found.tiers[place + 1].above if place + 1 < len(found.tiers) else None
        inside = told & (inputs > tier.above) & (True if upper is None else inputs <= upper)
        _price_tier(costs, rows[inside], tier, found, on_requested, plain)


def _price_tier(
    costs: Costs, rows: npt.NDArray[np.int64], tier: Tier, found: Rates, on_requested: bool, plain: Any
) -> None:
    pico = np.zeros(len(rows), np.int64)
    able = np.ones(len(rows), bool)
    guessed = np.full(len(rows), on_requested)
    for bucket, kind in RATE_OF.items():
        tokens, rate = plain[bucket][rows], tier.pico[kind]
        used = tokens > 0
        if rate is None:
            able &= ~used
            continue
        pico += tokens * rate
        if kind in found.assumed or bucket == "in_cache_write_other":
            guessed |= used
        if bucket == "in_cache_write_other":
            costs.flags["cache_write_ttl_assumed"][rows[used]] = True
    fine = rows[able]
    costs.nano[fine] = -(-pico[able] // 1000)  # rounded up, once
    costs.known[fine] = True
    costs.confidence[fine] = np.where(guessed[able], "assumed", "exact")
    costs.price[fine] = found.name
