"""The only source of time.

Instants come from `now()`. Durations come from the standard monotonic clock and are never scaled.
Three clocks exist: the system's, a scaled one (a demo plays a day in 90 seconds; every process that
is given the same setting agrees), and a fixed one that tests move by hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """`now` is an aware UTC datetime; `factor` is virtual seconds per real second."""

    @property
    def factor(self) -> float: ...

    def now(self) -> datetime: ...


class SystemClock:
    factor = 1.0

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class ScaledClock:
    """Virtual time that began at `virtual_start` when the real clock read `real_start` (Unix seconds).

    It runs `pace` times as fast as real time, up to `until`; from that instant on as fast as real time.
    """

    real_start: float
    virtual_start: datetime
    pace: float
    until: datetime | None = None

    @property
    def factor(self) -> float:
        return self._at()[1]

    def now(self) -> datetime:
        return self._at()[0]

    def _at(self) -> tuple[datetime, float]:
        """The present and the factor that holds in it, of one reading."""
        at = self.virtual_start + timedelta(seconds=(time.time() - self.real_start) * self.pace)
        if self.until is None or at < self.until:
            return at, self.pace
        return self.until + (at - self.until) / self.pace, 1.0

    def setting(self) -> str:
        """The text that makes the same clock in another process."""
        until = f",{self.until.timestamp()!r}" if self.until else ""
        return f"scaled:{self.real_start!r},{self.virtual_start.timestamp()!r},{self.pace!r}{until}"


class FixedClock:
    factor = 1.0

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("a clock needs an aware datetime")
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        return self._at

    def advance(self, by: timedelta | float) -> datetime:
        """Move forward by a timedelta or by seconds."""
        self._at += by if isinstance(by, timedelta) else timedelta(seconds=by)
        return self._at

    def set(self, at: datetime) -> None:
        self._at = at.astimezone(UTC)


_clock: Clock = SystemClock()


def now() -> datetime:
    """The present, in UTC."""
    return _clock.now()


def seconds() -> float:
    """The present in seconds since 1970."""
    return time.time() if type(_clock) is SystemClock else _clock.now().timestamp()


def real() -> float:
    """Unix seconds of the machine's own clock, whatever is installed here: for what strangers check against theirs."""
    return time.time()


def real_ns() -> int:
    """Like `real`, in nanoseconds."""
    return time.time_ns()


def now_ns() -> int:
    """The present in nanoseconds since 1970."""
    return time.time_ns() if type(_clock) is SystemClock else to_ns(_clock.now())


def to_ns(instant: datetime) -> int:
    """Exact to the microsecond; `timestamp()` alone would lose digits in a float."""
    delta = instant - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000


def from_ns(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1_000)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def real_seconds(virtual_seconds: float) -> float:
    """How long to sleep for so much virtual time to pass."""
    return virtual_seconds / _clock.factor


def lease(real: float) -> timedelta:
    """The virtual span of so many real seconds: for locks, leases and network time-outs, which must
    outlast real work however fast virtual time runs."""
    return timedelta(seconds=real * _clock.factor)


def stopwatch() -> Callable[[], float]:
    """Tells the real seconds since it was made. Under a fixed clock it tells that clock's: there work takes no time."""
    if isinstance(_clock, FixedClock):
        began = _clock.now()
        return lambda: (_clock.now() - began).total_seconds()
    start = time.monotonic()
    return lambda: time.monotonic() - start


def use(clock: Clock) -> None:
    """Install a clock for this process."""
    global _clock
    _clock = clock


def from_setting(text: str) -> Clock:
    """`system`, or `scaled:<real start, Unix s>,<virtual start, Unix s>,<factor>[,<until, Unix s>]`. Raises
    ValueError."""
    if text in ("", "system"):
        return SystemClock()
    kind, _, rest = text.partition(":")
    parts = rest.split(",")
    if kind != "scaled" or len(parts) not in (3, 4):
        raise ValueError(f"clock must be 'system' or 'scaled:REAL,VIRTUAL,FACTOR[,UNTIL]', not {text!r}")
    real, virtual, factor, *until = (float(part) for part in parts)
    if factor <= 0:
        raise ValueError("a clock's factor must be positive")
    end = datetime.fromtimestamp(until[0], UTC) if until else None
    return ScaledClock(real, datetime.fromtimestamp(virtual, UTC), factor, end)


@contextmanager
def frozen(at: datetime) -> Iterator[FixedClock]:
    """For tests: time stands still and moves only by `advance`."""
    global _clock
    before, fixed = _clock, FixedClock(at)
    _clock = fixed
    try:
        yield fixed
    finally:
        _clock = before
