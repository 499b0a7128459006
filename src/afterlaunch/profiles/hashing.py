"""The hash bits of a row: which half of its profile it goes to, and whether a sample keeps it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def mixed(ids: Array) -> Array:
    """64 well-mixed bits of each integer (the finaliser of SplitMix64, Steele et al. 2014)."""
    bits = ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed_bits: Array = bits ^ (bits >> np.uint64(31))
    return mixed_bits


@lru_cache(maxsize=64)
def of_rows(first: int, count: int) -> Array:
    """The bits of rows that carry no id: of their numbers."""
    bits = mixed(np.arange(first, first + count))
    bits.flags.writeable = False
    return bits


def second_half(bits: Array) -> Array:
    """Whether a row belongs to the second half."""
    return (bits >> np.uint64(63)).astype(bool)


@lru_cache(maxsize=64)
def halves_of_rows(first: int, count: int) -> tuple[Array, Array]:
    """Positions of the rows of either half within the batch."""
    second = second_half(of_rows(first, count))
    return np.flatnonzero(~second), np.flatnonzero(second)


@lru_cache(maxsize=64)
def sampled_rows(first: int, count: int, shift: int) -> Array:
    """Positions of the rows whose lowest `shift` bits are zero: one in 2 ** shift."""
    return np.flatnonzero((of_rows(first, count) & np.uint64((1 << shift) - 1)) == 0)
