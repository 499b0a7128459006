"""The form of the mapping: which attribute of which dialect tells which field.

Each source is written as it is named by the sender, with marks of ours behind or before it:

- `key[ms]`: the value has this unit (seconds and USD need no mark);
- `key#a.b`: the value at this path of the JSON text (or nested value) that the attribute holds;
- `~key`: stands in where nothing better is there; being different is no conflict;
- `key@where`: counts only on some spans: `entry` (SERVER or CONSUMER), `claude_code`.

Within a field, sources are read left to right in the order of DIALECTS, and the first present wins; what stands inside
JSON comes after all plain attributes, and what an event of the span tells after that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

DIALECTS = ("genai", "genai_old", "openinference", "traceloop", "langfuse", "vercel", "others")
_MARKS = re.compile(
    r"^(?P<standin>~?)(?P<key>[^#@\[\s]+)(?:#(?P<path>[^@\[]+))?(?:\[(?P<unit>\w+)\])?(?:@(?P<where>\w+))?$"
)


class As(StrEnum):
    """How a field is read."""

    WORD = "word"  # text with few distinct values; decided per distinct value
    TEXT = "text"
    CONTENT = "content"  # text that may be long or private
    COUNT = "count"  # whole number >= 0, below 2^53
    NUMBER = "number"  # finite number >= 0
    SIGNED = "signed number"  # finite number
    FLAG = "yes or no"


@dataclass(frozen=True)
class Source:
    """`name`: the key, or "key#path" for what stands inside it."""

    dialect: str
    key: str
    path: str = ""
    unit: str = ""
    where: str = ""
    stands_in: bool = False

    @property
    def name(self) -> str:
        return f"{self.key}#{self.path}" if self.path else self.key


@dataclass(frozen=True)
class Field:
    """`told`: what it means, for the documentation."""

    name: str
    read: As
    told: str
    sources: tuple[Source, ...]
    conflicts: bool = False  # two sources that differ set the flag `field_conflict:NAME`


def field(name: str, read: As, told: str, conflicts: bool = False, **dialects: str) -> Field:
    """`dialects`: sources by dialect, separated by white space. KeyError for an unknown dialect."""
    if unknown := set(dialects) - set(DIALECTS):
        raise KeyError(f"{name}: {sorted(unknown)}")
    sources = [source(dialect, text) for dialect in DIALECTS for text in dialects.get(dialect, "").split()]
    return Field(name, read, told, tuple(sources), conflicts)


def source(dialect: str, text: str) -> Source:
    """One source as it is written in the table. ValueError when it is none."""
    found = _MARKS.match(text)
    if not found:
        raise ValueError(f"no source: {text}")
    part = found.groupdict(default="")
    return Source(dialect, part["key"], part["path"], part["unit"], part["where"], bool(part["standin"]))
