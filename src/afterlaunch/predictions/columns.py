"""Columns of numbers and of texts as bytes: a header of JSON, then one column after the other, compressed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import orjson

from afterlaunch.profiles.hashing import Array

HEAD = struct.Struct("<I")  # bytes of the header
KINDS = ("u8", "u4", "i8", "i4", "f8", "f4", "u1")


@dataclass(frozen=True)
class Texts:
    """`codes` (rows,) point into `values`; -1: the row has none."""

    values: list[str]
    codes: Array

    def take(self, rows: Array) -> Texts:
        """Of some rows, with the values that they have."""
        codes = self.codes[rows]
        used = np.unique(codes[codes >= 0])
        place = np.full(len(self.values) + 1, -1, np.int32)
        place[used] = np.arange(len(used))
        return Texts([self.values[at] for at in used.tolist()], place[codes])

    def at(self, row: int) -> str | None:
        code = int(self.codes[row])
        return self.values[code] if code >= 0 else None


Column = Array | Texts
Columns = dict[str, Column]


class Damaged(ValueError):
    """Bytes that `pack` did not make."""


def pack(columns: Mapping[str, Column]) -> bytes:
    told, parts = [], []
    for name, column in columns.items():
        texts = column.values if isinstance(column, Texts) else None
        numbers = column.codes.astype("<i4") if isinstance(column, Texts) else column
        kind = numbers.dtype.str[1:]
        if kind not in KINDS:
            raise ValueError(f"Columns of {numbers.dtype} are not packed.")
        told.append([name, kind, len(numbers), texts])
        parts.append(numbers.astype(f"<{kind}", copy=False).tobytes())
    head = orjson.dumps(told)
    return zlib.compress(b"".join([HEAD.pack(len(head)), head, *parts]), 1)


def unpack(body: bytes) -> Columns:
    """Raises `Damaged`."""
    try:
        plain = zlib.decompress(body)
        (size,) = HEAD.unpack_from(plain)
        at = HEAD.size + size
        found: Columns = {}
        for name, kind, count, texts in orjson.loads(plain[HEAD.size : at]):
            numbers = np.frombuffer(plain, f"<{kind}", count, at)
            at += numbers.nbytes
            found[name] = numbers if texts is None else Texts(texts, numbers)
    except (zlib.error, struct.error, ValueError, TypeError) as problem:
        raise Damaged("The columns can't be unpacked.") from problem
    return found


def joined(parts: list[Columns]) -> Columns:
    """One after the other. A column that a part lacks is missing there: not a number, or no text."""
    if len(parts) == 1:
        return parts[0]
    counts = [len(_numbers(next(iter(part.values())))) for part in parts]
    found: Columns = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        columns = [part.get(name) for part in parts]
        if any(isinstance(column, Texts) for column in columns):
            found[name] = _texts(columns, counts)
        else:
            filled = [
                np.full(n, np.nan) if one is None else _numbers(one) for one, n in zip(columns, counts, strict=True)
            ]
            found[name] = np.concatenate(filled)
    return found


def _numbers(column: Column) -> Array:
    return column.codes if isinstance(column, Texts) else column


def _texts(columns: list[Column | None], counts: list[int]) -> Texts:
    places: dict[str, int] = {}
    codes = []
    for column, count in zip(columns, counts, strict=True):
        if not isinstance(column, Texts):
            codes.append(np.full(count, -1, np.int32))
            continue
        turned = np.array([places.setdefault(value, len(places)) for value in column.values] + [-1], np.int32)
        codes.append(turned[column.codes])
    return Texts(list(places), np.concatenate(codes))
