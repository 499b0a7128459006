"""What a worker has reserved and settled since its last transaction, where it outlives the worker.

A file of fixed size in memory that the system writes back: a process that is killed leaves it as it was, so whoever
finds it without its owner's lock can book what it says. Records carry their length and a checksum that begins with the
generation, so that neither a record half written nor one of an earlier generation is taken for one. The generation
rises with every transaction that has booked the records; the transaction notes it, so that nothing is booked twice.
Generations take turns in the two halves of the file. What a new one begins with stands there before the transaction
that the old one ends with: from that on it counts, also where the owner is killed before the file says so.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from zlib import crc32

if sys.platform != "win32":
    import fcntl

SIZE = 2 << 20
FIRST = 16  # where the first half begins
_HEAD = struct.Struct("<Q")
_RECORD = struct.Struct("<II")
_pack = _RECORD.pack


class Journal:
    """Raises OSError when the file cannot be made. Its room is taken on the disk at once: writing to it later cannot
    fail."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.holder, self._descriptor = "", -1
        while self._descriptor < 0:
            self.holder = f"{os.getpid()}-{os.urandom(6).hex()}"
            self._file = folder / f"{self.holder}.journal"
            self._descriptor = _made(self._file)
        self._map = mmap.mmap(self._descriptor, SIZE)
        self.generation, self._at, self._end, self._prepared = 0, 0, 0, FIRST
        self.restart()

    def add(self, record: bytes) -> bool:
        """False when it has no room: then it is time for a transaction."""
        at, size = self._at, len(record)
        end = at + 8 + size
        if end > self._end:
            return False
        self._map[at:end] = _pack(size, crc32(record, self._seed)) + record
        self._at = end
        return True

    def prepare(self, records: Iterable[bytes]) -> None:
        """What the next generation begins with. Expects that they fit: half of SIZE. May be said again, instead."""
        seed = (self.generation + 1) & 0xFFFFFFFF
        at, _ = _half(self.generation + 1)
        for record in records:
            end = at + 8 + len(record)
            self._map[at:end] = _pack(len(record), crc32(record, seed)) + record
            at = end
        if at < self._prepared:  # of a transaction that failed
            self._map[at : self._prepared] = bytes(self._prepared - at)
        self._prepared = at

    def restart(self) -> None:
        """What it said is booked, but for what was prepared."""
        self.generation += 1
        self._seed = self.generation & 0xFFFFFFFF
        self._at, self._end = self._prepared, _half(self.generation)[1]
        self._prepared = _half(self.generation + 1)[0]
        _HEAD.pack_into(self._map, 0, self.generation)

    def close(self, remove: bool) -> None:
        """`remove`: all that it said is booked."""
        self._map.close()
        if remove:
            self._file.unlink(missing_ok=True)
        os.close(self._descriptor)


def _half(generation: int) -> tuple[int, int]:
    middle = SIZE // 2
    return (FIRST, middle) if generation % 2 else (middle, SIZE)


def _made(file: Path) -> int:
    """A descriptor with the owner's lock; -1 when somebody took the new file for one without an owner."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if not _locked(descriptor) or not file.exists():
            os.close(descriptor)
            return -1
        os.pwrite(descriptor, bytes(SIZE), 0)
    except BaseException:
        os.close(descriptor)
        file.unlink(missing_ok=True)
        raise
    return descriptor


def _locked(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Left:
    """A journal whose owner is dead, locked by whoever books it."""

    def __init__(self, file: Path, descriptor: int) -> None:
        self.holder, self._file, self._descriptor = file.stem, file, descriptor
        self._raw = os.pread(descriptor, SIZE, 0)
        self.generation = _HEAD.unpack_from(self._raw)[0] if len(self._raw) >= _HEAD.size else 0

    def unbooked(self, booked: int | None) -> list[bytes]:
        """Its records, where transactions have booked the generations up to `booked`. Who books them notes the one
        after its own: then nothing is left."""
        if not self.generation or (booked or 0) > self.generation:
            return []
        return list(_records(self._raw, self.generation + (booked == self.generation)))

    def close(self, remove: bool) -> None:
        if remove:
            self._file.unlink(missing_ok=True)
        os.close(self._descriptor)


def _records(raw: bytes, generation: int) -> Iterator[bytes]:
    at, _ = _half(generation)
    while at + 8 <= len(raw):
        length, checked = _RECORD.unpack_from(raw, at)
        record = raw[at + 8 : at + 8 + length]
        if not length or len(record) < length or crc32(record, generation & 0xFFFFFFFF) != checked:
            return
        yield record
        at += 8 + length


def left_behind(folder: Path, mine: str) -> Iterator[Left]:
    """Journals whose owners are dead. Without locks (Windows: one worker only) none but the own one can live."""
    for file in folder.glob("*.journal"):
        if file.stem == mine:
            continue
        try:
            descriptor = os.open(file, os.O_RDWR)
        except FileNotFoundError:
            continue
        if _locked(descriptor) and file.exists():
            yield Left(file, descriptor)
        else:
            os.close(descriptor)
