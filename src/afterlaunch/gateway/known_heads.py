"""Heads that repeat: a client says the same of every request on a connection but its length.

What is byte for byte what llhttp and `request.framing_of` have accepted needs no other reading; whatever differs in a
byte, or does not end with the read, gets one.
"""

from __future__ import annotations

from typing import NamedTuple

from afterlaunch.gateway.request import RequestHead

_LENGTH = b"\r\ncontent-length:"
_PARTICULAR = (b"\r\nexpect:", b"\r\nupgrade:", b"\r\ntransfer-encoding:", b"\r\nconnection:")


class Known(NamedTuple):
    """A head that came before on a connection, but for the digits of its length: `before` and `after` them. `most`:
    bytes of a body that its call may have."""

    before: bytes
    after: bytes
    head: RequestHead
    admission: object
    most: int


def body_of(data: bytes, known: Known) -> bytes | None:
    """Of a read that is one whole request with this head; None for any other."""
    before, after, _, _, most = known
    at = len(before)
    end = data.find(b"\r", at, at + 12)
    if end < 0 or not data.startswith(before) or not data.startswith(after, end):
        return None
    digits, begin = data[at:end], end + len(after)
    size = len(data) - begin
    return data[begin:] if digits.isdigit() and size == int(digits) and size <= most else None


def known_of(data: bytes, head: RequestHead, size: int, admission: object, most: int) -> Known | None:
    """From a read that was this head and a body of `size` bytes; None where it says more than a length of its body."""
    end = data.find(b"\r\n\r\n") + 4
    if len(data) - end != size:
        return None
    lower = data[:end].lower()
    at = lower.find(_LENGTH) + len(_LENGTH)
    if at < len(_LENGTH) or any(name in lower for name in _PARTICULAR):
        return None
    while data[at] == 0x20:
        at += 1
    after = data.find(b"\r", at)
    return Known(data[:at], data[after:end], head, admission, most) if data[at:after].isdigit() else None
