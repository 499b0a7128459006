"""Rules that one value answers by itself. Each looks at all values of a batch at once, and one by one only at those
that may break it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.data_contracts.cells import is_type, marker, missing
from afterlaunch.data_contracts.coded import Array, Coded
from afterlaunch.data_contracts.contract import Column, compiled

Told = Callable[[Coded], Mapping[int, str]]
"""A column's words → places of those that break the rule, each with what it should be, or ''."""


def required(column: Coded) -> Mapping[int, str]:
    return dict.fromkeys(np.flatnonzero(column.gone).tolist(), "")


def typed(kind: str) -> Told:
    """A marker of a missing value is no number: a number column leaves the cell empty."""
    strict = kind in ("integer", "number")

    def breaks(value: str) -> bool:
        return not (not value or is_type(value, kind) or missing(value) or (not strict and marker(value)))

    def doubtful(column: Coded) -> Array:
        if strict:
            out = np.isnan(column.numbers)
            if kind == "integer":
                out |= np.floor(column.numbers) != column.numbers
            return out
        fine = column.dates if kind == "date" else kind == "timestamp" and column.instants is not None
        return np.zeros(len(column.words), bool) if fine else np.ones(len(column.words), bool)

    return lambda column: _sifted(column, doubtful(column), breaks)


def within(bounds: tuple[float | None, float | None]) -> Told:
    """What is no number breaks the type, not the range."""
    least, most = (-inf if bounds[0] is None else bounds[0]), (inf if bounds[1] is None else bounds[1])

    def told(column: Coded) -> Mapping[int, str]:
        outside = (column.numbers < least) | (column.numbers > most)
        if not pa.types.is_floating(column.words.type):
            return dict.fromkeys(np.flatnonzero(outside).tolist(), "")
        # As it is written: 0.1 + 0.2 is 0.3.
        return _sifted(column, outside, lambda value: not least <= float(value) <= most)

    return told


def among(known: frozenset[str]) -> Told:
    values = pa.array(sorted(known), pa.string())
    return lambda column: _unless(column, pc.is_in(column.text, values))


def pattern(asked: str) -> Told:
    compiled(asked)
    return lambda column: _unless(column, pc.match_substring_regex(column.text, rf"\A(?:{asked})\z"))


def sized(least: int, most: int) -> Told:
    def told(column: Coded) -> Mapping[int, str]:
        length = pc.utf8_length(column.text)
        return _unless(column, pc.and_(pc.greater_equal(length, least), pc.less_equal(length, most)))

    return told


def slipped(slips: Mapping[str, str]) -> Told:
    rare = pa.array(list(slips), pa.string())

    def told(column: Coded) -> Mapping[int, str]:
        places = np.flatnonzero(pc.is_in(column.text, rare).to_numpy(zero_copy_only=False)) if slips else ()
        return {place: slips[column.text[place].as_py()] for place in map(int, places)}

    return told


def of_column(column: Column) -> list[tuple[str, Told]]:
    """Its rules but `unique`, `similar` and `nulls`, which know the whole table."""
    out: list[tuple[str, Told]] = []
    if column.required:
        out.append(("required", required))
    if column.type != "text":
        out.append(("type", typed(column.type)))
    if column.range is not None:
        out.append(("range", within(column.range)))
    if column.values is not None:
        out.append(("values", among(frozenset(column.values))))
    if column.pattern is not None:
        out.append(("pattern", pattern(column.pattern)))
    if column.length is not None:
        out.append(("length", sized(*column.length)))
    return out


def _sifted(column: Coded, doubtful: Array, breaks: Callable[[str], bool]) -> Mapping[int, str]:
    places = np.flatnonzero(doubtful)
    if not len(places):
        return {}
    return {at: "" for at, value in zip(places.tolist(), column.some(places), strict=True) if breaks(value)}


def _unless(column: Coded, fits: Any) -> Mapping[int, str]:
    """Where it does not fit, but for what is missing."""
    wrong = ~fits.to_numpy(zero_copy_only=False)
    return dict.fromkeys(np.flatnonzero(wrong & ~column.gone).tolist(), "") if wrong.any() else {}
