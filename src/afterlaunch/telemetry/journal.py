"""What is acknowledged before its commit: an append-only file, synced before the senders are answered.

A record is a mark, a length, a checksum and an Arrow stream. The last record may be torn by a crash: nobody was
answered for it. Replaying what was committed already changes nothing, since stores drop what they have; so files are
removed without further care.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

MARK = b"ALJ1"
_HEAD = struct.Struct("<4sQI")
SEGMENT_BYTES = 64 * 2**20
Position = tuple[int, int]
"""(segment, offset): an instant in the order of appends."""


class Journal:
    """Files `NAME.0`, `NAME.1`, … in the order of appends; a file goes once all of it is committed. One thread appends
    while another tells what is done."""

    def __init__(self, base: Path) -> None:
        self._base = base
        base.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._segments = sorted(int(file.suffix[1:]) for file in self._files())
        self._number = self._segments[-1] + 1 if self._segments else 0
        self._file: int | None = None
        self._size = 0
        self._lock = threading.Lock()

    def _files(self) -> list[Path]:
        return [one for one in self._base.parent.glob(self._base.name + ".*") if one.suffix[1:].isdigit()]

    def _path(self, number: int) -> Path:
        return self._base.with_name(f"{self._base.name}.{number}")

    def append(self, tables: Sequence[Any]) -> Position:
        """Returns when the tables are durable. Raises OSError; then none of them is kept."""
        parts: list[Any] = []
        for table in tables:
            payload = _as_stream(table)
            parts += [_HEAD.pack(MARK, len(payload), zlib.crc32(payload)), payload]
        with self._lock:
            return self._appended(parts)

    def _appended(self, parts: list[Any]) -> Position:
        if self._file is None or self._size > SEGMENT_BYTES:
            self._next()
        assert self._file is not None
        size = sum(len(part) for part in parts)
        try:
            written = os.writev(self._file, parts)
            if written < size:
                raise OSError(28, "only a part could be written")
            os.fdatasync(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += size
        return self._number, self._size

    def _next(self) -> None:
        self._close()
        if self._segments and self._segments[-1] == self._number:
            self._number += 1
        path = self._path(self._number)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._segments.append(self._number)
        self._size = 0

    def done(self, position: Position) -> None:
        """Everything up to here is committed."""
        with self._lock:
            self._done(*position)

    def _done(self, number: int, offset: int) -> None:
        for segment in [one for one in self._segments if one < number]:
            self._path(segment).unlink(missing_ok=True)
            self._segments.remove(segment)
        if (number, offset) == (self._number, self._size) and self._file is not None:
            self._close()
            self._path(number).unlink(missing_ok=True)
            self._segments.remove(number)
            self._number += 1

    def kept(self) -> Iterator[Any]:
        """The tables that an earlier process left, in order, up to the first torn record of each file."""
        for segment in list(self._segments):
            data = memoryview(self._path(segment).read_bytes())
            at = 0
            while at + _HEAD.size <= len(data):
                mark, length, checksum = _HEAD.unpack_from(data, at)
                payload = data[at + _HEAD.size : at + _HEAD.size + length]
                if mark != MARK or len(payload) < length or zlib.crc32(payload) != checksum:
                    break
                with pa.ipc.open_stream(payload) as reader:
                    yield reader.read_all()
                at += _HEAD.size + length

    def clear(self) -> None:
        """All that was kept is committed."""
        for segment in self._segments:
            self._path(segment).unlink(missing_ok=True)
        self._segments.clear()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def close(self) -> None:
        self._close()


def _as_stream(table: Any) -> Any:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
