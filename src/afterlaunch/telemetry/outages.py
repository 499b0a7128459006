"""What the log is told of something that fails as a whole: its beginning, once a minute that it lasts, and its end."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)
REMIND_SECONDS = 60.0


class Outage:
    """`what` cannot be done, in words; tried again and again by one thread."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began: float | None = None
        self._said = 0.0
        self._tries = self._bodies = 0

    def failed(self, problem: BaseException, bodies: int) -> None:
        """A try for so many bodies."""
        now = time.monotonic()
        self._tries, self._bodies = self._tries + 1, self._bodies + bodies
        if self._began is None:
            self._began = self._said = now
            log.error("%s (bodies: %d)", self._what, bodies, exc_info=problem)
        elif now - self._said >= REMIND_SECONDS:
            self._said = now
            why = problem.__cause__ or problem
            log.error("%s, %s: %s: %s", self._what, self._counted(now), type(why).__name__, why)

    def works(self) -> None:
        if self._began is None:
            return
        log.warning("over: %s, %s", self._what, self._counted(time.monotonic()))
        self._began, self._tries, self._bodies = None, 0, 0

    def _counted(self, now: float) -> str:
        assert self._began is not None
        return f"for {now - self._began:.0f} s, {self._tries} tries of {self._bodies} bodies"
