"""Attribute look-ups as column operations.

The attributes of a batch are one flat list. 1. They are sorted by key, once. 2. For each field that one of the keys
feeds, its names are written in reverse precedence into one index row, so that the first present name wins. 3. All
texts come out of one `take`, all words that repeat out of one dictionary, all whole numbers out of one array. What no
field used stays as a map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.anyvalues import BOOL, DOUBLE, INT, STRING, Bools, Ints
from afterlaunch.telemetry.conventions.arrow import capped, nulls
from afterlaunch.telemetry.otlp import Pairs

MAX_TOKENS = 2**53
REDACTED = b"<REDACTED>"
Names = Mapping[str, Sequence[str]]


class Words:
    """Texts that repeat: `codes[field]` are numbers into `distinct`, whose last is None."""

    def __init__(self, codes: dict[str, Ints], distinct: list[str | None], count: int) -> None:
        self.codes, self.distinct, self.count = codes, distinct, count

    def columns(self, fields: Iterable[str], other_words: Mapping[str, Callable[[str], str | None]]) -> dict[str, Any]:
        """String columns; `other_words` names fields with other words in place of the sender's. In one `take`."""
        wanted = list(fields)
        out = dict.fromkeys(wanted, nulls(self.count, pa.string()))
        present = [field for field in wanted if field in self.codes]
        dictionary, codes = list(self.distinct), []
        for field in present:
            changed = other_words.get(field)
            codes.append(self.codes[field] + (len(dictionary) if changed else 0))
            if changed:
                dictionary += [changed(word) if word is not None else None for word in self.distinct]
        if present:
            whole = pa.array(dictionary, pa.string()).take(pa.array(np.concatenate(codes)))
            out |= {field: whole.slice(n * self.count, self.count) for n, field in enumerate(present)}
        return out

    def code(self, field: str) -> Ints:
        """Numbers into `distinct`."""
        found = self.codes.get(field)
        return np.full(self.count, len(self.distinct) - 1) if found is None else found

    def equal(self, field: str, wanted: str) -> Bools:
        if field not in self.codes:
            return np.zeros(self.count, bool)
        return np.array([word == wanted for word in self.distinct])[self.codes[field]]


