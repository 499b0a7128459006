"""In which block of the spans table a trace may be: one Bloom filter of trace ids for every 16,384 spans.

A value: `written` and `with_traces` give a new one, so that a commit that fails leaves the old.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from afterlaunch.telemetry.remembered import Keys, of_ids

SPANS_A_BLOCK = 16_384
BITS_A_TRACE, PROBES = 12, 6
FEW_SPANS = 2_000
_MIX, _STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


def _probes(keys: Keys) -> npt.NDArray[np.uint64]:
    step = ((keys * _STEP) >> np.uint64(17)) | np.uint64(1)
    start = (keys * _MIX) >> np.uint64(17)
    return start[:, None] + np.arange(PROBES, dtype=np.uint64)[None, :] * step[:, None]


def filter_of(keys: Keys) -> bytes:
    """The filter of these traces; its length tells its size."""
    size = max(8, -(-len(keys) * BITS_A_TRACE // 8))
    bits = np.zeros(size, np.uint8)
    places = (_probes(keys) % np.uint64(size * 8)).ravel()
    np.bitwise_or.at(bits, places >> np.uint64(3), np.left_shift(1, places & np.uint64(7)).astype(np.uint8))
    return bits.tobytes()


def may_hold(filters: Any, key: Keys) -> npt.NDArray[np.bool_]:
    """Of each filter of a binary array, whether it may hold the one key."""
    offsets = np.frombuffer(filters.buffers()[1], np.int32)[filters.offset : filters.offset + len(filters) + 1]
    held, sizes = np.frombuffer(filters.buffers()[2], np.uint8), np.diff(offsets).astype(np.uint64)
    places = _probes(key) % (sizes[:, None] * np.uint64(8))
    looked = held[offsets[:-1, None] + (places >> np.uint64(3)).astype(np.int64)]
    found: npt.NDArray[np.bool_] = np.all(((looked >> (places & np.uint64(7)).astype(np.uint8)) & 1) == 1, axis=1)
    return found


@dataclass(frozen=True)
class Blocks:
    """`next`: the number that the next span gets; `first`: the first one that no written filter covers; `open_keys`:
    the traces since then."""

    next: int = 0
    first: int = 0
    open_keys: tuple[Keys, ...] = ()

    @staticmethod
    def read(cursor: Any) -> Blocks:
        """Where a store stands."""
        covered = cursor.execute("select coalesce(max(last) + 1, 0) from trace_blocks").fetchall()[0][0]
        rows = cursor.sql("select trace_id, seq from spans where seq >= ?", params=[covered]).to_arrow_table()
        if not rows.num_rows:
            return Blocks(covered, covered)
        keys = of_ids(rows["trace_id"].cast(pa.binary(16)))
        return Blocks(int(rows["seq"].to_numpy().max()) + 1, covered, (np.unique(keys),))

    def with_traces(self, traces: Any) -> Blocks:
        return replace(self, next=self.next + len(traces), open_keys=(*self.open_keys, np.unique(of_ids(traces))))

    def written(self, cursor: Any) -> Blocks:
        """Keep the filter of the open block once it is full."""
        if self.next - self.first < SPANS_A_BLOCK:
            return self
        bits = filter_of(np.unique(np.concatenate(self.open_keys)))
        cursor.execute("insert into trace_blocks values (?, ?, ?)", [self.first, self.next - 1, bits])
        return Blocks(self.next, self.next)

    def holding(self, cursor: Any, trace_id: bytes) -> tuple[str, list[Any]]:
        """SQL over `seq`, with parameters. Looking for the places first costs a third of reading all columns where
        the trace only may be."""
        key = of_ids(pa.array([trace_id], pa.binary(16)))
        parts, parameters = [], []
        if any(np.isin(key, keys)[0] for keys in self.open_keys):
            parts, parameters = ["seq >= ?"], [self.first]
        told = cursor.sql("select first, last, bits from trace_blocks").to_arrow_table().combine_chunks()
        if told.num_rows:
            for row in told.select(["first", "last"]).filter(may_hold(told["bits"].chunk(0), key)).to_pylist():
                parts.append("seq between ? and ?")
                parameters += [row["first"], row["last"]]
        if not parts:
            return "false", []
        where = f"({' or '.join(parts)})"
        asked = f"select seq from spans where trace_id = ? and {where} limit {FEW_SPANS + 1}"
        found = [str(seq) for (seq,) in cursor.execute(asked, [trace_id, *parameters]).fetchall()]
        if len(found) > FEW_SPANS:
            return where, parameters
        return f"seq in ({', '.join(found)})" if found else "false", []
