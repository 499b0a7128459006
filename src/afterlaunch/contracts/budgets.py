"""Budgets as the gateway holds them, the windows they are counted in, and what a call costs. Part of the snapshot.

Money is whole nano-USD (10⁻⁹), prices whole pico-USD (10⁻¹²) per token; an attempt's cost is rounded up once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DIMENSIONS = ("client", "system", "environment", "route", "tenant", "agent", "key", "user", "session", "transaction")
UNITS = ("usd", "tokens", "requests")
WINDOWS = ("hour", "day", "week", "month", "quarter", "once")
MODES = ("hard", "soft", "throttle", "downgrade", "observe")
PRESSED = ("throttle", "downgrade")  # modes that let calls pass otherwise when the limit comes near
NO_PRICE = ("refuse", "tokens-only", "default-price")
EACH = "*"
NEAR = 0.8  # of the limit, from which throttle delays
LONGEST_DELAY = 5.0  # seconds


def delay_at(fill: float) -> float:
    """Seconds that a throttled call waits: 2 when the limit is filled, LONGEST_DELAY at most."""
    return min(LONGEST_DELAY, max(0.0, fill - NEAR) * 10)


@dataclass(frozen=True)
class Budget:
    """`scope`: dimension -> the value that a call must have, or EACH: a counter for every value of its own.
    `limit`: nano-USD, tokens or requests in a window. `mode`: hard refuses, soft lets pass and alerts, throttle delays
    calls from NEAR of the limit on, downgrade sends them with the model `cheaper` from the limit on, observe counts
    what hard would have refused. `no_price`, of a budget in money: what becomes of a call whose price nobody knows;
    `default_pico`: pico-USD per token for default-price. `shared`: a hard limit is one over all gateways, which draw
    shares of it from the server."""

    id: str
    name: str
    scope: dict[str, str]
    unit: str
    limit: int
    window: str
    zone: str = "UTC"
    mode: str = "hard"
    no_price: str = "refuse"
    default_pico: int = 0
    shared: bool = False
    cheaper: str = ""

    def check(self) -> str | None:
        """What is wrong with it."""
        for name, value, known in (
            ("unit", self.unit, UNITS),
            ("window", self.window, WINDOWS),
            ("mode", self.mode, MODES),
            ("no_price", self.no_price, NO_PRICE),
        ):
            if value not in known:
                return f"{name} is one of {', '.join(known)}, not {value!r}"
        if unknown := sorted(set(self.scope) - set(DIMENSIONS)):
            return f"a scope names {', '.join(DIMENSIONS)}, not {unknown[0]!r}"
        if not 0 < self.limit < 1 << 62:
            return "a limit is a positive whole number"
        if (self.mode == "downgrade") != bool(self.cheaper):
            return "downgrade, and no other mode, names the cheaper model"
        if self.no_price == "default-price" and self.default_pico <= 0:
            return "default-price needs a price per token"
        return None

    def counter(self, call: Mapping[str, str | None]) -> str | None:
        """The name of the counter that this call is counted in; None when the budget is not about it."""
        found = []
        for dimension, wanted in self.scope.items():
            value = call.get(dimension)
            if not value or (wanted != EACH and value != wanted):
                return None
            if wanted == EACH:
                found.append(f"{dimension}={value}")
        return "&".join(found)


@dataclass(frozen=True)
class Window:
    """[start, end); `end` None: it never ends."""

    start: datetime
    end: datetime | None


def window_of(kind: str, zone: str, at: datetime) -> Window:
    """The calendar's own: a day of 23 or 25 hours is one day. A wall time that does not exist begins right after it."""
    if kind == "once":
        return Window(datetime(1970, 1, 1, tzinfo=UTC), None)
    if kind == "hour":
        start = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return Window(start, start + timedelta(hours=1))
    day = at.astimezone(ZoneInfo(zone)).date()
    first, after = _days(kind, day)
    return Window(_midnight(first, zone), _midnight(after, zone))


def _days(kind: str, day: date) -> tuple[date, date]:
    if kind == "day":
        return day, day + timedelta(days=1)
    if kind == "week":
        first = day - timedelta(days=day.weekday())
        return first, first + timedelta(days=7)
    months = {"month": 1, "quarter": 3}[kind]
    first = date(day.year, (day.month - 1) // months * months + 1, 1)
    last = first.month - 1 + months
    return first, date(first.year + last // 12, last % 12 + 1, 1)


def _midnight(day: date, zone: str) -> datetime:
    """In a zone whose clocks skip midnight the day begins where they go on."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


@dataclass(frozen=True)
class Step:
    """From more than `above` input tokens on, every token costs so many pico-USD by kind; None: not known."""

    above: int
    pico: dict[str, int | None]


@dataclass(frozen=True)
class PriceCard:
    """What tokens of a model cost from `at` until `until` (seconds since 1970). Kinds: input, cache_read,
    cache_write_5m, cache_write_1h, cache_write_other, output, reasoning. `steps` ascend, the first is above -1.
    `flat`: pico-USD of every request."""

    steps: tuple[Step, ...]
    flat: int
    version: str
    until: float

    def nano(self, tokens: Mapping[str, int]) -> int | None:
        """Of exclusive counts by kind, rounded up once; None when one of them has no price."""
        inputs = sum(count for kind, count in tokens.items() if kind not in ("output", "reasoning"))
        pico = next(step.pico for step in reversed(self.steps) if inputs > step.above)
        total = self.flat
        for kind, count in tokens.items():
            price = pico.get(kind)
            if count and price is None:
                return None
            total += count * (price or 0)
        return -(-total // 1000)
