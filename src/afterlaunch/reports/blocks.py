"""What a document is made of, whatever its format: HTML and Markdown write the same blocks, so their figures agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """A number, or other fact, and the address (a path of the server) that it comes from."""

    text: str
    path: str


@dataclass(frozen=True)
class Jump:
    """A number that is counted in a section of this document."""

    text: str
    anchor: str


@dataclass(frozen=True)
class Name:
    """A name that telemetry gave: not ours, not to be trusted, shown as it is."""

    text: str


@dataclass(frozen=True)
class Mark:
    """A word with a tone: ok, warning, breach or none."""

    text: str
    tone: str = ""


Part = str | Figure | Jump | Name | Mark
Line = tuple[Part, ...]
ROWS = 100  # of a table; the rest is summed into one row, and whole in the JSON


def name_of(value: str | None) -> Part:
    """What telemetry called it, or that it did not."""
    return Name(value) if value else Mark("not told")


@dataclass(frozen=True)
class Column:
    title: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """`empty`: what to say when it has no rows; `notes`: below it."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Line]]
    empty: str
    notes: Sequence[Line] = ()


@dataclass(frozen=True)
class Chart:
    """`svg` is drawn by `charts`; `summary` says in words what it shows, for who cannot see it."""

    title: str
    summary: str
    svg: str


@dataclass(frozen=True)
class Items:
    """A list; `empty` when there is none."""

    title: str
    lines: Sequence[Line]
    empty: str = ""


@dataclass(frozen=True)
class Tile:
    label: str
    value: Part
    note: Line = ()
    tone: str = ""


@dataclass(frozen=True)
class Section:
    """`anchor` is the title in small letters and dashes: what Markdown makes of a heading by itself."""

    anchor: str
    title: str
    intro: Sequence[Line] = ()
    blocks: Sequence[Table | Chart | Items] = ()


@dataclass(frozen=True)
class Story:
    """`summary` is for everybody; `sections` are for who wants to know exactly."""

    title: str
    subtitle: str
    facts: Sequence[Line]
    tiles: Sequence[Tile]
    summary: Sequence[Items]
    sections: Sequence[Section] = field(default_factory=tuple)
