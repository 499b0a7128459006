"""What a table in a file is, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa

ROWS = 65_536  # of a batch, at most


@dataclass(frozen=True)
class Batch:
    """Columns of one stretch of rows. `first`: the number of its first row."""

    first: int
    columns: dict[str, pa.Array]


@dataclass
class Trouble:
    """What could be read only in part, told with the findings."""

    duplicates: dict[str, list[str]] = field(default_factory=dict)  # a name, and what its columns are called here
    ragged_rows: int = 0
    ragged_example: str = ""
    longest_ragged: int = 0
    """Lines of the one with most: a quote that is never closed takes in what follows."""


class Table(Protocol):
    path: Path
    trouble: Trouble
    rows: int  # 0 where that is not known before reading

    def kinds(self) -> dict[str, str]:
        """Each column's kind: number, text, truth, time, or what its type is called."""

    def groups(self, names: Sequence[str]) -> list[list[str]]:
        """The columns that are read together."""

    def batches(self, names: Sequence[str]) -> Iterator[Batch]: ...
