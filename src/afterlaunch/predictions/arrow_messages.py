"""What an Arrow IPC message says of its body. Read by hand: pyarrow does not tell, and a compressed buffer may name any
length, which is set aside before a byte of it is looked at.

Flatbuffers: a table begins with the distance back to its vtable; the vtable has 16-bit places of the fields.
"""

from __future__ import annotations

import struct

DICTIONARY_BATCH, RECORD_BATCH = 2, 3
HEADER_TYPE, HEADER = 1, 2  # fields of Message
DATA = 1  # of DictionaryBatch
COMPRESSION = 3  # of RecordBatch


def compressed(metadata: bytes) -> bool:
    """Of a message's metadata. Raises ValueError where it is no such thing."""
    try:
        message = _at(metadata, 0)
        place = _field(metadata, message, HEADER_TYPE)
        kind = metadata[place] if place else 0
        if kind not in (DICTIONARY_BATCH, RECORD_BATCH):
            return False
        batch = _table(metadata, message, HEADER)
        if kind == DICTIONARY_BATCH:
            batch = _table(metadata, batch, DATA)
        return _field(metadata, batch, COMPRESSION) != 0
    except (struct.error, IndexError) as problem:
        raise ValueError("The metadata of a message can't be read.") from problem


def _at(body: bytes, place: int) -> int:
    if place < 0:
        raise IndexError(place)
    return place + int(struct.unpack_from("<I", body, place)[0])


def _field(body: bytes, table: int, number: int) -> int:
    """Where a field stands; 0: it is not there."""
    vtable = table - struct.unpack_from("<i", body, table)[0]
    if vtable < 0:
        raise IndexError(vtable)
    size = struct.unpack_from("<H", body, vtable)[0]
    if 4 + 2 * number + 2 > size:
        return 0
    offset = struct.unpack_from("<H", body, vtable + 4 + 2 * number)[0]
    return table + offset if offset else 0


def _table(body: bytes, table: int, number: int) -> int:
    place = _field(body, table, number)
    if not place:
        raise IndexError(number)
    return _at(body, place)
