"""gzip bodies, counted while they grow, so that a small one can't become a large one. Pure."""

from __future__ import annotations

import zlib

from afterlaunch.ground.errors import Invalid, TooLarge


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is over {limit // 2**20} MiB.", "Send smaller batches.")


class Inflate:
    """A gzip body, of one member or several, piece by piece; never more than the limit and one byte."""

    def __init__(self, limit: int) -> None:
        self._left = limit + 1
        self._stream = zlib.decompressobj(31)

    def more(self, part: bytes) -> bytes:
        found: list[bytes] = []
        try:
            while part and self._left:
                if self._stream.eof:
                    self._stream = zlib.decompressobj(31)
                found.append(self._stream.decompress(part, self._left))
                self._left -= len(found[-1])
                part = self._stream.unused_data
        except zlib.error as problem:
            raise Invalid(f"The body is no gzip: {problem}") from None
        return b"".join(found)

    def end(self) -> None:
        """Raises Invalid when the body was cut short."""
        if not self._stream.eof:
            raise Invalid("The gzip body is cut short.")


def inflated(body: bytes, limit: int) -> bytes:
    """A whole gzip body. Raises Invalid, TooLarge."""
    stream = Inflate(limit)
    found = stream.more(body)
    if len(found) > limit:
        raise too_large(limit)
    stream.end()
    return found
