"""From inclusive counts to the eight exclusive buckets, as arithmetic on columns (telemetry conventions §5).

A single call is a column of one: ingest and `price usage` share this arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
BUCKETS = (
    "in_uncached",
    "in_cache_read",
    "in_cache_write_5m",
    "in_cache_write_1h",
    "in_cache_write_other",
    "in_tool_use",
    "out_visible",
    "out_reasoning",
)
"""Eight disjoint token counts; their sum is what is billed."""
TOLD = (
    *("in_total", "out_total", "total", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h"),
    *("reasoning", "in_plain", "tool_use"),
)
SEMANTICS = ("inclusive", "cache exclusive", "reasoning exclusive", "exclusive")
"""What the totals were found to include: the cache's share and the reasoning."""


@dataclass(frozen=True)
class Count:
    """`values` are 0 where not `known`."""

    values: Ints
    known: Bools

    def column(self) -> Any:
        if not self.known.any():
            return pa.nulls(len(self.values), pa.int64())
        return pa.array(self.values, pa.int64(), mask=~self.known)


@dataclass(frozen=True)
class Meaning:
    """What the totals include, before a witness is asked: per row."""

    cache_inside: Bools
    reasoning_inside: Bools
    assumed: Bools


@dataclass(frozen=True)
class Buckets:
    """The counts by bucket name, what the totals meant, and the flags that arose (name -> which rows)."""

    counts: dict[str, Count]
    semantics: Ints  # numbers into SEMANTICS
    flags: dict[str, Bools]


def exclusive(whole: dict[str, Count], meaning: Meaning) -> Buckets:
    """1. The witness decides what the totals include. 2. Subtract. 3. What would be negative is 0 and flagged."""
    inside, outside, total = whole["in_total"], whole["out_total"], whole["total"]
    read, write, think = whole["cache_read"], whole["cache_write"], whole["reasoning"]
    five, hour, tools = whole["cache_write_5m"], whole["cache_write_1h"], whole["tool_use"]
    split = five.known | hour.known
    exceeds = split & write.known & (five.values + hour.values > write.values)
    wrote = np.where(write.known & ~exceeds, write.values, five.values + hour.values)
    cached, thought = read.values + wrote, think.values
    plain = inside.values + outside.values
    # What the sum can be, in the order in which it is asked.
    sums = (
        (plain, True, True, True),
        (plain + thought, thought > 0, True, False),
        (plain + cached, cached > 0, False, True),
        (plain + thought + tools.values, tools.values > 0, True, False),
        (plain + thought + cached, (thought > 0) & (cached > 0), False, False),
    )
    asked = total.known & inside.known & outside.known
    open_rows = asked.copy()
    cache_inside, think_inside = meaning.cache_inside.copy(), meaning.reasoning_inside.copy()
    for number, may_be, cache, reasoning in sums:
        holds = open_rows & may_be & (total.values == number)
        cache_inside[holds], think_inside[holds] = cache, reasoning
        open_rows &= ~holds
    surely_apart = inside.known & (cached > inside.values)
    think_apart = outside.known & (thought > outside.values)
    flagged = surely_apart & cache_inside
    cache_inside &= ~surely_apart
    all_inside = think_inside.copy()
    think_inside &= ~think_apart
    fresh = inside.values - np.where(cache_inside, cached, 0)
    visible = outside.values - np.where(think_inside, thought, 0)
    given = whole["in_plain"]
    fresh = np.where(given.known, given.values, fresh)
    other = wrote - five.values - hour.values
    known_in = inside.known | given.known
    counts = {
        "in_uncached": Count(np.maximum(fresh, 0) * known_in, known_in),
        "in_cache_read": read,
        "in_cache_write_5m": five,
        "in_cache_write_1h": hour,
        "in_cache_write_other": Count(np.maximum(other, 0), (write.known | split) & (~split | (other > 0))),
        "in_tool_use": tools,
        "out_visible": Count(np.maximum(visible, 0) * outside.known, outside.known),
        "out_reasoning": think,
    }
    flags = {
        "negative_bucket": (known_in & (fresh < 0)) | (outside.known & (visible < 0)),
        "cache_exceeds_input": flagged,
        "cache_write_split_exceeds_total": exceeds,
        "total_mismatch": open_rows | (asked & (flagged | (think_apart & all_inside))),
        "semantics_assumed": meaning.assumed,
    }
    return Buckets(counts, np.where(cache_inside, 0, 1) + np.where(think_inside, 0, 2), flags)


def of_one(
    told: Mapping[str, int], cache_inside: bool, reasoning_inside: bool
) -> tuple[dict[str, int | None], set[str]]:
    """The buckets of one call, None where not told, and the flags that arose."""
    yes, no = np.array([True]), np.array([False])
    whole = {name: Count(np.array([told.get(name, 0)], np.int64), yes if name in told else no) for name in TOLD}
    made = exclusive(whole, Meaning(yes & cache_inside, yes & reasoning_inside, no))
    counts = {name: int(one.values[0]) if one.known[0] else None for name, one in made.counts.items()}
    return counts, {name for name, rows in made.flags.items() if rows[0]}
