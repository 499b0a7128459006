"""A table as text, batch by batch: every cell as it stands in the file, so that what is wrong with it can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.ground.errors import Invalid
from afterlaunch.profiles.files import Table, Trouble, open_table


@dataclass
class Coded:
    """A column of one batch: `values[codes[i]]` is row i; '' is a missing one."""

    values: list[str]
    codes: list[int]

    def cell(self, row: int) -> str:
        return self.values[self.codes[row]]


@dataclass
class Stretch:
    """`first`: the number of its first row, from 0."""

    first: int
    rows: int
    columns: dict[str, Coded]


class Text:
    """Iterate as often as needed; each time the file is read anew."""

    def __init__(self, path: Path, encoding: str = "utf-8", delimiter: str = "") -> None:
        self._table: Table = open_table(path, encoding, delimiter, missing=("",))
        self.names = list(self._table.kinds())

    @property
    def trouble(self) -> Trouble:
        return self._table.trouble

    def __iter__(self) -> Iterator[Stretch]:
        for batch in self._table.batches(self.names):
            columns = {name: coded(array) for name, array in batch.columns.items()}
            rows = max((len(one.codes) for one in columns.values()), default=0)
            yield Stretch(batch.first, rows, columns)


def coded(array: pa.Array) -> Coded:
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if not pa.types.is_dictionary(array.type):
        array = _as_text(array).dictionary_encode()
    words = _as_text(array.dictionary).to_pylist()
    at_missing = len(words)
    codes = pc.fill_null(array.indices.cast(pa.int64()), at_missing).to_pylist()
    return Coded([word or "" for word in words] + [""], codes)


def _as_text(array: pa.Array) -> pa.Array:
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
