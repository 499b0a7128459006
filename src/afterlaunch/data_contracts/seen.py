"""64-bit keys that were there before, eight bytes each: sorted runs that grow by merging, in parts by their highest
bits, so that a merge takes little memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
PARTS = 16


class Seen:
    def __init__(self) -> None:
        self.count = 0
        self._runs: list[list[Keys]] = [[] for _ in range(PARTS)]

    def take(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which of these (ascending, distinct) were there before; then they are."""
        known = np.zeros(len(keys), bool)
        bounds = np.searchsorted(keys, np.arange(1, PARTS, dtype=np.uint64) << np.uint64(60)).tolist()
        for runs, begin, end in zip(self._runs, [0, *bounds], [*bounds, len(keys)], strict=True):
            if begin == end:
                continue
            mine = keys[begin:end]
            for run in runs:
                places = np.minimum(np.searchsorted(run, mine), len(run) - 1)
                known[begin:end] |= run[places] == mine
            self._add(runs, mine[~known[begin:end]])
        return known

    def _add(self, runs: list[Keys], keys: Keys) -> None:
        self.count += len(keys)
        if len(keys):
            runs.append(keys)
        while len(runs) > 1 and len(runs[-2]) <= 2 * len(runs[-1]):
            last = runs.pop()
            runs[-1] = np.sort(np.concatenate([runs[-1], last]), kind="stable")

    def clear(self) -> None:
        self._runs = [[] for _ in range(PARTS)]
