"""What a store holds, remembered so that most commits need not ask it: Bloom filters over 64-bit keys.

Every part remembers the keys of some stretch of start times. A part that was forgotten, or never read after a start,
answers "maybe" for its stretch; so a stored key is never missed, and forgetting costs a look into the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

BITS = 24
MOST_KEYS = 2**BITS // 28  # 2 MiB a part; one false "maybe" in some 40,000 keys
PROBES = 6
MOST_PARTS = 8
Keys = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
_MIX = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xC2B2AE3D27D4EB4F)
_NUMBERS = np.arange(PROBES, dtype=np.uint64)


def of_ids(ids: Any) -> Keys:
    """A binary(8) or binary(16) column without NULLs as integers."""
    whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    words = whole.type.byte_width // 8
    raw = np.frombuffer(whole.buffers()[1], np.uint64)
    numbers = raw[whole.offset * words : (whole.offset + len(whole)) * words].reshape(-1, words)
    return numbers[:, 0] if words == 1 else numbers[:, 0] ^ (numbers[:, 1] * _MIX)


def of_texts(texts: list[str]) -> Keys:
    """Hashes that hold within this process only."""
    return np.array([hash(text) for text in texts], np.int64).view(np.uint64)


def salted(keys: Keys, salt: int) -> Keys:
    """The same keys for another purpose."""
    return (keys ^ np.uint64(salt & 0xFFFFFFFFFFFFFFFF)) * _STEP


@dataclass
class _Part:
    lowest: int
    highest: int
    bits: npt.NDArray[np.uint8] | None = field(default_factory=lambda: np.zeros(2**BITS // 8, np.uint8), repr=False)
    keys: int = 0


def _places(keys: Keys) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    mixed = (keys ^ (keys >> np.uint64(29))) * _MIX
    step = ((keys * _STEP) >> np.uint64(20)) | np.uint64(1)
    places = ((mixed >> np.uint64(20))[:, None] + _NUMBERS[None, :] * step[:, None]) & np.uint64(2**BITS - 1)
    return places >> np.uint64(3), np.left_shift(1, places & np.uint64(7)).astype(np.uint8)


class Remembered:
    """Add after the commit; ask before it. Not safe for several threads: the store's writer lock guards it."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []

    def unread(self, lowest: int, highest: int) -> None:
        """The store holds keys of these start times that nobody has added."""
        self._parts.insert(0, _Part(lowest, highest, None))

    def add(self, starts: Ints, keys: Keys) -> None:
        """`starts`: nanoseconds since 1970 of all that the keys belong to, in any order and number."""
        if not len(keys):
            return
        lowest, highest = int(starts.min()), int(starts.max())
        part = self._parts[-1] if self._parts else None
        if part is None or part.bits is None or part.keys + len(keys) > MOST_KEYS:
            part = _Part(lowest, highest)
            self._parts.append(part)
            self._forget()
        assert part.bits is not None
        part.lowest, part.highest = min(part.lowest, lowest), max(part.highest, highest)
        part.keys += len(keys)
        byte, bit = _places(keys)
        np.bitwise_or.at(part.bits, byte.ravel(), bit.ravel())

    def _forget(self) -> None:
        kept = [part for part in self._parts if part.bits is not None]
        if len(kept) > MOST_PARTS:
            kept[0].bits = None

    def may_hold(self, earliest: Ints, latest: Ints, keys: Keys) -> npt.NDArray[np.bool_]:
        """For each key: False, it is not in the store under a start in [earliest, latest]; True, look."""
        out = np.zeros(len(keys), bool)
        if not len(keys):
            return out
        byte, bit = _places(keys)
        first, last = int(earliest.min()), int(latest.max())
        for part in self._parts:
            if last < part.lowest or first > part.highest:
                continue
            meant = (latest >= part.lowest) & (earliest <= part.highest)
            if part.bits is None:
                out |= meant
            else:
                out |= meant & ((part.bits[byte] & bit) != 0).all(axis=1)
        return out
