"""The books as ingest holds them: read at most every two seconds, never per request.

When they cannot be read, those last read go on; before they were ever read, nothing is priced by a wrong table: the
sender is told to come again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from afterlaunch.ground.errors import Unavailable
from afterlaunch.prices import in_force
from afterlaunch.prices.book import BUNDLED, Book

log = logging.getLogger(__name__)
FRESH_SECONDS = 2.0
_changes = 0


def changed() -> None:
    """A table was changed in this process: it is read at the next batch."""
    global _changes
    _changes += 1


class Watched:
    """`read` gives the books as they stand; it may ask a database."""

    def __init__(self, read: Callable[[], Mapping[str, Book]]) -> None:
        self._read, self._lock = read, threading.Lock()
        self._books: Mapping[str, Book] | None = None
        self._until, self._seen = 0.0, -1

    def of(self, client: str) -> Book:
        """Raises Unavailable while nothing was ever read."""
        return self._now().get(client, BUNDLED)

    def _now(self) -> Mapping[str, Book]:
        books = self._books
        if books is not None and time.monotonic() < self._until and self._seen == _changes:
            return books
        # Whoever comes while another reads goes on with what is known.
        if not self._lock.acquire(blocking=books is None or self._seen != _changes):
            assert books is not None
            return books
        try:
            return self._fresh()
        finally:
            self._lock.release()

    def _fresh(self) -> Mapping[str, Book]:
        seen = _changes
        if self._books is not None and time.monotonic() < self._until and self._seen == seen:
            return self._books
        try:
            found = self._read()
            # Who has the same table as before keeps the same book, and with it what was looked up.
            old = self._books or {}
            self._books = {
                slug: old[slug] if slug in old and old[slug].version == book.version else book
                for slug, book in found.items()
            }
            self._seen = seen
        except Exception:
            log.exception("the price tables could not be read")
            if self._books is None:
                raise Unavailable("The price tables cannot be read now.") from None
        self._until = time.monotonic() + FRESH_SECONDS
        assert self._books is not None
        return self._books


def watch(read: Callable[[], Mapping[str, Book]]) -> None:
    """From now on ingest prices by these books."""
    in_force.tell(Watched(read).of)
