"""What the store has seen, kept in memory so that most commits need not look.

Which span ids may already be stored: a Bloom filter over every span of the store.

It never misses a stored span, so a resend is found however old it is; it may name a new one (under one in a hundred
thousand up to 5 million spans), which then costs one look into the store and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

BITS = 28  # 2^28 bits: 32 MiB
# Odd multipliers spread ids that a sender counts up as well as random ones (multiplicative hashing).
FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], np.uint64)


def keys(span_ids: Any) -> npt.NDArray[np.uint64]:
    """A binary(8) column without NULLs as integers."""
    whole = span_ids.combine_chunks() if isinstance(span_ids, pa.ChunkedArray) else span_ids
    raw = whole.cast(pa.binary(8)).buffers()[1]
    return np.frombuffer(raw, np.uint64)[whole.offset : whole.offset + len(whole)]


class Seen:
    """Add after the commit; ask before it."""

    def __init__(self) -> None:
        self._bits = np.zeros(2**BITS // 8, np.uint8)

    def _places(self, numbers: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
        mixed = (numbers ^ (numbers >> np.uint64(29)))[:, None] * FACTORS[None, :]
        places = mixed >> np.uint64(64 - BITS)
        return places >> np.uint64(3), np.left_shift(1, places & np.uint64(7)).astype(np.uint8)

    def add(self, numbers: npt.NDArray[np.uint64]) -> None:
        byte, bit = self._places(numbers)
        np.bitwise_or.at(self._bits, byte.ravel(), bit.ravel())

    def may_repeat(self, numbers: npt.NDArray[np.uint64]) -> bool:
        """False: none of these is stored, and no two of them are equal. True: look."""
        if len(np.unique(numbers)) < len(numbers):
            return True
        byte, bit = self._places(numbers)
        return bool(((self._bits[byte] & bit) != 0).all(axis=1).any())


class Processes:
    """Which scopes each process (client, instance) has told calls under. Forgetting some only costs a merge by
    likeness."""

    MOST = 50_000

    def __init__(self, told: Iterable[tuple[str, str, str]] = ()) -> None:
        self._scopes: dict[tuple[str, str], set[str]] = {}
        self.with_two_scopes(told)

    def with_two_scopes(self, told: Iterable[tuple[str, str, str]]) -> list[tuple[str, str]]:
        """Note (client, instance, scope); returns those processes of them that have two scopes or more."""
        if len(self._scopes) > self.MOST:
            self._scopes.clear()
        touched = set()
        for client, instance, scope in told:
            self._scopes.setdefault((client, instance), set()).add(scope)
            touched.add((client, instance))
        return sorted(key for key in touched if len(self._scopes[key]) > 1)
