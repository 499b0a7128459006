"""The rules as the receivers hold them: read at most every two seconds, never per request.

When they cannot be read, those last read go on; before they were ever read, nothing is taken: unmasked content must
not be written.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from afterlaunch.ground.errors import Unavailable
from afterlaunch.telemetry.intake import Made, Signal
from afterlaunch.telemetry.keeping.content import Shape, private
from afterlaunch.telemetry.keeping.rules import Rules
from afterlaunch.telemetry.keeping.scrubbing import scrubbed

log = logging.getLogger(__name__)
FRESH_SECONDS = 2.0
_changes = 0


def changed() -> None:
    """A decision was made in this process: it is read at the next request."""
    global _changes
    _changes += 1


class Watched:
    """`read` gives the rules as they stand; it may ask a database."""

    def __init__(self, read: Callable[[], Rules]) -> None:
        self._read, self._lock = read, threading.Lock()
        self._rules: Rules | None = None
        self._until, self._seen = 0.0, -1

    def rules(self) -> Rules:
        """Raises Unavailable while nothing was ever read."""
        if self._rules is not None and (time.monotonic() < self._until and self._seen == _changes):
            return self._rules
        # Whoever comes while another reads goes on with what is known.
        if not self._lock.acquire(blocking=self._rules is None or self._seen != _changes):
            assert self._rules is not None
            return self._rules
        try:
            return self._fresh()
        finally:
            self._lock.release()

    def _fresh(self) -> Rules:
        seen = _changes
        if self._rules is not None and time.monotonic() < self._until and self._seen == seen:
            return self._rules
        try:
            self._rules, self._seen = self._read(), seen
        except Exception:
            log.exception("what content may be kept could not be read")
            if self._rules is None:
                raise Unavailable("What content may be kept cannot be read now.") from None
        self._until = time.monotonic() + FRESH_SECONDS
        assert self._rules is not None
        return self._rules


def guarded(signal: Signal, shape: Shape, watched: Watched) -> Signal:
    """The signal whose rows come as they may be written; so does what of a request could not be read."""

    def decode(body: bytes, content_type: str, client: str | None, received_ns: int) -> Made:
        made: Any = signal.decode(body, content_type, client, received_ns)
        kept: Made = replace(made, table=private(made.table, shape, watched.rules().of))
        return kept

    def together(bodies: Sequence[bytes], client: str | None, received_ns: int) -> tuple[Made, list[int]]:
        assert signal.together is not None
        made, sizes = signal.together(bodies, client, received_ns)
        shown: Any = made
        return replace(shown, table=private(made.table, shape, watched.rules().of)), sizes

    def sent(message: Message, client: str | None) -> bytes:
        scrubbed(message, watched.rules().strictest(client))
        return message.SerializeToString()

    return replace(
        signal,
        decode=decode,
        request=replace(signal.request, kept=sent),
        together=together if signal.together else None,
    )
