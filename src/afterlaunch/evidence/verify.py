"""Check a log or an exported pack: every byte, the order, the end. Pure; needs nothing but the pack.

A pack is one JSON document: `{"format": "afterlaunch/evidence@v1", "verifier_key", "checkpoints": [notes],
"entries": [base64 of the hashed bytes]}`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from afterlaunch.evidence import notes
from afterlaunch.evidence.tree import leaf_hash, root

FORMAT = "afterlaunch/evidence@v1"


@dataclass(frozen=True)
class Result:
    """`problems` empty: it holds. `signed`: how many entries stand under a signature; later ones do not yet."""

    entries: int
    signed: int
    checkpoints: int
    problems: tuple[str, ...]


def check(bodies: Sequence[bytes], signed: Sequence[str], key: notes.VerifierKey, outside: str | None = None) -> Result:
    """`signed`: checkpoint notes; `outside`: the one kept apart from the database. Each must agree with the entries."""
    problems = [said for place, body in enumerate(bodies) if (said := _misplaced(place, body))]
    leaves = [leaf_hash(body) for body in bodies]
    sizes = [0]
    for note in [*signed, *([outside] if outside else [])]:
        try:
            point = notes.parse_checkpoint(notes.verify(note, [key])[0])
        except notes.BadNote as problem:
            problems.append(f"a checkpoint does not hold: {problem}")
            continue
        if point.size > len(leaves):
            problems.append(f"a checkpoint signed {point.size} entries, only {len(leaves)} are here: the end was cut")
        elif root(leaves[: point.size]) != point.root:
            problems.append(f"the first {point.size} entries are not those that were signed")
        else:
            sizes.append(point.size)
    if bodies and not signed and not outside:
        problems.append("there are entries but no signed checkpoint")
    return Result(len(bodies), max(sizes), len(signed), tuple(dict.fromkeys(problems)))


def _misplaced(place: int, body: bytes) -> str | None:
    try:
        told = orjson.loads(body)["index"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"entry {place} does not parse"
    return None if told == place else f"entry {told} stands at place {place}"


def check_pack(data: bytes) -> Result:
    """Raises notes.BadNote when it is no pack at all."""
    try:
        pack: Any = orjson.loads(data)
        bodies = [base64.b64decode(entry, validate=True) for entry in pack["entries"]]
        key, signed = notes.VerifierKey.parse(pack["verifier_key"]), [str(note) for note in pack["checkpoints"]]
        if pack["format"] != FORMAT:
            raise ValueError(pack["format"])
    except (ValueError, KeyError, TypeError, binascii.Error) as problem:
        raise notes.BadNote(f"this is no evidence pack: {problem}") from problem
    return check(bodies, signed, key)


def write_pack(bodies: Sequence[bytes], signed: Sequence[str], key: notes.VerifierKey) -> bytes:
    entries = [base64.b64encode(body).decode() for body in bodies]
    pack = {"format": FORMAT, "verifier_key": key.text(), "checkpoints": list(signed), "entries": entries}
    return orjson.dumps(pack, option=orjson.OPT_INDENT_2)
