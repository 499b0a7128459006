"""The books as ingest holds them. Before they were ever read nothing is priced by a wrong table: the sender is told to
come again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from afterlaunch.ground import watched
from afterlaunch.prices import in_force
from afterlaunch.prices.book import BUNDLED, Book

CHANGES = watched.Changes()
changed = CHANGES.changed
Books = Mapping[str, Book]


class Watched(watched.Watched[Books]):
    """`read` gives the books as they stand. Who has the same table as before keeps the same book, and with it what was
    looked up."""

    def __init__(self, read: Callable[[], Books]) -> None:
        def again(old: Books | None) -> Books:
            return {slug: _same(old, slug, book) for slug, book in read().items()}

        super().__init__(again, CHANGES, "The price tables")

    def of(self, client: str) -> Book:
        """Raises Unavailable while nothing was ever read."""
        return self.now().get(client, BUNDLED)


def _same(old: Books | None, slug: str, book: Book) -> Book:
    before = old.get(slug) if old else None
    return before if before is not None and before.version == book.version else book


def watch(read: Callable[[], Books]) -> None:
    """From now on ingest prices by these books."""
    in_force.tell(Watched(read).of)
