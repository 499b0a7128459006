"""Learning a layout from a stream in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from afterlaunch.profiles import hashing
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import CategoryLayout, NumericLayout, category_layout, numeric_layout

SAMPLE = 65_536
DISTINCT = 100_000


class NumericLearner:
    """Keeps all values up to about 65,536, then those of the rows with the least hashes: a fair sample, the same each
    time. The bit that splits the halves is the highest of a row's bits; a sample goes by the lowest."""

    def __init__(self, expected_rows: int = 0) -> None:
        self._parts: list[tuple[Array, Array]] = []  # values and the bits of their rows
        self._kept = 0
        self._shift = max(0, (expected_rows // SAMPLE).bit_length())
        self.low, self.high = np.inf, -np.inf

    def add(self, values: Array, first: int, valid: Array | None = None) -> None:
        """`values`: one for each row that is valid; what is not finite is passed over."""
        low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
        bits = hashing.of_rows(first, len(values) if valid is None else len(valid))
        if valid is not None:
            bits = bits[valid]
        if np.isnan(low) or low == -np.inf or (high == np.inf and len(values)):
            finite = np.isfinite(values)
            values, bits, valid = values[finite], bits[finite], finite
            low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
        self.low, self.high = min(self.low, low), max(self.high, high)
        cached = valid is None
        chosen = hashing.sampled_rows(first, len(values), self._shift) if cached else _least(bits, self._shift)
        self._parts.append((values[chosen], bits[chosen]))
        self._kept += len(chosen)
        while self._kept > 2 * SAMPLE:
            self._thin()

    def _thin(self) -> None:
        self._shift += 1
        chosen = [(values, bits, _least(bits, self._shift)) for values, bits in self._parts]
        self._parts = [(values[rows], bits[rows]) for values, bits, rows in chosen]
        self._kept = sum(len(values) for values, _ in self._parts)

    def layout(self) -> NumericLayout | None:
        """None where there was no finite number."""
        sample = np.concatenate([values for values, _ in self._parts]) if self._parts else np.empty(0)
        if not len(sample):  # of few values the sample may have caught none
            return (
                None if self.low > self.high else numeric_layout(np.array([self.low, self.high]), self.low, self.high)
            )
        return numeric_layout(sample, self.low, self.high)


def _least(bits: Array, shift: int) -> Array:
    return np.flatnonzero((bits & np.uint64((1 << shift) - 1)) == 0)


class CategoryLearner:
    """Counts values; of more than 200,000 distinct ones the most frequent 100,000 go on, and that is said."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.complete = True

    def add(self, values: Sequence[str], counts: Array) -> None:
        counted = self.counts
        for value, count in zip(values, counts.tolist(), strict=True):
            if count:
                counted[value] += count
        if len(counted) > 2 * DISTINCT:
            self.counts = Counter(dict(counted.most_common(DISTINCT)))
            self.complete = False

    def layout(self) -> CategoryLayout | None:
        return category_layout(self.counts, self.complete) if self.counts else None
