"""JSON over a socket, each document behind its length."""

from __future__ import annotations

import socket
import struct
from typing import Any, Protocol

import orjson

HEAD = struct.Struct(">I")


class Ended(Exception):
    """The other side is no more."""


class Line(Protocol):
    """Between the product and the world."""

    def tell(self, document: dict[str, Any]) -> None: ...

    def hear(self) -> dict[str, Any]: ...


class Wire:
    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def tell(self, document: dict[str, Any]) -> None:
        """Raises Ended."""
        body = orjson.dumps(document)
        try:
            self._end.sendall(HEAD.pack(len(body)) + body)
        except OSError as problem:
            raise Ended from problem

    def hear(self) -> dict[str, Any]:
        """Raises Ended."""
        (length,) = HEAD.unpack(self._read(HEAD.size))
        told: dict[str, Any] = orjson.loads(self._read(length))
        return told

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                piece = self._end.recv(size - len(parts))
            except OSError as problem:
                raise Ended from problem
            if not piece:
                raise Ended
            parts += piece
        return bytes(parts)

    def close(self) -> None:
        self._end.close()
