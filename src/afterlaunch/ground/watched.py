"""What a hot path holds of the database: read at most every two seconds, never per request.

When it cannot be read, what was read last goes on; before it was ever read nobody is served by a guess: Unavailable.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from afterlaunch.ground.errors import Unavailable

log = logging.getLogger(__name__)
FRESH_SECONDS = 2.0
T = TypeVar("T")


class Changes:
    """Of this process: what was changed here is read at the next request."""

    def __init__(self) -> None:
        self.count = 0

    def changed(self) -> None:
        self.count += 1


class Watched(Generic[T]):
    """`read` gives it as it stands, from what was read before (None: nothing); it may ask a database. `what` begins the
    sentence "… cannot be read now."."""

    def __init__(self, read: Callable[[T | None], T], changes: Changes, what: str) -> None:
        self._read, self._changes, self._what = read, changes, what
        self._lock = threading.Lock()
        self._held: T | None = None
        self._until, self._seen = 0.0, -1

    def now(self) -> T:
        """Raises Unavailable while nothing was ever read."""
        held = self._held
        if held is not None and self._fresh():
            return held
        # Whoever comes while another reads goes on with what is known.
        if not self._lock.acquire(blocking=held is None or self._seen != self._changes.count):
            assert held is not None
            return held
        try:
            return self._again()
        finally:
            self._lock.release()

    def _fresh(self) -> bool:
        return time.monotonic() < self._until and self._seen == self._changes.count

    def _again(self) -> T:
        if self._held is not None and self._fresh():
            return self._held
        seen = self._changes.count
        try:
            self._held, self._seen = self._read(self._held), seen
        except Exception:
            log.exception("%s cannot be read", self._what)
            if self._held is None:
                raise Unavailable(f"{self._what} cannot be read now.") from None
        self._until = time.monotonic() + FRESH_SECONDS
        return self._held
