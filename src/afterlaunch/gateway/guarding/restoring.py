"""A gate that puts the originals in the place of placeholders, behind the one that checks."""

from __future__ import annotations

from afterlaunch.gateway import sse
from afterlaunch.gateway.guarding.calls import Unreadable
from afterlaunch.gateway.guarding.gate import Cut, Gate
from afterlaunch.gateway.guarding.judging import Judge
from afterlaunch.gateway.guarding.placeholders import Stream
from afterlaunch.gateway.guarding.reading import LARGEST_ANSWER
from afterlaunch.gateway.protocols import Protocol as Wire


class Restoring:
    """Puts originals in the place of placeholders, behind the gate that checks: policies see what the model said. An
    answer that cannot be read passes with its placeholders, and is counted as an exception."""

    edits = True

    def __init__(self, judge: Judge, wire: Wire, streamed: bool, encoding: str, inner: Gate | None) -> None:
        assert judge.placeholders is not None, "gate_of"
        self._judge, self._wire, self._inner = judge, wire, inner
        self._known = judge.placeholders
        self._events = sse.Assembler(wire.longest_event)
        self._stream = Stream(self._known, wire)
        self._parts: list[bytes] = []
        self._size = 0
        self._whole = not streamed
        self._open = False  # it passes as it is
        self._told = False
        if encoding:
            self._given_up("encoding")

    @property
    def holds(self) -> bool:
        return (self._whole and not self._open) or (self._inner is not None and self._inner.holds)

    @property
    def later(self) -> bool:
        return self._inner is not None and self._inner.later

    def feed(self, read: bytes) -> bytes:
        try:
            return self._restored(self._inner.feed(read) if self._inner is not None else read)
        except Cut as cut:
            cut.event = self._restored(cut.event) + self._ended()
            raise

    async def finish(self) -> bytes:
        try:
            left = await self._inner.finish() if self._inner is not None else b""
        except Cut as cut:
            cut.event = self._restored(cut.event) + self._ended()
            raise
        return self._restored(left) + self._ended()

    def cut_off(self) -> bytes:
        """What may be the beginning of a placeholder stays as it came."""
        left = self._inner.cut_off() if self._inner is not None else b""
        return left if self._open else self._restored(left) + self._stream.finish()

    async def after(self) -> None:
        if self._inner is not None:
            await self._inner.after()

    def close(self) -> None:
        self._judge.shared.room += self._size
        self._size, self._parts = 0, []
        if self._inner is not None:
            self._inner.close()

    def _restored(self, read: bytes) -> bytes:
        if self._open or not read:
            return read
        if not self._whole:
            block = self._events.feed(read)
            out = self._stream.feed(block) if block else b""
            if self._stream.unread and not self._told:
                self._told = True
                self._judge.failed(self._known.policy, self._stream.unread)
            return out + self._given_up("too-large") if self._events.overflow() else out
        self._parts.append(read)
        self._size += len(read)
        self._judge.shared.room -= len(read)
        if self._size > LARGEST_ANSWER or self._judge.shared.room < 0:
            return self._given_up("too-large" if self._size > LARGEST_ANSWER else "no-room")
        return b""

    def _ended(self) -> bytes:
        if self._open:
            return b""
        if not self._whole:
            return self._stream.feed(self._events.rest()) + self._stream.finish()
        body = b"".join(self._parts)
        self._open = True
        try:
            return self._known.of_json(body, self._wire) if body else b""
        except Unreadable as problem:
            self._judge.failed(self._known.policy, str(problem))
            return body

    def _given_up(self, why: str) -> bytes:
        self._judge.failed(self._known.policy, why)
        self._open = True
        out = b"".join([*self._parts, self._stream.finish(), self._events.rest()])
        self._judge.shared.room += self._size
        self._size, self._parts = 0, []
        return out
