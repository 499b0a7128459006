"""How many messages a person is sent in how much time. Pure.

Sliding windows, of the product's clock. A smooth window spreads what is left after the shorter windows' allowance
evenly over the rest of it. The figures are GoAlert's [target/goalert engine/message/ratelimit.go].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True)
class Limit:
    """At most `count` messages within any `seconds`."""

    count: int
    seconds: float
    smooth: bool = False

    @property
    def words(self) -> str:
        if self.seconds < HOUR:
            return f"{self.count} in {self.seconds:g} s" if self.seconds < 60 else f"{self.count} in {self._of(60)} min"
        return f"{self.count} in {self._of(3600)} h"

    def _of(self, unit: int) -> str:
        return f"{self.seconds / unit:g}"


PER_KIND = (Limit(5, 5),)
ANY_MESSAGE = (Limit(1, MINUTE),)  # to one contact method of a medium that interrupts
INTERRUPTING = frozenset({"email", "sms", "voice"})
PAGES = {
    "voice": (Limit(3, 15 * MINUTE), Limit(7, HOUR, True), Limit(15, 3 * HOUR, True)),
    "sms": (Limit(5, 15 * MINUTE), Limit(11, HOUR, True), Limit(21, 3 * HOUR, True)),
}
STATUS = (Limit(1, 3 * MINUTE), Limit(3, 20 * MINUTE), Limit(8, 2 * HOUR, True))
NOTICES = (Limit(3, MINUTE), Limit(20, HOUR, True))
LONGEST = timedelta(seconds=3 * HOUR)


def limits_of(medium: str, purpose: str) -> tuple[Limit, ...]:
    """Those that count only messages of this purpose."""
    if purpose == "page":
        return PAGES.get(medium, ())
    return {"status": STATUS, "notice": NOTICES}.get(purpose, ())


def next_allowed(limits: Sequence[Limit], sent: Sequence[datetime], now: datetime) -> tuple[datetime, Limit | None]:
    """The first instant, at or after `now`, at which one more may go, and the limit that says so. `sent` is sorted;
    `limits` go from the shortest window to the longest."""
    best, by = now, None
    shorter: Limit | None = None
    for limit in limits:
        at = _after(limit, shorter, sent, now)
        if at > best:
            best, by = at, limit
        shorter = limit
    return best, by


def _after(limit: Limit, shorter: Limit | None, sent: Sequence[datetime], now: datetime) -> datetime:
    window = timedelta(seconds=limit.seconds)
    inside = [at for at in sent if at > now - window]
    if len(inside) >= limit.count:
        return inside[-limit.count] + window
    if limit.smooth and shorter is not None and len(inside) >= shorter.count:
        gap = (limit.seconds - shorter.seconds) / (limit.count - shorter.count)
        return max(now, inside[-1] + timedelta(seconds=gap))
    return now
