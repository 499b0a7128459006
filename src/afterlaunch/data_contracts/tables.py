"""A table as text, batch by batch: every cell as it stands in the file, so that what is wrong with it can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from afterlaunch.data_contracts.coded import Coded, coded
from afterlaunch.profiles.files import Table, Trouble, open_table


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
        return self.only(self.names)

    def only(self, names: list[str]) -> Iterator[Stretch]:
        """Stretches that hold these columns alone; all where none is named, for the number of rows."""
        wanted = [name for name in self.names if name in set(names)] or self.names
        for batch in self._table.batches(wanted):
            columns = {name: coded(array) for name, array in batch.columns.items()}
            rows = max((one.rows for one in columns.values()), default=0)
            yield Stretch(batch.first, rows, columns)
