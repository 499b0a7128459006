"""Counts as told by attributes, and what they mean: `prices.buckets` makes exclusive buckets of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.prices.buckets import SEMANTICS, Buckets, Count, Meaning
from afterlaunch.prices.usage import usage
from afterlaunch.telemetry.anyvalues import Bools
from afterlaunch.telemetry.conventions.arrow import valid
from afterlaunch.telemetry.conventions.attributes import Reading, Words
from afterlaunch.telemetry.conventions.inside import parsed

PARTS = (
    *("in_total", "out_total", "total", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h"),
    *("reasoning", "in_plain", "in_audio", "in_image", "in_video", "out_audio", "out_image"),
)
OVERLAYS = ("in_audio", "in_image", "in_video", "out_audio", "out_image")
"""Subsets of the buckets, never added to them."""
_SEMANTICS = pa.array(SEMANTICS, pa.string())
DISJOINT = ("langfuse",)  # dialects whose parts are not in the totals
CACHE_APART = ("anthropic", "aws.bedrock")  # providers whose numbers the AI SDK passes on as they are


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
    invalid |= _fill_from_raw(whole, meaning, raw)
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


def _fill_from_raw(whole: dict[str, Count], meaning: Meaning, raw: Any) -> Bools:
    """Fills what nothing else tells; which rows tell a number that is none."""
    rows = np.flatnonzero(valid(raw)).tolist()
    invalid = np.zeros(len(raw), bool)
    for row in rows:
        told = usage(parsed(raw[row].as_py()))
        if told is None:
            continue  # the text stays with the span; what it may have told stays unknown
        invalid[row] = bool(told.invalid)
        if not whole["in_total"].known[row] and not whole["out_total"].known[row]:
            meaning.cache_inside[row], meaning.reasoning_inside[row] = (
                told.shape.cache_inside,
                told.shape.reasoning_inside,
            )
        elif whole["in_total"].known[row] and whole["out_total"].known[row]:
            # The object's own sum witnesses for its own totals only.
            told = type(told)(told.shape, {name: n for name, n in told.counts.items() if name != "total"})
        for name, count in told.counts.items():
            if name in whole and not whole[name].known[row]:
                whole[name].known[row], whole[name].values[row] = True, count
    return invalid


def fill_from_estimates(whole: dict[str, Count], reading: Reading) -> Bools:
    """Where nobody told any tokens and the gateway estimated both sides; which rows those are."""
    given, answered = Count(*reading.integer("estimate_in")), Count(*reading.integer("estimate_out"))
    sane = (given.values < MOST_TOKENS) & (answered.values < MOST_TOKENS)
    rows: Bools = given.known & answered.known & sane & ~whole["in_total"].known & ~whole["out_total"].known
    for name, count in (("in_total", given), ("out_total", answered)) if rows.any() else ():
        told = whole[name]
        whole[name] = Count(np.where(rows, count.values, told.values), told.known | rows)
    return rows


def semantics_column(buckets: Buckets, rows: Bools) -> Any:
    """What the totals of these rows were found to include."""
    return _SEMANTICS.take(pa.array(buckets.semantics, mask=~rows))


def source_column(reading: Reading, rows: Bools, estimated: Bools) -> Any:
    """The attribute that told the tokens in, else those out, else the provider's own object, else the estimate."""
    names: list[str] = ["gen_ai.usage.raw", "afterlaunch.estimate.input_tokens"]
    codes = np.where(rows, np.where(estimated, 1, 0), -1)
    open_rows = rows & ~estimated
    for field in ("in_total", "out_total"):
        for layer in reading.layers:
            places = layer.places(field)
            if places is not None and open_rows.any():
                mine = open_rows & (places >= 0)
                codes = np.where(mine, layer.way[layer.rows[field]] + len(names), codes)
                names += [way.source.name for way in layer.ways]
                open_rows &= ~mine
    return pa.array(names, pa.string()).take(pa.array(codes, mask=codes < 0))