class Attributes:
    """The attributes of `count` owners; `names` tells each field's names, first present wins, of a key sent twice the
    last; an empty text is absent. `only`: names that count for some owners only."""

    def __init__(self, pairs: Pairs, count: int, names: Names, only: Mapping[str, Bools] | None = None) -> None:
        self.pairs, self.count, self.values = pairs, count, pairs.values
        code_of = {key: code for code, key in enumerate(pairs.keys)}
        found = {
            field: [code_of[name] for name in reversed(known) if name in code_of] for field, known in names.items()
        }
        self._row = {field: row for row, field in enumerate(field for field, codes in found.items() if codes)}
        self._only = {code_of[name]: rows for name, rows in (only or {}).items() if name in code_of}
        self._used = np.zeros(len(pairs.keys), bool)
        self._take = np.full((len(self._row), count), -1, np.int64)
        self._scatter([found[field] for field in self._row])

    def _scatter(self, found: list[list[int]]) -> None:
        keys = len(self.pairs.keys)
        codes = np.where(self._absent(), keys, self.pairs.codes).astype(np.uint16 if keys < 2**16 else np.int64)
        order = np.argsort(codes, kind="stable")  # 16 bits: a radix sort
        owner = self.pairs.owner[order]
        ends = np.cumsum(np.bincount(codes, minlength=keys + 1)).tolist()
        for row, names in zip(self._take, found, strict=True):
            for code in names:
                span = slice(ends[code - 1] if code else 0, ends[code])
                owners, places = owner[span], order[span]
                if code in self._only:
                    counts = self._only[code][owners]
                    owners, places = owners[counts], places[counts]
                row[owners] = places
                self._used[code] = True

    def _absent(self) -> Bools:
        text = self.values.kind == STRING
        out: Bools = text & (self.values.length == 0)
        maybe = np.flatnonzero(text & (self.values.length == len(REDACTED)))
        if len(maybe):
            out[maybe] = pc.equal(self.values.contents(maybe), REDACTED).to_numpy(zero_copy_only=False)
        return out

    def has(self, field: str) -> bool:
        return field in self._row

    def _rows(self, fields: Iterable[str]) -> tuple[list[str], Any]:
        present = [field for field in fields if field in self._row]
        return present, self._take[[self._row[field] for field in present]]

    def texts(self, fields: Iterable[str]) -> dict[str, Any]:
        """String columns; numbers become text, nested values JSON."""
        out = dict.fromkeys(fields, nulls(self.count, pa.string()))
        present, take = self._rows(out)
        if present:
            whole = self.values.texts(take.ravel())
            out |= {field: whole.slice(n * self.count, self.count) for n, field in enumerate(present)}
        return out

    def words(self, fields: Iterable[str]) -> Words:
        """As `texts`, for what has few distinct values."""
        present, take = self._rows(fields)
        if not present:
            return Words({}, [None], self.count)
        codes, distinct = self.values.words(take.ravel())
        return Words(dict(zip(present, codes.reshape(take.shape), strict=True)), distinct, self.count)

    def integers(self, fields: Iterable[str]) -> dict[str, tuple[npt.NDArray[np.int64], Bools]]:
        """(values, known). Integral doubles and decimal strings are taken; what is negative or huge is unknown."""
        wanted = list(fields)
        present, take = self._rows(wanted)
        known = take >= 0
        values = np.where(known, self.values.ints[take], 0) if len(self.values) else np.zeros_like(take)
        kind = np.where(known, self.values.kind[take], INT) if len(self.values) else np.full_like(take, INT)
        for row, owner in zip(*np.nonzero(kind != INT), strict=True):
            number = self._whole(take[row, owner], kind[row, owner])
            known[row, owner], values[row, owner] = number is not None, number or 0
        known &= (values >= 0) & (values < MAX_TOKENS)
        values[~known] = 0
        rows = {field: (values[row], known[row]) for row, field in enumerate(present)}
        for field in wanted:
            if field not in rows:
                rows[field] = np.zeros(self.count, np.int64), np.zeros(self.count, bool)
        return rows

    def _whole(self, place: int, kind: int) -> int | None:
        if kind == DOUBLE:
            number = float(self.values.doubles(np.array([place]))[0])
            return int(number) if abs(number) < MAX_TOKENS and number % 1 == 0 else None
        text = self._bytes(place) if kind == STRING else b""
        return int(text) if text.isdigit() and len(text) < 17 else None

    def numbers(self, field: str) -> npt.NDArray[np.float64]:
        """NaN for what is no finite number >= 0."""
        out = np.full(self.count, np.nan)
        if field not in self._row:
            return out
        take = self._take[self._row[field]]
        kind = np.where(take >= 0, self.values.kind[take], 0)
        whole, real = kind == INT, kind == DOUBLE
        out[whole] = self.values.ints[take[whole]]
        out[real] = self.values.doubles(take[real])
        for row in np.flatnonzero(kind == STRING).tolist():
            out[row] = _decimal(self._bytes(take[row]))
        out[~(np.isfinite(out) & (out >= 0))] = np.nan
        return out

    def booleans(self, field: str) -> tuple[Bools, Bools]:
        """(values, known)."""
        if field not in self._row:
            return np.zeros(self.count, bool), np.zeros(self.count, bool)
        take = self._take[self._row[field]]
        kind = np.where(take >= 0, self.values.kind[take], 0)
        whole = (kind == BOOL) | (kind == INT)
        yes, no = whole & (self.values.ints[take] == 1), whole & (self.values.ints[take] == 0)
        for row in np.flatnonzero(kind == STRING).tolist():
            word = self._bytes(take[row]).lower()
            yes[row], no[row] = word in (b"true", b"1"), word in (b"false", b"0")
        return yes, yes | no

    def _bytes(self, place: int) -> bytes:
        found: bytes = self.values.contents(np.array([place]))[0].as_py()
        return found

    def rest(self) -> Any:
        """A map column of what no field used; texts are cut at 64 KiB."""
        left = np.flatnonzero(~self._used[self.pairs.codes]) if len(self.pairs.codes) else np.zeros(0, np.int64)
        left = left[self.values.kind[left] != 0]
        offsets = np.zeros(self.count + 1, np.int32)
        np.cumsum(np.bincount(self.pairs.owner[left], minlength=self.count), out=offsets[1:])
        keys = pa.array(self.pairs.keys, pa.string()).take(pa.array(self.pairs.codes[left]))
        return pa.MapArray.from_arrays(pa.array(offsets), keys, capped(self.values.texts(left)))


def _decimal(text: bytes) -> float:
    """NaN for what is no number."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
