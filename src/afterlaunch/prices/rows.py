"""A price row: what a unit of a model costs, from when, under which conditions, and who says so. Exact decimals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal

MTOK = (
    *("input", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "output", "reasoning"),
    *("input_audio", "input_image", "input_video", "output_audio", "output_image", "output_video"),
    *("cached_audio", "cached_image", "cached_video", "citation_tokens"),
)
"""Priced per million tokens."""
PER = {
    **dict.fromkeys(MTOK, 1_000_000),
    "requests": 1_000,
    "web_searches": 1_000,
    "storage_searches": 1_000,
    "pages": 1_000,
    "text_messages": 1_000,
    "characters": 1_000_000,
    "audio_seconds": 3_600,
}
"""Unit -> how many of it a price is for; a price of `audio_seconds` is for an hour."""
CONDITIONS = ("service_tier", "processing", "region", "route", "speed", "search_type")
"""Facts of a call that a row may ask for, beside its time."""
DEFAULTS = {"service_tier": ("default", "standard"), "processing": ("standard",), "speed": ("standard",)}
"""What a fact says when nothing special was asked for: no row needs to name it."""


@dataclass(frozen=True)
class Amount:
    """From more than `tiers[n][0]` input tokens on, every unit of the call costs `tiers[n][1]`: a cliff."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, inputs: int) -> Decimal:
        return next((price for above, price in reversed(self.tiers) if inputs > above), self.base)

    def times(self, factor: Decimal) -> Amount:
        return Amount(self.base * factor, tuple((above, price * factor) for above, price in self.tiers))


@dataclass(frozen=True)
class Source:
    """Where a price comes from: a table and its version, or a person's override."""

    table: str
    version: str
    url: str = ""

    def __str__(self) -> str:
        return f"{self.table} {self.version}"


@dataclass(frozen=True)
class Times:
    """When a row holds: from (included) until (excluded), each day between two UTC times that may cross midnight."""

    starts: datetime | None = None
    ends: datetime | None = None
    daily: tuple[time, time] | None = None

    def hold(self, at: datetime) -> bool:
        if (self.starts and at < self.starts) or (self.ends and at >= self.ends):
            return False
        if self.daily is None:
            return True
        begin, end = self.daily
        now = at.astimezone(UTC).time()
        return begin <= now < end if begin <= end else now >= begin or now < end

    def meet(self, other: Times) -> bool:
        """Whether some instant is in both."""
        first = min((one for one in (self.ends, other.ends) if one), default=None)
        last = max((one for one in (self.starts, other.starts) if one), default=None)
        if first and last and last >= first:
            return False
        if self.daily is None or other.daily is None:
            return True
        mine, yours = Times(daily=self.daily), Times(daily=other.daily)
        return mine.hold(_on_a_day(other.daily[0])) or yours.hold(_on_a_day(self.daily[0]))


def _on_a_day(at: time) -> datetime:
    return datetime(2000, 1, 1, at.hour, at.minute, at.second, tzinfo=UTC)


ALWAYS = Times()


@dataclass(frozen=True)
class Row:
    """`id` is unique in its table. `when`: the facts it asks for."""

    id: str
    prices: Mapping[str, Amount]
    source: Source
    times: Times = ALWAYS
    when: Mapping[str, str] = field(default_factory=dict)

    def fits(self, facts: Mapping[str, str]) -> bool:
        return all(facts.get(name) == value for name, value in self.when.items())

    @property
    def conditions(self) -> int:
        return len(self.when) + (self.times.daily is not None)


class Tie(ValueError):
    """Two rows would price the same call, neither more closely than the other."""


def ties(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Pairs of rows that some call would fit equally well: a configuration error."""
    found = []
    for number, one in enumerate(rows):
        for two in rows[number + 1 :]:
            together = all(two.when.get(name, value) == value for name, value in one.when.items())
            if together and one.conditions == two.conditions and one.times.meet(two.times):
                found.append((one, two))
    return found


def best(rows: Sequence[Row], facts: Mapping[str, str], at: datetime) -> Row | None:
    """The row with most conditions among those that hold. Raises Tie where two are as close."""
    fitting = sorted((row for row in rows if row.times.hold(at) and row.fits(facts)), key=lambda row: -row.conditions)
    if len(fitting) > 1 and fitting[0].conditions == fitting[1].conditions:
        raise Tie(f"{fitting[0].id} and {fitting[1].id} both price this call; give one a condition or an end.")
    return fitting[0] if fitting else None
