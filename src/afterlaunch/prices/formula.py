"""What a call costs, line by line, in exact decimals (spend rules §2). Pure.

1. The tier: total input above a threshold moves every unit of the call. 2. Modalities with a price of their own are
taken out of their bucket and priced once. 3. A bucket without a price takes the one that the rules name, flagged.
4. What has no price at all makes the sum unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from afterlaunch.prices.book import Resolved
from afterlaunch.prices.buckets import BUCKETS
from afterlaunch.prices.rows import PER, Amount

_KINDS = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_other",
    "input",
    "output",
    "reasoning",
)
KIND = dict(zip(BUCKETS, _KINDS, strict=True))
MODALITIES = ("audio", "image", "video")


@dataclass(frozen=True)
class Rate:
    """`taken`: the unit whose price stands in for a missing one of its own."""

    amount: Amount | None
    taken: str = ""


@dataclass(frozen=True)
class Line:
    """`price` is for `per` of `unit`; None where it is not known, and then `amount` is too."""

    bucket: str
    unit: str
    count: int | Decimal
    price: Decimal | None
    per: int
    taken: str = ""

    @property
    def amount(self) -> Decimal | None:
        return None if self.price is None else self.price * self.count / self.per


def rate(prices: Mapping[str, Amount], kind: str, life_apart: bool) -> Rate:
    """The price of a kind of token, or what stands in for it."""
    own = prices.get(kind)
    if own is not None:
        return Rate(own)
    base, write = prices.get("input"), prices.get("cache_write")
    if kind == "cache_read":
        return Rate(base, "input")
    if kind == "cache_write_1h":
        if write is None:
            return Rate(base, "input")
        return Rate(None if life_apart else write, "" if life_apart else "cache_write")
    if kind in ("cache_write_5m", "cache_write_other"):
        five = write or (prices.get("cache_write_5m") if kind == "cache_write_other" else None)
        return Rate(five) if five is not None else Rate(base, "input")
    if kind == "reasoning":
        return Rate(prices.get("output"))
    return Rate(None)


def lines(
    found: Resolved,
    buckets: Mapping[str, int | None],
    parts: Mapping[str, int],
    units: Mapping[str, int | Decimal],
) -> list[Line]:
    """`parts`: modalities inside the buckets; `units`: what is charged beside tokens."""
    inputs = sum(buckets.get(name) or 0 for name in BUCKETS if name.startswith("in_"))
    out = []
    for bucket in BUCKETS:
        count = buckets.get(bucket) or 0
        for unit, some in _apart(found.prices, bucket, count, parts):
            out.append(Line(bucket, unit, some, found.prices[unit].at(inputs), 1_000_000))
            count -= some
        if count:
            one = rate(found.prices, KIND[bucket], found.life_apart)
            price = None if one.amount is None else one.amount.at(inputs)
            out.append(Line(bucket, KIND[bucket], count, price, 1_000_000, one.taken))
    for unit, number in units.items():
        amount = found.prices.get(unit)
        price = None if amount is None else amount.at(inputs)
        out.append(Line(unit, unit, number, price, PER.get(unit, 1)))
    return out


def _apart(
    prices: Mapping[str, Amount], bucket: str, count: int, parts: Mapping[str, int]
) -> Iterator[tuple[str, int]]:
    """(unit, tokens) of the modalities of a bucket that have a price of their own. Cached audio counts among the cached
    and among the audio, and is priced once."""
    left = count
    for modality in MODALITIES:
        cached = parts.get(f"cached_{modality}", 0)
        unit, some = {
            "in_uncached": (f"input_{modality}", parts.get(f"in_{modality}", 0) - cached),
            "in_cache_read": (f"cached_{modality}", cached),
            "in_tool_use": (f"input_{modality}", parts.get(f"tool_{modality}", 0)),
            "out_visible": (f"output_{modality}", parts.get(f"out_{modality}", 0)),
        }.get(bucket, ("", 0))
        some = max(min(some, left), 0)
        if some and unit in prices:
            left -= some
            yield unit, some
