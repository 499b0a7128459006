"""The product kills itself: a real SIGKILL at a statement, before a leased message is handed out, or between a
provider's answer and the row that notes it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

Execute = Callable[[str, Any, bool, dict[str, Any]], Any]


class Killer:
    """Counts. `arm`: die `before` or `after` the n-th statement from now on, `unsent` before the n-th message is handed
    out, or `answered` after it. `last_words` tells the world where it happened."""

    def __init__(self, last_words: Callable[[str], None]) -> None:
        self._last_words = last_words
        self._how, self._left = "", 0
        self.seen = 0

    def arm(self, how: str, count: int) -> None:
        self._how, self._left = how, count

    def __call__(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self.seen += 1
        if self._how not in ("before", "after"):
            return execute(sql, params, many, context)
        self._left -= 1
        if self._left <= 0 and self._how == "before":
            self._die(f"before {_named(sql)}")
        found = execute(sql, params, many, context)
        if self._left <= 0:
            self._die(f"after {_named(sql)}")
        return found

    def message(self, how: str) -> None:
        """`unsent`: one is about to be handed out; `answered`: the provider has answered."""
        if self._how == how:
            self._left -= 1
            if self._left <= 0:
                self._die("before a message" if how == "unsent" else "after an answer")

    def _die(self, where: str) -> None:
        self._last_words(where)
        os.kill(os.getpid(), signal.SIGKILL)


def _named(sql: str) -> str:
    """The verb and the table."""
    words = sql.replace('"', " ").split()
    verb = words[0].lower() if words else ""
    for mark in ("FROM", "INTO", "UPDATE"):
        if mark in words[:-1]:
            return f"{verb} {words[words.index(mark) + 1].split('(')[0]}"
    return verb
