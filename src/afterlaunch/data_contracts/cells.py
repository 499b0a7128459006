"""What one cell is: a number, a number with a unit, a time, a marker of a missing value, other text; and its shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, time
from functools import lru_cache

MARKERS = frozenset(
    [
        *(
            "na",
            "n/a",
            "n.a.",
            "#n/a",
            "<na>",
            "nan",
            "nat",
            "null",
            "(null)",
            "none",
            "nil",
            "-",
            "--",
            "---",
            "?",
            "??",
        ),
        *(".", "missing", "unknown", "empty", "undefined", "tbd", "unavailable", "not available", "not applicable"),
        *("no data", "#value!", "#ref!", "#div/0!"),
    ]
)
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\Z")
INTEGER = re.compile(r"[+-]?\d{1,18}\Z")
WITH_UNIT = re.compile(r"([+-]?\d+(?:[.,]\d+)*)\s*([^\d\s.,+-](?:[^\d]{0,14}[^\d\s])?)\Z")
MARKED = 20
"""Characters of a marker, with blanks around it."""
TRUTHS = frozenset({"true", "false", "t", "f", "yes", "no", "y", "n", "0", "1"})
TYPES = ("integer", "number", "boolean", "date", "timestamp", "time", "text")
SHARED = 0.9
LONGEST = 64
"""Characters of a value that are told; longer ones are cut."""


def missing(text: str) -> bool:
    return not text or text.isspace()


def marker(text: str) -> bool:
    """Text that stands for a missing value."""
    return len(text) <= MARKED and text.strip().lower() in MARKERS


def is_type(text: str, kind: str) -> bool:
    """Whether a present value is written as its type asks for."""
    text = text.strip()
    if kind == "integer":
        return INTEGER.match(text) is not None or (NUMBER.match(text) is not None and float(text).is_integer())
    if kind == "number":
        return NUMBER.match(text) is not None
    if kind == "boolean":
        return text.lower() in TRUTHS
    return kind == "text" or _timely(text, kind)


@lru_cache(maxsize=4096)
def _timely(text: str, kind: str) -> bool:
    if not text[:2].isdigit() or len(text) < 5:
        return False
    try:
        if kind == "date":
            date.fromisoformat(text)
        elif kind == "time":
            time.fromisoformat(text)
        else:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def number(text: str) -> float | None:
    return float(text) if NUMBER.match(text.strip()) else None


def unit(text: str) -> str | None:
    """What stands behind a number."""
    found = WITH_UNIT.match(text.strip())
    return found[2] if found else None


def shape(text: str, exact: bool = False) -> str:
    """A regular expression: digits as \\d, letters as [a-z] or [A-Z], anything else as it is. Runs are `+`, or counted
    where `exact`."""
    return "".join(_run(kind, run, exact) for kind, run in _runs(text))


def shaped(counts: Mapping[str, int], exact: bool) -> str:
    """The one shape of all these values, with words that nearly all of them share written out: `\\d+ patients`."""
    runs = [(_runs(value), n) for value, n in counts.items()]
    total = sum(counts.values())
    out = []
    for at, (kind, run) in enumerate(runs[0][0]):
        words = Counter[str]()
        if kind and kind != r"\d":
            for each, n in runs:
                words[each[at][1]] += n
        word, n = max(words.items(), key=lambda one: one[1], default=("", 0))
        out.append(re.escape(word) if len(word) > 2 and n >= SHARED * total else _run(kind, run, exact))
    return "".join(out)


def _runs(text: str) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        kind = _class(text[at])
        end = at + 1
        while end < len(text) and _class(text[end]) == kind:
            end += 1
        out.append((kind, text[at:end]))
        at = end
    return out


def _run(kind: str, run: str, exact: bool) -> str:
    if not kind:
        return re.escape(run)
    return kind + (f"{{{len(run)}}}" if exact and len(run) > 1 else "" if exact else "+")


def _class(letter: str) -> str:
    if "0" <= letter <= "9":
        return r"\d"
    if "a" <= letter <= "z":
        return "[a-z]"
    if "A" <= letter <= "Z":
        return "[A-Z]"
    return ""


def shown(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
