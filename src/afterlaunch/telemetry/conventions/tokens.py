"""Inclusive counts to the eight exclusive buckets, as arithmetic on columns (telemetry conventions §5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[Any]


@dataclass(frozen=True)
class Count:
    """`values` are 0 where not `known`."""

    values: Ints
    known: Bools

    def column(self) -> Any:
        return pa.array(self.values, pa.int64(), mask=~self.known)


@dataclass(frozen=True)
class Buckets:
    """The counts by bucket name, and the flags that arose (name -> which rows)."""

    counts: dict[str, Count]
    flags: dict[str, Bools]


def fill_from_raw(whole: dict[str, Count], raw: Any, paths: Mapping[str, tuple[tuple[str, ...], ...]]) -> None:
    """Parts of the totals from the provider's own usage objects (JSON text), where nothing else told them."""
    for row in np.flatnonzero(raw.is_valid().to_numpy(zero_copy_only=False)).tolist():
        try:
            usage = orjson.loads(raw[row].as_py())
        except orjson.JSONDecodeError:
            continue  # the text stays with the span; what it may have told stays unknown
        for name, ways in paths.items():
            if not whole[name].known[row] and (found := _found(usage, ways)) is not None:
                whole[name].known[row], whole[name].values[row] = True, found


def _found(usage: Any, ways: tuple[tuple[str, ...], ...]) -> int | None:
    for way in ways:
        at = usage
        for key in way:
            at = at.get(key) if isinstance(at, dict) else None
        if isinstance(at, int) and not isinstance(at, bool) and 0 <= at < 2**53:
            return at
    return None


def exclusive(
    total_in: Count, total_out: Count, total: Count, read: Count, write: Count, five: Count, hour: Count, think: Count
) -> Buckets:
    """1. The witness decides what the totals include. 2. Subtract. 3. What would be negative is 0 and flagged."""
    split = five.known | hour.known
    wrote = np.where(write.known, write.values, five.values + hour.values)
    wrote_known = write.known | split
    exceeds = split & write.known & (five.values + hour.values > write.values)
    inside, outside, thought = total_in.values, total_out.values, think.values
    cached = read.values + wrote
    witness = total.known & total_in.known & total_out.known
    all_inclusive = witness & (total.values == inside + outside)
    cache_exclusive = (cached > inside) & total_in.known
    cache_exclusive |= witness & ~all_inclusive & (cached > 0) & (total.values == inside + outside + cached)
    think_exclusive = (thought > outside) & total_out.known
    think_exclusive |= witness & ~all_inclusive & (thought > 0) & (total.values == inside + outside + thought)
    both = (
        witness & ~all_inclusive & (total.values == inside + outside + thought + cached) & (thought > 0) & (cached > 0)
    )
    cache_exclusive, think_exclusive = cache_exclusive | both, think_exclusive | both
    fresh = np.where(cache_exclusive, inside, inside - cached)
    visible = np.where(think_exclusive, outside, outside - thought)
    other = wrote - five.values - hour.values
    negative = (fresh < 0) | (visible < 0)
    counts = {
        "in_uncached": Count(np.maximum(fresh, 0) * total_in.known, total_in.known),
        "in_cache_read": read,
        "in_cache_write_5m": five,
        "in_cache_write_1h": hour,
        "in_cache_write_other": Count(np.maximum(other, 0), wrote_known & (~split | (other > 0))),
        "in_tool_use": Count(np.zeros_like(inside), np.zeros(len(inside), bool)),
        "out_visible": Count(np.maximum(visible, 0) * total_out.known, total_out.known),
        "out_reasoning": think,
    }
    explained = all_inclusive | cache_exclusive | think_exclusive
    flags = {
        "negative_bucket": negative,
        "cache_exceeds_input": (cached > inside) & total_in.known & (cached > 0),
        "cache_write_split_exceeds_total": exceeds,
        "total_mismatch": witness & ~explained,
    }
    return Buckets(counts, flags)
