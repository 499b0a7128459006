"""What an Arrow column holds: as numbers, or as categories.

Plain columns are read straight from Arrow's buffers: its own way to NumPy imports pandas wherever that is installed,
and its functions are another tenth of a second to load. They are loaded for text alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import digest

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity|nan)$"
LONGEST = 200  # characters of a category; a longer text is its beginning and a digest
EXAMPLES = 3


@dataclass(frozen=True)
class Numbers:
    """`values`: one for each row that is not null; `valid`: which rows these are, None for all; `invalid`: positions
    in `values` that were no numbers, with examples of them."""

    values: Array
    valid: Array | None = None
    invalid: Array | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Categories:
    """`codes` point into `values`; one for each row that is not null, as `valid` says."""

    values: list[str]
    codes: Array
    valid: Array | None = None


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _texts(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _valid(array: pa.Array) -> Array | None:
    """Which rows are not null; None for all."""
    if array.null_count == 0:
        return None
    if pa.types.is_null(array.type):
        return np.zeros(len(array), bool)
    bits = np.frombuffer(array.buffers()[0], np.uint8)
    return np.unpackbits(bits, bitorder="little")[array.offset : array.offset + len(array)].astype(bool)


def _buffered(array: pa.Array) -> Array | None:
    """A whole or floating number for every row, whatever stands in null ones; None for other types."""
    kind = array.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    sign = "f" if pa.types.is_floating(kind) else "i" if pa.types.is_signed_integer(kind) else "u"
    place = np.dtype(f"{sign}{kind.bit_width // 8}")
    body = array.buffers()[1]
    if body is None:
        return np.zeros(len(array), place)
    return np.frombuffer(body, place, count=len(array), offset=array.offset * place.itemsize)


def _floats(array: pa.Array) -> Array:
    """Of an Arrow array of doubles without nulls."""
    found = _buffered(array)
    assert found is not None
    return found


def _truths(array: pa.Array) -> Array:
    bits = np.frombuffer(array.buffers()[1], np.uint8)
    return np.unpackbits(bits, bitorder="little")[array.offset : array.offset + len(array)].astype(bool)


def numbers(array: pa.Array) -> Numbers:
    """Text is read as numbers; what is none is `invalid`."""
    array = _plain(array)
    valid = _valid(array)
    found = _buffered(array)
    if found is not None:
        return Numbers((found if valid is None else found[valid]).astype(np.float64, copy=False), valid)
    if valid is not None:
        array = array.drop_null()
    if _texts(array.type):
        return _parsed(array, valid)
    if pa.types.is_boolean(array.type):
        return Numbers(_truths(array).astype(np.float64), valid)
    if pa.types.is_decimal(array.type):
        return Numbers(_floats(array.cast(pa.float64(), safe=False)), valid)
    every = np.arange(len(array))
    shown = tuple(str(one) for one in array[:EXAMPLES].to_pylist())
    return Numbers(np.full(len(array), np.nan), valid, every, shown)


def _parsed(array: pa.Array, valid: Array | None) -> Numbers:
    import pyarrow.compute as pc

    trimmed = array
    for attempt in (0, 1):  # most columns need no trimming
        trimmed = pc.utf8_trim_whitespace(array) if attempt else array
        try:
            return Numbers(_floats(trimmed.cast(pa.float64())), valid)
        except pa.ArrowInvalid:
            continue
    good = pc.match_substring_regex(trimmed, NUMBER)
    wrong = np.flatnonzero(~_truths(good))
    shown = tuple(_short(one) for one in array.take(pa.array(wrong[:EXAMPLES])).to_pylist())
    signless = pc.replace_substring_regex(pc.if_else(good, trimmed, "nan"), r"^\+", "")
    return Numbers(_floats(signless.cast(pa.float64())), valid, wrong, shown)


def share_of_numbers(array: pa.Array) -> float | None:
    """Of the texts that are not null; None where there is none."""
    import pyarrow.compute as pc

    array = _plain(array).drop_null()
    if not len(array):
        return None
    return float(pc.mean(pc.match_substring_regex(pc.utf8_trim_whitespace(array), NUMBER)).as_py())


def categories(array: pa.Array) -> Categories:
    if not pa.types.is_dictionary(array.type):
        array = _as_text(array).dictionary_encode()
    elif not _texts(array.type.value_type):
        array = _as_text(array.dictionary_decode()).dictionary_encode()
    valid = _valid(array.indices)
    codes = _buffered(array.indices)
    assert codes is not None
    return Categories(
        [_short(one) for one in array.dictionary.to_pylist()], codes if valid is None else codes[valid], valid
    )


def _as_text(array: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    if pa.types.is_floating(array.type) and pc.all(pc.equal(pc.round(array), array)).as_py():
        array = array.cast(pa.int64(), safe=False)  # 1.0 and 1 are one category
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        return pa.array([None if one is None else repr(one) for one in array.to_pylist()], pa.string())
    return array if _texts(array.type) else array.cast(pa.string())


def _short(text: Any) -> str:
    whole = str(text)
    if len(whole) <= LONGEST:
        return whole
    return f"{whole[: LONGEST - 20]}… {digest(whole):016x}"
