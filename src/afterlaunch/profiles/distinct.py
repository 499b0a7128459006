"""How many distinct values a column holds: HyperLogLog (Flajolet, Fusy, Gandouet and Meunier 2007) of 512 registers.

A register holds the longest run of leading zeros among the hashes that fall to it, so that merging is the greater of
two and exact: the registers of a whole are those of its parts merged, whatever the order. Few values are counted by the
registers that are empty (linear counting). The estimate's standard error is 4.6 %, below 1,280 values less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log
from zlib import crc32

import numpy as np

from afterlaunch.profiles.hashing import Array, mixed

PLACES = 512
ERROR = 1.04 / PLACES**0.5
ALPHA = 0.7213 / (1 + 1.079 / PLACES)
FEW = 2.5 * PLACES
AT_ONCE = 8_192  # values, that stay in the processor's nearer memories
FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
MOST = 64 - 9 + 1  # leading zeros and one, of the bits that tell no place
HIGHEST = 63 + 1_023  # the exponent of a float that holds a hash whose first bit is set


@dataclass(frozen=True)
class Distinct:
    """`exact`: counted, not estimated."""

    count: float
    exact: bool

    @property
    def error(self) -> float:
        """Standard error, as a share of the count."""
        return 0.0 if self.exact else ERROR


Marks = tuple[Array, Array]  # of values: the registers that they fall to, and what they put there


def merged(one: Array | None, other: Array | None) -> Array | None:
    """Of what was kept before there were registers it is not known."""
    if one is None or other is None:
        return None
    both: Array = np.maximum(one, other)
    return both


def nothing() -> Array:
    return np.zeros(PLACES, np.uint8)


def of_numbers(values: Array) -> Marks:
    """Of float64 values; -0 is 0."""
    bits = (values.astype(np.float64, copy=False) + 0.0).view(np.uint64)
    bits ^= bits >> np.uint64(32)
    bits *= FIRST
    bits ^= bits >> np.uint64(29)
    bits *= SECOND
    bits ^= bits >> np.uint64(32)
    return _marks(bits)


def of_texts(values: Iterable[str]) -> Marks:
    """32 bits stand for a value: of 40 million about one in 200 is taken for another."""
    sums = [crc32(value.encode("utf-8", "surrogatepass")) for value in values]
    return _marks(mixed(np.array(sums, np.uint64)))


def _marks(bits: Array) -> Marks:
    places = (bits & np.uint64(PLACES - 1)).astype(np.intp)
    # The exponent of the hash as a float tells its leading zeros; the last bits, which tell its place, hardly count.
    exponents = (bits.astype(np.float64).view(np.uint64) >> np.uint64(52)).astype(np.int16)
    return places, np.minimum(HIGHEST + 1 - exponents, MOST).astype(np.uint8)


def mark(registers: Array, places: Array, marks: Array) -> None:
    """Alters the registers."""
    np.maximum.at(registers, places, marks)


def add_numbers(registers: Array, values: Array) -> None:
    for start in range(0, len(values), AT_ONCE):
        mark(registers, *of_numbers(values[start : start + AT_ONCE]))


def estimate(registers: Array) -> float:
    """Of 64-bit hashes no correction for collisions is needed."""
    empty = PLACES - int(np.count_nonzero(registers))
    if empty:
        counted = PLACES * log(PLACES / empty)
        if counted <= FEW:
            return counted
    return float(ALPHA * PLACES**2 / np.exp2(-registers.astype(np.float64)).sum())


def packed(registers: Array) -> bytes:
    """Where most are empty, the places of the others and what they hold; else all."""
    used = np.flatnonzero(registers)
    if 3 * len(used) + 2 >= PLACES:
        return b"\xff\xff" + registers.tobytes()
    return len(used).to_bytes(2, "little") + used.astype("<u2").tobytes() + registers[used].tobytes()


def unpacked(body: bytes) -> tuple[Array, int]:
    """The registers, and how many bytes they took. Raises ValueError."""
    count = int.from_bytes(body[:2], "little")
    if count == 0xFFFF:
        found = np.frombuffer(body, np.uint8, PLACES, 2).copy()
        return found, 2 + PLACES
    used = np.frombuffer(body, "<u2", count, 2)
    if count and int(used.max()) >= PLACES:
        raise ValueError("A register lies beyond the last one.")
    registers = nothing()
    registers[used] = np.frombuffer(body, np.uint8, count, 2 + 2 * count)
    return registers, 2 + 3 * count
