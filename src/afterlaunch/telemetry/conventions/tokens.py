"""Counts as told to the eight exclusive buckets, as arithmetic on columns (telemetry conventions §5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.telemetry.anyvalues import Bools, Ints
from afterlaunch.telemetry.conventions.arrow import nulls, valid
from afterlaunch.telemetry.conventions.attributes import Reading, Words
from afterlaunch.telemetry.conventions.inside import parsed
from afterlaunch.telemetry.conventions.native import usage

PARTS = (
    *("in_total", "out_total", "total", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h"),
    *("reasoning", "in_plain", "in_audio", "in_image", "in_video", "out_audio", "out_image"),
)
OVERLAYS = ("in_audio", "in_image", "in_video", "out_audio", "out_image")
"""Subsets of the buckets, never added to them."""
SEMANTICS = ("inclusive", "cache exclusive", "reasoning exclusive", "exclusive")
"""What the totals were found to include: the cache's share and the reasoning."""
_SEMANTICS = pa.array(SEMANTICS, pa.string())
DISJOINT = ("langfuse",)  # dialects whose parts are not in the totals
CACHE_APART = ("anthropic", "aws.bedrock")  # providers whose numbers the AI SDK passes on as they are


@dataclass(frozen=True)
class Count:
    """`values` are 0 where not `known`."""

    values: Ints
    known: Bools

    def column(self) -> Any:
        return (
            pa.array(self.values, pa.int64(), mask=~self.known)
            if self.known.any()
            else nulls(len(self.values), pa.int64())
        )


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


MOST_TOKENS = 2**40
"""Of one call. What is larger is no count of tokens but a clock or an id, and a thousand of 2^53 exceed every sum."""


def told_counts(reading: Reading, raw: Any, words: Words) -> tuple[dict[str, Count], Meaning, Bools]:
    """(counts as told, what their totals include, rows with a number that is none). `raw`: the providers' own usage
    objects, read where nothing else tells."""
    whole = {name: Count(*reading.integer(name)) for name in (*PARTS, "tool_use")}
    meaning = _meaning(reading, words, whole)
    invalid = np.zeros(reading.count, bool)
    for name in PARTS:
        if name in reading.integers:
            invalid |= reading.integers[name][2]
    _fill_from_raw(whole, meaning, raw)
    for name, count in whole.items():
        absurd = count.known & (count.values >= MOST_TOKENS)
        if absurd.any():
            whole[name] = Count(np.where(absurd, 0, count.values), count.known & ~absurd)
            invalid = invalid | absurd
    return whole, meaning, invalid


def _meaning(reading: Reading, words: Words, whole: dict[str, Count]) -> Meaning:
    cache, reasoning = np.ones(reading.count, bool), np.ones(reading.count, bool)
    assumed = np.zeros(reading.count, bool)
    apart: Bools | None = None
    told = reading.told_by("in_total")
    for source, rows in told if any(source.dialect != "genai" for source, _ in told) else ():
        if source.dialect in DISJOINT or source.where == "claude_code":
            cache &= ~rows
        elif source.dialect in ("vercel", "genai_old") and rows.any():
            apart = words.among("provider", *CACHE_APART) if apart is None else apart
            if source.dialect == "vercel":
                cache &= ~(rows & apart & ~whole["in_plain"].known)
            else:  # older releases passed the provider's numbers on; then only the sum can tell
                assumed |= rows & apart & ~whole["total"].known & (whole["cache_read"].values > 0)
    for source, rows in reading.told_by("out_total"):
        if source.dialect in DISJOINT:
            reasoning &= ~rows
    return Meaning(cache, reasoning, assumed)


def _fill_from_raw(whole: dict[str, Count], meaning: Meaning, raw: Any) -> None:
    rows = np.flatnonzero(valid(raw)).tolist()
    for row in rows:
        told = usage(parsed(raw[row].as_py()))
        if told is None:
            continue  # the text stays with the span; what it may have told stays unknown
        if not whole["in_total"].known[row] and not whole["out_total"].known[row]:
            meaning.cache_inside[row], meaning.reasoning_inside[row] = (
                told.shape.cache_inside,
                told.shape.reasoning_inside,
            )
        elif whole["in_total"].known[row] and whole["out_total"].known[row]:
            # The object's own sum witnesses for its own totals only.
            told = type(told)(told.shape, {name: n for name, n in told.counts.items() if name != "total"})
        for name, count in told.counts.items():
            if not whole[name].known[row]:
                whole[name].known[row], whole[name].values[row] = True, count


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


def semantics_column(buckets: Buckets, rows: Bools) -> Any:
    """What the totals of these rows were found to include."""
    return _SEMANTICS.take(pa.array(buckets.semantics, mask=~rows))


def source_column(reading: Reading, rows: Bools) -> Any:
    """The attribute that told the tokens in, else those out, else the provider's own object."""
    names: list[str] = ["gen_ai.usage.raw"]
    codes = np.where(rows, 0, -1)
    open_rows = rows.copy()
    for field in ("in_total", "out_total"):
        for layer in reading.layers:
            places = layer.places(field)
            if places is not None and open_rows.any():
                mine = open_rows & (places >= 0)
                codes = np.where(mine, layer.way[layer.rows[field]] + len(names), codes)
                names += [way.source.name for way in layer.ways]
                open_rows &= ~mine
    return pa.array(names, pa.string()).take(pa.array(codes, mask=codes < 0))
