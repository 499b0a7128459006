"""Small column operations that the rules share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.anyvalues import Bools, Ints

MAX_TEXT = 64 * 1024


@lru_cache(maxsize=256)
def nulls(count: int, kind: Any) -> Any:
    """`count` NULLs; a column without a value costs nothing."""
    return pa.nulls(count, kind)


def lengths(column: Any) -> Ints:
    """Bytes of each string of a column."""
    offsets = np.frombuffer(column.buffers()[1], np.int32)
    found: Ints = np.diff(offsets[column.offset : column.offset + len(column) + 1])
    return found


def without(column: Any, gone: Bools) -> Any:
    """A string column with NULL where `gone`; the texts are not copied."""
    if not gone.any():
        return column
    if gone.all():
        return nulls(len(column), column.type)
    _, offsets, data = column.buffers()
    validity = pa.py_buffer(np.packbits(~gone & valid(column), bitorder="little"))
    return pa.Array.from_buffers(column.type, len(column), [validity, offsets.slice(4 * column.offset), data])


def capped(text: Any) -> Any:
    """No text longer than 64 Ki characters."""
    if text.null_count == len(text) or lengths(text).max() <= MAX_TEXT:  # bytes: never fewer than characters
        return text
    return pc.utf8_slice_codeunits(text, 0, MAX_TEXT)


def valid(column: Any) -> Bools:
    """Which rows have a value."""
    if not column.null_count:
        return np.ones(len(column), bool)
    if column.null_count == len(column):
        return np.zeros(len(column), bool)
    found: Bools = column.is_valid().to_numpy(zero_copy_only=False)
    return found


def flag_lists(flags: Mapping[str, Bools], count: int) -> Any:
    """A list column of the names whose row is set; NULL where none is. By distinct set."""
    names = [name for name, rows in flags.items() if rows.any()]
    if not names:
        return nulls(count, pa.list_(pa.string()))
    bits = np.zeros(count, np.int64)
    for number, name in enumerate(names):
        bits |= flags[name].astype(np.int64) << number
    marked = np.flatnonzero(bits)
    sets, number_of = np.unique(bits[marked], return_inverse=True)
    lists = [[name for number, name in enumerate(names) if one >> number & 1] for one in sets.tolist()]
    of_row = np.full(count, -1)
    of_row[marked] = number_of
    return pa.array(lists, pa.list_(pa.string())).take(pa.array(of_row, mask=of_row < 0))
