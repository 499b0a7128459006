"""The hashes of a timeline, and how an exported one is checked with nothing but itself. Pure.

Each entry's hash is SHA-256, in hex, over the JSON list [hash of the entry before, incident, sequence, at, kind, text,
details, "actor_kind:actor"] in UTF-8, without white space, the keys of `details` sorted; before the first entry stand
64 zeros.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

FORMAT = "afterlaunch/timeline@v1"
BEGINNING = "0" * 64


def entry_hash(before: str, incident: int, sequence: int, at: str, kind: str, text: str, details: Any, who: str) -> str:
    body = orjson.dumps([before, incident, sequence, at, kind, text, details, who], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(body).hexdigest()


class NoTimeline(ValueError):
    """It is no exported timeline at all."""


@dataclass(frozen=True)
class Result:
    """`problems` empty: it holds."""

    incident: int
    entries: int
    head: str
    problems: tuple[str, ...]


def check(data: bytes) -> Result:
    """Every entry, their order, and that the end was not cut off. Raises NoTimeline."""
    try:
        document: Any = orjson.loads(data)
        if document["format"] != FORMAT:
            raise NoTimeline(f"this is no exported timeline: {document['format']}")
        number, entries, head = int(document["incident"]["id"]), list(document["entries"]), str(document["head"])
        problems, before = _walk(number, entries)
    except (orjson.JSONDecodeError, KeyError, TypeError) as problem:
        raise NoTimeline(f"this is no exported timeline: {problem}") from problem
    if not problems and before != head:
        problems.append("the head is not the hash of the last entry: entries were cut off")
    return Result(number, len(entries), before, tuple(problems))


def _walk(number: int, entries: list[Mapping[str, Any]]) -> tuple[list[str], str]:
    before = BEGINNING
    for place, one in enumerate(entries, 1):
        who = f"{one['actor_kind']}:{one['actor']}"
        told = [one[name] for name in ("at", "kind", "text", "details")]
        wanted = entry_hash(before, number, one["sequence"], told[0], told[1], told[2], told[3], who)
        if one["sequence"] != place:
            return [f"entry {one['sequence']} stands at place {place}"], before
        if one["hash"] != wanted:
            return [f"entry {place} does not fit its hash"], before
        before = wanted
    return [], before
