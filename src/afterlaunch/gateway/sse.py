"""Server-sent events as bytes: where events end, what their data is, and holding back the one event that we asked for.

Source: WHATWG HTML, server-sent events; a line ends with LF, CR LF or CR, an event with an empty line.
"""

from __future__ import annotations

import re

import orjson

# A carriage return at the very end of what has arrived may still become CR LF: it ends nothing yet.
_END = rb"(?:\r\n|\n|\r(?!\n|\Z))"
_BOUNDARY = re.compile(_END + _END)
_FINAL_BOUNDARY = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE = re.compile(rb"\r\n|\n|\r")
# Between the tokens of JSON there may be white space, also that of an event with several data lines.
GAP = rb"(?:\s|[\r\n]data:)*"
_EMPTY_CHOICES = re.compile(rb'"choices"' + GAP + rb":" + GAP + rb"\[" + GAP + rb"\]")
ENDS = (b"\n\n", b"\r\n\r\n")
KEPT = 64 << 10


def data_of(event: bytes) -> bytes:
    """The joined `data:` lines of one event; comments and other fields are left out."""
    lines = _LINE.split(event.removeprefix(b"\xef\xbb\xbf"))
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))


def split(block: bytes) -> list[bytes]:
    """The events of a block, each with its end."""
    if block.find(b"\r") < 0:  # nearly always, and without an expression a tenth of the work
        whole = block.split(b"\n\n")
        left = whole.pop()
        return [event + b"\n\n" for event in whole] + ([left] if left else [])
    found, at = [], 0
    for boundary in _FINAL_BOUNDARY.finditer(block):
        found.append(block[at : boundary.end()])
        at = boundary.end()
    if at < len(block):
        found.append(block[at:])
    return found


class Assembler:
    """Turns network reads into blocks of whole events, whatever their borders.

    `limit` bounds what is kept of one event; an event above it is reported as its last 64 KiB with `cut` set.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tail = bytearray()
        self.cut = False  # the tail has lost its beginning

    def feed(self, read: bytes) -> bytes:
        """Whole events that are complete now, b"" when none is."""
        if not self._tail and read.endswith(ENDS):
            return read  # the common case: providers write whole events
        known = max(0, len(self._tail) - 3)
        self._tail += read
        end = -1
        for boundary in _BOUNDARY.finditer(self._tail, known):
            end = boundary.end()
        if end < 0:
            return b""
        block = bytes(self._tail[:end])
        del self._tail[:end]
        return block

    def overflow(self) -> bool:
        """Whether the unfinished event has passed the limit."""
        return len(self._tail) > self._limit

    def rest(self) -> bytes:
        """What stands after the last whole event; the assembler is empty after."""
        left, self._tail = bytes(self._tail), bytearray()
        return left

    def shorten(self) -> None:
        if len(self._tail) > KEPT:
            del self._tail[:-KEPT]
            self.cut = True


class Withhold:
    """Keeps from the caller exactly the usage event that it did not ask for: `choices: []` and a usage object.

    Everything else passes byte for byte; of an unfinished event at most `limit` bytes wait for its end.
    """

    def __init__(self, limit: int) -> None:
        self._events = Assembler(limit)
        self._given_up = False

    def feed(self, read: bytes) -> bytes:
        """What may go to the caller now."""
        if self._given_up:
            return read
        block = self._pass(self._events.feed(read))
        if self._events.overflow():
            self._given_up = True
            return block + self._events.rest()
        return block

    def finish(self) -> bytes:
        return self._pass(self._events.rest())

    def _pass(self, block: bytes) -> bytes:
        if not block or not _EMPTY_CHOICES.search(block):
            return block
        return b"".join(event for event in split(block) if not self._ours(event))

    @staticmethod
    def _ours(event: bytes) -> bool:
        if not _EMPTY_CHOICES.search(event):
            return False
        try:
            chunk = orjson.loads(data_of(event))
        except orjson.JSONDecodeError:
            return False
        return isinstance(chunk, dict) and chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict)
