"""A fair sample of what came more than once, that adds up: everything whose hash lies below a line is kept, all the
rest is left out. Samples merge exactly, to the lower of their lines. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
HOURLY, MOST = 256, 4_000  # kept of an hour, and of a sum
SPACE = float(1 << 32)
Contents = dict[str, dict[str, int]]


def sampled(bits: Array, words: list[str], most: int = HOURLY) -> tuple[Contents, float]:
    """`bits`: 32 of each row's content; `words`: what is counted of it. And the line, as a share of all hashes."""
    every = np.unique(bits)
    line = float(every[most]) / SPACE if len(every) > most else 1.0
    kept = np.flatnonzero(bits < every[most]) if len(every) > most else np.arange(len(bits))
    found: Contents = {}
    for at in kept.tolist():
        told = found.setdefault(f"{int(bits[at]):08x}", {})
        told[words[at]] = told.get(words[at], 0) + 1
    return found, line


def merged(one: Mapping[str, Mapping[str, int]], line: float, other: Contents, below: float) -> tuple[Contents, float]:
    line = min(line, below)
    found: Contents = {}
    for part in (one, other):
        for key, counts in part.items():
            if int(key, 16) / SPACE < line:
                told = found.setdefault(key, {})
                for word, count in counts.items():
                    told[word] = told.get(word, 0) + count
    if len(found) > MOST:
        first = sorted(found)
        line = int(first[MOST], 16) / SPACE
        found = {key: found[key] for key in first[:MOST]}
    return found, line
