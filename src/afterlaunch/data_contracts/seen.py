"""64-bit keys that were there before, eight to twelve bytes each.

Sorted runs grow by merging, in parts by their highest bits, so that a merge takes little memory. A bitmap in front of
them (one bit for a key, a sixteenth to an eighth of the bits set) says at once of nearly every new key that it is new.
"""

from __future__ import annotations

from mmap import mmap

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]
PARTS = 16
APART = 1 << 15
"""Runs of so many keys have pages of their own, which go back when they are merged: a heap would keep them."""
LEAST_BITS, BITS_A_KEY = 16, 8


class Seen:
    def __init__(self) -> None:
        self.clear()

    def take(self, keys: Keys) -> Bools:
        """Which of these (ascending, distinct) were there before; then they are."""
        known = self._marked(keys)
        bounds = np.searchsorted(keys, np.arange(1, PARTS, dtype=np.uint64) << np.uint64(60)).tolist()
        for runs, begin, end in zip(self._runs, [0, *bounds], [*bounds, len(keys)], strict=True):
            if begin == end:
                continue
            mine = keys[begin:end]
            known[begin:end] &= _in(runs, mine, known[begin:end])
            self._add(runs, mine[~known[begin:end]])
        self._mark(keys)
        if BITS_A_KEY * self.count > 8 * len(self._bits):
            self._widen()
        return known

    def clear(self) -> None:
        self.count = 0
        self._runs: list[list[Keys]] = [[] for _ in range(PARTS)]
        self._shift = np.uint64(64 - LEAST_BITS)
        self._bits = np.zeros(1 << LEAST_BITS - 3, np.uint8)

    def _add(self, runs: list[Keys], keys: Keys) -> None:
        self.count += len(keys)
        if len(keys):
            runs.append(keys)
        while len(runs) > 1 and len(runs[-2]) <= 2 * len(runs[-1]):
            last = runs.pop()
            runs[-1] = _merged(runs[-1], last)

    def _marked(self, keys: Keys) -> Bools:
        places = keys >> self._shift
        found = self._bits[places >> np.uint64(3)] >> (places & np.uint64(7)).astype(np.uint8)
        return np.asarray(found & 1, bool)

    def _mark(self, keys: Keys) -> None:
        if not len(keys):
            return
        places = keys >> self._shift
        octets = (places >> np.uint64(3)).astype(np.int64)
        begins = np.flatnonzero(np.diff(octets, prepend=-1))
        bits = np.left_shift(np.uint8(1), (places & np.uint64(7)).astype(np.uint8))
        self._bits[octets[begins]] |= np.bitwise_or.reduceat(bits, begins)

    def _widen(self) -> None:
        """To twice as many bits for a key, which suffices until there are twice as many keys."""
        width = (BITS_A_KEY * self.count).bit_length()
        self._shift, self._bits = np.uint64(64 - width), np.zeros(1 << width - 3, np.uint8)
        for runs in self._runs:
            for run in runs:
                for at in range(0, len(run), APART):
                    self._mark(run[at : at + APART])


def _in(runs: list[Keys], keys: Keys, maybe: Bools) -> Bools:
    """Of those that may be."""
    out = np.zeros(len(keys), bool)
    asked = keys[maybe]
    if len(asked):
        found = np.zeros(len(asked), bool)
        for run in runs:
            found |= run[np.minimum(np.searchsorted(run, asked), len(run) - 1)] == asked
        out[maybe] = found
    return out


def _merged(one: Keys, other: Keys) -> Keys:
    count = len(one) + len(other)
    out = np.empty(count, np.uint64) if count < APART else np.frombuffer(_pages(8 * count), np.uint64)
    out[: len(one)], out[len(one) :] = one, other
    out.sort(kind="stable")
    return out


def _pages(size: int) -> mmap:
    try:
        return mmap(-1, size)
    except OSError as problem:
        raise MemoryError(problem.strerror) from problem
