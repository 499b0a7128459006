"""Profiles as bytes and back. Counts are varints with runs of zeros folded, so that a thin window stays small.

    "AP2" kind layout-id(17) · counts · apart or nulls · then moments (numeric) or unseen values (categories)
    · registers of distinct values · steps outside the range (numeric)

"AP1" ends before the registers: what was kept before there were any, and what such parts were merged with.

A layout is kept beside the profiles, once: `layout_document` and `layout_of`.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from afterlaunch.profiles import distinct
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import CategoryLayout, Layout, NumericLayout
from afterlaunch.profiles.numeric import APART, NumericProfile
from afterlaunch.profiles.outside import LEAST, Outside

MAGIC, WITHOUT = b"AP2", b"AP1"
MOMENTS = struct.Struct("<6d")
Profile = NumericProfile | CategoryProfile


class Unreadable(ValueError):
    """The bytes are no profile, or one of another layout."""


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _integers(counts: Array) -> bytes:
    """A zero is followed by how many more zeros come."""
    out = bytearray()
    flat = counts.ravel().tolist()
    at = 0
    while at < len(flat):
        out += _varint(flat[at])
        start = at
        at += 1
        if flat[start] == 0:
            while at < len(flat) and flat[at] == 0:
                at += 1
            out += _varint(at - start - 1)
    return bytes(out)


class _Reader:
    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def take(self, count: int) -> bytes:
        part = self._body[self._at : self._at + count]
        if len(part) != count:
            raise Unreadable("The profile ends too early.")
        self._at += count
        return part

    def integer(self) -> int:
        number, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
            if shift > 63:
                raise Unreadable("A count of the profile is too large.")

    def integers(self, rows: int, columns: int) -> Array:
        """Most counts are single bytes, which are read in place: a call for each would take five times as long."""
        body, at, wanted = self._body, self._at, rows * columns
        found: list[int] = []
        try:
            while len(found) < wanted:
                number = body[at]
                at += 1
                if number > 0x7F:
                    self._at = at - 1
                    number = self.integer()
                    at = self._at
                found.append(number)
                if number == 0:
                    more = body[at]
                    at += 1
                    if more > 0x7F:
                        self._at = at - 1
                        more = self.integer()
                        at = self._at
                    if more > wanted - len(found):
                        raise Unreadable("The profile has more cells than its layout.")
                    found.extend(bytes(more))
        except IndexError:
            raise Unreadable("The profile ends too early.") from None
        self._at = at
        return np.array(found, np.int64).reshape(rows, columns)

    def registers(self) -> Array:
        try:
            found, taken = distinct.unpacked(self._body[self._at :])
        except ValueError as problem:
            raise Unreadable("The registers of the profile can't be read.") from problem
        self._at += taken
        return found

    def steps(self) -> Outside:
        below, above = ({self.integer() + LEAST: self.integer() for _ in range(self.integer())} for _ in range(2))
        return Outside(below, above)

    def done(self) -> None:
        if self._at != len(self._body):
            raise Unreadable("Something follows the profile.")


def serialise(profile: Profile) -> bytes:
    known = profile.registers is not None and (isinstance(profile, CategoryProfile) or profile.outside is not None)
    head = (MAGIC if known else WITHOUT) + profile.layout.id.encode()
    tail = distinct.packed(profile.registers) if known and profile.registers is not None else b""
    if isinstance(profile, NumericProfile):
        moments = MOMENTS.pack(*profile.sums.ravel(), profile.least, profile.greatest)
        tail += _steps(profile.outside) if known and profile.outside is not None else b""
        return head + _integers(profile.counts) + _integers(profile.apart) + moments + tail
    out = bytearray(head + _integers(profile.counts) + _integers(profile.nulls))
    out += _varint(int(profile.fresh_complete)) + _varint(len(profile.fresh))
    for value, (first, second) in profile.fresh.items():
        text = value.encode("utf-8", "surrogatepass")
        out += _varint(len(text)) + text + _varint(first) + _varint(second)
    return bytes(out + tail)


def _steps(found: Outside) -> bytes:
    out = bytearray()
    for side in (found.below, found.above):
        out += _varint(len(side))
        for step, count in sorted(side.items()):
            out += _varint(step - LEAST) + _varint(count)
    return bytes(out)


def parse(body: bytes, layout: Layout) -> Profile:
    """Raises `Unreadable` for anything but a profile of this layout."""
    reader = _Reader(body)
    magic = reader.take(3)
    if magic not in (MAGIC, WITHOUT) or reader.take(17) != layout.id.encode():
        raise Unreadable("This is no profile of that layout.")
    counts = reader.integers(2, layout.cells)
    profile: Profile
    if isinstance(layout, NumericLayout):
        apart = reader.integers(2, len(APART))
        moments = MOMENTS.unpack(reader.take(MOMENTS.size))
        sums = np.array(moments[:4]).reshape(2, 2)
        more = (reader.registers(), reader.steps()) if magic == MAGIC else (None, None)
        profile = NumericProfile(layout, counts, apart, sums, moments[4], moments[5], *more)
    else:
        nulls = reader.integers(1, 2)[0]
        complete = bool(reader.integer())
        fresh = {}
        for _ in range(reader.integer()):
            value = reader.take(reader.integer()).decode("utf-8", "surrogatepass")
            fresh[value] = (reader.integer(), reader.integer())
        registers = reader.registers() if magic == MAGIC else None
        profile = CategoryProfile(layout, counts, nulls, fresh, complete, registers)
    reader.done()
    return profile


def layout_document(layout: Layout) -> dict[str, Any]:
    """As JSON can hold it; floats survive by their shortest text."""
    if isinstance(layout, NumericLayout):
        return {"kind": "numeric", "edges": layout.edges.tolist(), "centre": layout.centre}
    tail = [f"{one:016x}" for one in sorted(layout.tail)]
    return {"kind": "category", "names": list(layout.names), "tail": tail, "tail_complete": layout.tail_complete}


def layout_of(document: dict[str, Any]) -> Layout:
    if document["kind"] == "numeric":
        return NumericLayout(np.array(document["edges"], np.float64), document["centre"])
    tail = frozenset(int(one, 16) for one in document["tail"])
    return CategoryLayout(tuple(document["names"]), tail, document["tail_complete"])
