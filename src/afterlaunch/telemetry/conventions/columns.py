"""Attribute look-ups as column operations: for each field one index array, for each type one `take`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.otlp import Pairs, text_of

MAX_TEXT = 64 * 1024
MAX_TOKENS = 2**53


class Attributes:
    """The attributes of `count` owners. Every look-up marks its names as used; `rest` is what nobody asked for."""

    def __init__(self, pairs: Pairs, count: int) -> None:
        self.pairs, self.count = pairs, count
        self._code = {name: code for code, name in enumerate(pairs.keys)}
        self._used = np.zeros(len(pairs.keys), bool)
        self._positions: dict[int, npt.NDArray[np.int64]] = {}
        self._text = text_of(pairs.values)  # once for all, as most look-ups are for text

    def _where(self, code: int) -> npt.NDArray[np.int64]:
        if code not in self._positions:
            self._positions[code] = np.flatnonzero(self.pairs.codes == code)
        return self._positions[code]

    def pick(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Per owner the position of the first present name, -1 when none. The first name is written last: it wins.
        Of a key sent twice the last wins."""
        take = np.full(self.count, -1, np.int64)
        for name in reversed(names):
            code = self._code.get(name)
            if code is not None:
                self._used[code] = True
                positions = self._where(code)
                take[self.pairs.owner[positions]] = positions
        return take

    def _values(self, take: npt.NDArray[np.int64]) -> Any:
        return self.pairs.values.take(pa.array(take, mask=take < 0))

    def text(self, names: Sequence[str]) -> Any:
        """String column; numbers become text, nested values the empty NULL; an empty string is absent."""
        take = self.pick(names)
        if (take < 0).all():
            return pa.nulls(self.count, pa.string())
        text = self._text.take(pa.array(take, mask=take < 0))
        absent = pc.or_kleene(pc.equal(text, ""), pc.equal(text, "<REDACTED>"))
        return pc.if_else(pc.fill_null(absent, True), pa.scalar(None, pa.string()), text)

    def integer(self, names: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
        """(values, known). Integral doubles and decimal strings are taken; what is negative or huge is unknown."""
        take = self.pick(names)
        known = take >= 0
        values = np.zeros(self.count, np.int64)
        if not known.any():
            return values, known
        rows = self._values(take)
        whole = rows.field("i")
        has_whole = pc.is_valid(whole).to_numpy(zero_copy_only=False)
        values[has_whole] = pc.fill_null(whole, 0).to_numpy(zero_copy_only=False)[has_whole]
        for place in np.flatnonzero(known & ~has_whole):
            number = _integer(rows[int(place)].as_py())
            known[place], values[place] = number is not None, number or 0
        known &= (values >= 0) & (values < MAX_TOKENS)
        values[~known] = 0
        return values, known

    def number(self, names: Sequence[str]) -> Any:
        """Float column, NULL for what is no finite number >= 0."""
        take = self.pick(names)
        if (take < 0).all():
            return pa.nulls(self.count, pa.float64())
        rows = self._values(take)
        whole = pc.cast(rows.field("i"), pa.float64(), safe=False)
        numbers = pc.coalesce(rows.field("d"), whole).to_numpy(zero_copy_only=False)
        numbers = np.where(np.isfinite(numbers) & (numbers >= 0), numbers, np.nan)
        for place in np.flatnonzero(rows.field("s").is_valid().to_numpy(zero_copy_only=False)):
            numbers[place] = _decimal(rows.field("s")[int(place)].as_py())
        return pa.array(numbers, pa.float64(), mask=np.isnan(numbers))

    def boolean(self, names: Sequence[str]) -> Any:
        take = self.pick(names)
        if (take < 0).all():
            return pa.nulls(self.count, pa.bool_())
        word = pc.utf8_lower(self._text.take(pa.array(take, mask=take < 0)))
        yes, no = pc.is_in(word, pa.array(["true", "1"])), pc.is_in(word, pa.array(["false", "0"]))
        return pc.if_else(yes, True, pc.if_else(no, False, pa.scalar(None, pa.bool_())))

    def nested(self, names: Sequence[str]) -> list[tuple[int, dict[str, Any]]]:
        """(owner, value) of the rare owners that hold one of the names: for what needs Python."""
        take = self.pick(names)
        places = np.flatnonzero(take >= 0)
        rows = self.pairs.values.take(pa.array(take[places])).to_pylist()
        return list(zip(places.tolist(), rows, strict=True))

    def rest(self) -> Any:
        """A map column of what no field used; nested values are left out, texts are cut at 64 KiB."""
        left = np.flatnonzero(~self._used[self.pairs.codes]) if len(self.pairs.codes) else np.zeros(0, np.int64)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(self.pairs.owner[left], minlength=self.count))])
        keys = pa.DictionaryArray.from_arrays(
            pa.array(self.pairs.codes[left].astype(np.int32)), pa.array(self.pairs.keys, pa.string())
        ).cast(pa.string())
        values = capped(self._text.take(pa.array(left)))
        return pa.MapArray.from_arrays(pa.array(offsets.astype(np.int32)), keys, values)


def capped(text: Any) -> Any:
    """No text longer than 64 Ki characters."""
    longest = pc.max(pc.binary_length(text)).as_py() or 0  # bytes: never fewer than characters
    return text if longest <= MAX_TEXT else pc.utf8_slice_codeunits(text, 0, MAX_TEXT)


def mapped(text: Any, table: dict[str, str], otherwise_same: bool = False) -> Any:
    """Translate by distinct value, case and outer space ignored."""
    coded = text.dictionary_encode()
    words = coded.dictionary.to_pylist()
    out = [table.get(word.strip().lower(), word.strip().lower() if otherwise_same else None) for word in words]
    return pa.array(out, pa.string()).take(coded.indices)


def _integer(value: dict[str, Any]) -> int | None:
    if value["d"] is not None:
        return int(value["d"]) if abs(value["d"]) < MAX_TOKENS and value["d"] % 1 == 0 else None
    text = value["s"]
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 17 else None


def _decimal(text: str) -> float:
    """NaN for what is no finite number >= 0."""
    try:
        found = float(text)
    except ValueError:
        return float("nan")
    return found if 0 <= found < float("inf") else float("nan")
