"""A value that is stuck: the same one so often in a row as the series never was, and hardly could be by chance."""

from __future__ import annotations

from math import log
from typing import Any

LEAST, CHANGES = 36, 50
"""Of the run, and of changes before it: a series that is constant is not stuck."""
SURE = 24.0 * log(10)
"""From here it counts 0.3; twice as much, 0.6."""


class Runs:
    __slots__ = ("changes", "longest", "n", "repeats", "run", "value")

    def __init__(self) -> None:
        self.value: float | None = None
        self.run = self.longest = self.n = self.repeats = self.changes = 0

    def see(self, value: float) -> float:
        """How improbable the present run is, as a share of `SURE`; 0 where a longer one was seen or it is short."""
        self.n += 1
        if value != self.value:
            self.longest = max(self.longest, self.run)
            self.value, self.run = value, 1
            self.changes += 1
            return 0.0
        self.run += 1
        if self.run <= max(LEAST, 3 * self.longest) or self.changes < CHANGES:
            self.repeats += 1
            return 0.0
        return (self.run - self.longest) * -log((self.repeats + 1) / (self.n + 2)) / SURE

    def state(self) -> list[Any]:
        return [self.value, self.run, self.longest, self.n, self.repeats, self.changes]

    def restore(self, told: list[Any]) -> None:
        self.value, self.run, self.longest, self.n, self.repeats, self.changes = told
