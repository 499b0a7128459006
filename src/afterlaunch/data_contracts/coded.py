"""A column of one batch, and what its values are: numbers, instants, missing. Arrow and NumPy answer for nearly all of
them at once; what they can't decide is decided value by value by `cells`, so that both say the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.data_contracts.cells import MARKED, MARKERS, marker, missing, number
from afterlaunch.ground.errors import Invalid

Array = npt.NDArray[Any]
PROBED, SPARSE = 512, 2
"""A column of texts is coded where a value stands twice or more among its first ones."""
PLAIN = r"\A[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\z"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_YEAR = -62_135_596_800_000_000  # of datetime, in microseconds since 1970
FIRST_DAY = FIRST_YEAR // 86_400_000_000
LEADS = np.zeros(256, bool)
LEADS[[ord(each) for one in MARKERS for each in (one[0].lower(), one[0].upper())]] = True
LEADS[:33] = LEADS[128:] = True
"""Bytes that a missing value or a marker can begin with: theirs, blanks, and what is no ASCII."""


class Coded:
    """Row i is `words[codes[i]]`, or `words[i]` where `codes` is None; null is missing. Words may repeat unless
    `distinct`."""

    def __init__(self, words: pa.Array, codes: Array | None, distinct: bool) -> None:
        self.words, self._codes, self._distinct = words, codes, distinct
        self.rows = len(words) if codes is None else len(codes)

    @cached_property
    def codes(self) -> Array:
        return np.arange(self.rows) if self._codes is None else self._codes

    def of_rows(self, by_word: Array) -> Array:
        """What is known of each word, of each row."""
        return by_word if self._codes is None else by_word[self._codes]

    @cached_property
    def distinct(self) -> Coded:
        """The same with every value once among its words."""
        if self._distinct:
            return self
        found = self.text.dictionary_encode()
        codes = found.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return Coded(found.dictionary, codes if self._codes is None else codes[self._codes], True)

    @cached_property
    def text(self) -> pa.Array:
        """Words as they stand in the file, '' for what is missing."""
        return pc.fill_null(as_text(self.words), "")

    @cached_property
    def values(self) -> list[str]:
        found: list[str] = self.text.to_pylist()
        return found

    def some(self, places: Array) -> list[str]:
        """The values of these words."""
        found: list[str] = pc.fill_null(as_text(self.words.take(pa.array(places))), "").to_pylist()
        return found

    def of(self, rows: Array) -> list[str]:
        """The values of these rows."""
        return self.some(self.codes[rows])

    def cell(self, row: int) -> str:
        place = row if self._codes is None else int(self._codes[row])
        found: str = self.values[place] if "values" in self.__dict__ else self.some(np.array([place]))[0]
        return found

    @cached_property
    def gone(self) -> Array:
        """Words that are missing, or text for missing."""
        kind = self.words.type
        if not pa.types.is_string(kind):
            out = self.words.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
            if pa.types.is_nested(kind) or pa.types.is_binary(kind):
                out = np.array([missing(one) or marker(one) for one in self.values], bool)
            return np.asarray(out)
        begin, end, data = _buffers(self.text)
        length = end - begin
        lead: Array = data[np.minimum(begin, max(len(data) - 1, 0))] if len(data) else np.zeros(len(begin), np.uint8)
        short = LEADS[lead] & ((length <= MARKED) | (lead < 33) | (lead > 127))
        out = length == 0
        places = np.flatnonzero(short & ~out)
        if len(places):
            plain = pc.utf8_lower(pc.utf8_trim_whitespace(self.text.take(pa.array(places))))
            maybe = pc.is_in(plain, pa.array(["", *MARKERS])).to_numpy(zero_copy_only=False)
            places = places[maybe]
            out[places] = [missing(one) or marker(one) for one in self.some(places)]
        return np.asarray(out)

    @cached_property
    def numbers(self) -> Array:
        """Float64; NaN for what is not written as a number."""
        kind = self.words.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            out = np.array(self.words.to_numpy(zero_copy_only=False), np.float64)
            out[~np.isfinite(out)] = np.nan
            return out
        text = self.text if not pa.types.is_string(kind) else self.words
        found = _floats(text)
        if found is not None:
            return found
        out = np.full(len(text), np.nan)
        plain = pc.fill_null(pc.match_substring_regex(text, PLAIN), False).to_numpy(zero_copy_only=False)
        places = np.flatnonzero(plain)
        out[places] = pc.cast(text.take(pa.array(places)), pa.float64()).to_numpy(zero_copy_only=False)
        rest = np.flatnonzero(~plain & ~self.gone)
        told = (number(one) for one in self.some(rest))
        out[rest] = np.fromiter((np.nan if one is None else one for one in told), np.float64, len(rest))
        return out

    @cached_property
    def dates(self) -> bool:
        """Every word is a date (or missing) as ISO 8601 writes it at length."""
        if not pa.types.is_string(self.words.type):
            return False
        found = _cast(self.words, pa.date32(), pa.int32())
        return found is not None and not ((found < FIRST_DAY) & (found != np.iinfo(np.int32).min)).any()

    @cached_property
    def instants(self) -> tuple[Array, bool] | None:
        """Microseconds since 1970 (the least integer for what is missing; without a zone as if in UTC), and whether
        all have a zone. None where some are no instants, or are written in a way that is looked at one by one."""
        if not pa.types.is_string(self.words.type) or self.words.null_count == len(self.words):
            return None
        for zone in (None, "UTC"):
            found = _cast(self.words, pa.timestamp("us", zone), pa.int64())
            if found is not None:
                return (found, zone is not None) if found[found != NEVER].min() >= FIRST_YEAR else None
        return None


NEVER = np.iinfo(np.int64).min


def coded(array: pa.Array) -> Coded:
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        if len(array.dictionary) > len(array) or array.dictionary.null_count:
            array = array.cast(array.type.value_type)
        else:
            words = pa.concat_arrays([array.dictionary, pa.nulls(1, array.dictionary.type)])
            codes = pc.fill_null(array.indices.cast(pa.int64()), len(words) - 1)
            words = words if _kept(words.type) else as_text(words)
            return Coded(words, codes.to_numpy(zero_copy_only=False), True)
    if not _kept(array.type):
        array = as_text(array)
    if pa.types.is_string(array.type):
        first = array.slice(0, PROBED)
        if len(first) and SPARSE * len(first.unique()) <= len(first):
            found = array.dictionary_encode(null_encoding="encode")
            codes = found.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            return Coded(found.dictionary, codes, not pc.any(pc.equal(found.dictionary, "")).as_py())
    return Coded(array, None, False)


def _kept(kind: pa.DataType) -> bool:
    """Types that are looked at as they are; others become text."""
    return bool(pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind))


def as_text(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_floating(kind):
        told = (None if one is None or one != one else f"{one:.15g}" for one in array.to_pylist())
        return pa.array(told, pa.string())
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return pa.array([None if one is None else repr(one) for one in array.to_pylist()], pa.string())
    try:
        return array.cast(pa.string())
    except pa.ArrowException as problem:
        raise Invalid(f"A column of the type {kind} can't be read as text.") from problem


def micros(at: datetime) -> int:
    """Since 1970; without a zone as if in UTC."""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - EPOCH) // timedelta(microseconds=1)


def _buffers(text: pa.Array) -> tuple[Array, Array, Array]:
    """Where each value begins and ends, and the bytes."""
    _, offsets, data = text.buffers()
    if offsets is None or not len(text):
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, np.zeros(0, np.uint8)
    places = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1]
    return places[:-1], places[1:], np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)


def _floats(text: pa.Array) -> Array | None:
    """None unless every value is a number without an exponent, or missing."""
    begin, end, data = _buffers(text)
    span = data[begin[0] : end[-1]] if len(begin) else data[:0]
    if ((span | 0x20) == ord("e")).any():
        return None
    found = _cast(text, pa.float64(), None)
    if found is None:
        return None
    absent = text.is_null().to_numpy(zero_copy_only=False)
    return found if np.isfinite(found[~absent]).all() else None


def _cast(text: pa.Array, kind: pa.DataType, as_kind: pa.DataType | None) -> Array | None:
    """Missing ones as NaN or the least integer; None where one can't be read so."""
    try:
        found = pc.cast(text, kind)
    except pa.ArrowInvalid:
        return None
    if as_kind is None:
        return np.array(found.to_numpy(zero_copy_only=False), np.float64)
    least = NEVER if as_kind == pa.int64() else np.iinfo(np.int32).min
    return np.asarray(pc.fill_null(found.cast(as_kind), least).to_numpy(zero_copy_only=False))
