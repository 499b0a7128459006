"""Columns of vectors (embeddings): read from lists or from JSON text, and a fair sample of them in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from afterlaunch.profiles import hashing
from afterlaunch.profiles.hashing import Array

SAMPLE = 2_000  # rows that are kept, where there are so many; at most twice as many
LONGEST = 16_384  # numbers of a vector
ROWS = 2_048  # of a batch: a vector is as long as a thousand numbers
LOOKED_AT = 20  # texts that tell whether a column holds vectors


@dataclass(frozen=True)
class Vectors:
    """`values` (n, d), float32: the rows that are vectors of `length` finite numbers, `places` which rows these are.
    `nulls`, `wrong`: how many of the others there are."""

    values: Array
    places: Array
    length: int
    nulls: int
    wrong: int


def is_vector(kind: pa.DataType) -> bool:
    types = pa.types
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(lists and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)))


def hold_vectors(array: pa.Array) -> bool:
    """Whether texts are JSON lists of numbers, by the first ones."""
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return False
    found = 0
    for one in array[: 50 * LOOKED_AT]:
        if not one.is_valid:
            continue
        if _parsed(one.as_py()) is None:
            return False
        found += 1
        if found == LOOKED_AT:
            break
    return found > 0


def _parsed(text: str) -> list[float] | None:
    if not text.startswith("["):
        return None
    import orjson

    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    numbers = len(found) > 1 and all(isinstance(one, int | float) and not isinstance(one, bool) for one in found)
    return found if numbers else None


def read(array: pa.Array, length: int = 0) -> Vectors:
    """`length`: that a vector must have; 0: that which most of these have."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not is_vector(array.type):
        rows = [None if one is None else _parsed(one) or [] for one in array.to_pylist()]
        array = pa.array(rows, pa.list_(pa.float64()))
    valid = np.array(array.is_valid())
    flat, sizes = _flat(array, valid)
    if not length:
        length = int(np.bincount(np.minimum(sizes[valid], LONGEST)).argmax()) if valid.any() else 0
    good = valid & (sizes == length) & (sizes > 1)
    places = np.flatnonzero(good)
    starts = (np.cumsum(sizes) - sizes)[places]
    values = flat[starts[:, None] + np.arange(length)[None, :]] if len(places) else np.empty((0, length), np.float32)
    finite = np.isfinite(values).all(1)
    wrong = int(valid.sum()) - int(finite.sum())
    return Vectors(values[finite], places[finite], length, int((~valid).sum()), wrong)


def _flat(array: pa.Array, valid: Array) -> tuple[Array, Array]:
    """All numbers, one row after the other, and how many each row has."""
    if pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    numbers = array.flatten()
    flat = np.array(numbers.cast(pa.float32(), safe=False).fill_null(float("nan")), np.float32)
    offsets = np.array(array.offsets, np.int64)
    sizes = np.where(valid, np.diff(offsets), 0)
    return flat, sizes


class Sample:
    """Of a column, batch after batch: the vectors of the rows with the least hashes, the same each time."""

    def __init__(self, length: int = 0) -> None:
        self.length, self.count, self.nulls, self.wrong = length, 0, 0, 0
        self._parts: list[tuple[Array, Array]] = []
        self._shift = 0

    def add(self, array: pa.Array, first: int) -> None:
        found = read(array, self.length)
        self.length = self.length or found.length
        self.count += len(found.values)
        self.nulls += found.nulls
        self.wrong += found.wrong
        bits = hashing.of_rows(first, len(array))[found.places]
        self._parts.append(self._least(found.values, bits))
        while sum(len(bits) for _, bits in self._parts) > 2 * SAMPLE:
            self._shift += 1
            self._parts = [self._least(values, bits) for values, bits in self._parts]

    def _least(self, values: Array, bits: Array) -> tuple[Array, Array]:
        chosen = (bits & np.uint64((1 << self._shift) - 1)) == 0
        return values[chosen], bits[chosen]

    def halves(self) -> tuple[Array, Array]:
        """Vectors of either half of the rows: one to search, one to test."""
        values = np.concatenate([values for values, _ in self._parts]) if self._parts else np.empty((0, self.length))
        bits = np.concatenate([bits for _, bits in self._parts]) if self._parts else np.empty(0, np.uint64)
        second = hashing.second_half(bits)
        return values[~second], values[second]
