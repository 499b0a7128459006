"""How much came in: since the start, and lately."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

PRESSED_ROWS = 4_096
"""A second: from then on senders that wait for each other's commits would keep them small."""


@dataclass
class Counts:
    """What the receiver did since it started; shown by /metrics."""

    requests: int = 0
    received: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    refused_full: int = 0
    commits: int = 0
    journaled: int = 0
    failed_commits: int = 0
    buried: int = 0
    commit_seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, **more: float) -> None:
        with self.lock:
            for name, value in more.items():
                setattr(self, name, getattr(self, name) + value)


class Pressure:
    """Whether much comes in: rows, each forgotten at the pace of one second."""

    def __init__(self) -> None:
        self._rows, self._at = 0.0, time.monotonic()

    def _now(self) -> float:
        return self._rows * math.exp(self._at - time.monotonic())

    def came(self, rows: int) -> None:
        self._rows, self._at = self._now() + rows, time.monotonic()

    def __bool__(self) -> bool:
        return self._now() > PRESSED_ROWS
