"""Room on the disk: what the store uses, how it grows, when it will be full; and the door that closes before it is.

The budget is a setting; without one it is what the file system has. What the store holds free within its file counts as
room: the next rows use it again.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from afterlaunch.ground.errors import Unavailable

log = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
WARN_DAYS, ALARM_DAYS = 14.0, 3.0
WARN_SHARE, ALARM_SHARE = 0.8, 0.95
LOOK_BACK = timedelta(days=14)
LEAST = timedelta(hours=6)
"""A forecast needs so much past."""


@dataclass(frozen=True)
class Room:
    """Bytes. `used`: by rows; `budget`: what rows may use in the end; `free`: what the file system has left."""

    used: int
    budget: int
    free: int

    @property
    def share(self) -> float:
        return self.used / self.budget if self.budget else 1.0


@dataclass(frozen=True)
class Forecast:
    """`state`: ok, warning, breach, or not_assessed; `days`: until the budget is used up, None: never, or not known."""

    state: str
    reason: str
    growth: float | None = None  # bytes a day
    days: float | None = None


def room_of(file: int, inside: int, budget: int, free: int, reserve: int) -> Room:
    """`file`: bytes of the store's files, `inside`: of these free for re-use; `budget` 0: the file system's."""
    used = file - inside
    most = used + inside + max(0, free - reserve)
    return Room(used, min(budget, most) if budget else most, free)


def growth_of(samples: Sequence[tuple[datetime, int]]) -> float | None:
    """Bytes a day: the median slope over all pairs of samples (Theil, 1950; Sen, 1968), which one clean-up or one rush
    does not bend. None for less than six hours."""
    if len(samples) < 2 or samples[-1][0] - samples[0][0] < LEAST:
        return None
    step = max(1, len(samples) // 100)
    chosen = list(samples)[::step]
    slopes = sorted(
        (later[1] - earlier[1]) / ((later[0] - earlier[0]) / timedelta(days=1))
        for place, earlier in enumerate(chosen)
        for later in chosen[place + 1 :]
        if later[0] > earlier[0]
    )
    return slopes[len(slopes) // 2] if slopes else None


def forecast(room: Room, samples: Sequence[tuple[datetime, int]]) -> Forecast:
    """The worse of two: the share that is used, and the days that are left."""
    growth = growth_of(samples)
    days = (room.budget - room.used) / growth if growth is not None and growth > 0 else None
    days = max(0.0, days) if days is not None else None
    if room.share >= ALARM_SHARE or (days is not None and days <= ALARM_DAYS):
        state = "breach"
    elif room.share >= WARN_SHARE or (days is not None and days <= WARN_DAYS):
        state = "warning"
    elif growth is None:
        return Forecast("not_assessed", "less than six hours of sizes are known")
    else:
        state = "ok"
    if days is None:
        return Forecast(state, f"{room.share:.0%} used", growth, None)
    return Forecast(state, f"{room.share:.0%} used, full in {days:.0f} days as it grows now", growth, days)


class Watchman:
    """Closes the receivers while there is no room, and opens them again by itself. `used` gives (bytes of the files,
    bytes free within them), `left` what their disk still takes (of `folder`, if not given); both are asked by a thread
    of the watchman's own, every two seconds."""

    def __init__(
        self,
        folder: Path,
        used: Callable[[], tuple[int, int]],
        budget: int,
        reserve: int,
        left: Callable[[], int] | None = None,
    ) -> None:
        self._used, self._budget, self._reserve = used, budget, reserve
        self._left = left or (lambda: shutil.disk_usage(folder).free)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disk-watch", daemon=True)
        self.full = False

    def room(self) -> Room:
        file, inside = self._used()
        return room_of(file, inside, self._budget, self._left(), self._reserve)

    def start(self) -> None:
        self.look()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def look(self) -> None:
        """Whether there is room now. Who cannot be asked changes nothing: a write that fails is told to its sender."""
        try:
            free = self._left()
            full = free < self._reserve or (self._budget > 0 and self.room().used >= self._budget)
        except Exception:
            log.exception("the room on the disk could not be told")
            return
        if full != self.full:
            log.warning("the disk of the telemetry store %s", "is full" if full else "has room again")
        self.full = full

    def check(self) -> None:
        """Raises Unavailable while there is no room."""
        if self.full:
            raise Unavailable(
                "The disk of the telemetry store is full.", "Nothing of this body was stored; send it again later.", 20
            )

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.look()
