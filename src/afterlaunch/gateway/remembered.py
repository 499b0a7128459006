"""Answers that are given again to exactly the same request: opt-in by route, of this worker, in memory.

The same request is: the same route, arm, tenant, path, body after the route's edits, and the headers that change an
answer. Only whole answers with status 200 are kept. It is counted apart from the provider's prompt cache: a remembered
answer is a call without an attempt and costs nothing.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from afterlaunch.gateway.request import Asked, Assignment
from afterlaunch.gateway.usage import Tokens

BYTES = 64 << 20
LARGEST = 1 << 20
_TELLING = frozenset((b"accept", b"anthropic-version", b"anthropic-beta", b"openai-organization", b"openai-project"))


class Remembered(NamedTuple):
    """`at`: loop time. `model`, `tokens`: what the provider told of it."""

    headers: list[tuple[bytes, bytes]]
    body: bytes
    at: float
    model: str | None
    tokens: Tokens | None


def key_of(
    asked: Asked, assignment: Assignment, route: str, tenant: str | None, body: bytes, guard: bytes = b""
) -> bytes | None:
    """None when the caller wants none: `cache-control` with no-store or no-cache. `guard`: the policies that an answer
    has passed."""
    arm, digest = assignment.arm, hashlib.blake2b(digest_size=16)
    told: list[bytes] = []
    for name, value in asked.forward:
        if name == b"cache-control" and (b"no-store" in value.lower() or b"no-cache" in value.lower()):
            return None
        if name in _TELLING:
            told += (name, value)
    told += [part for pair in asked.credentials for part in pair]
    words = (route, arm.name, arm.upstream, arm.model or "", arm.prompt_version or "", tenant or "", asked.method)
    _lay(
        digest.update,
        [*(word.encode() for word in words), asked.path.encode(), asked.query.encode(), *told, guard, body],
    )
    return digest.digest()


def _lay(update: object, parts: Iterable[bytes]) -> None:
    """With lengths, so that no two lists of parts run together."""
    for part in parts:
        update(len(part).to_bytes(8, "little"))  # type: ignore[operator]
        update(part)  # type: ignore[operator]


class Keeping:
    """The parts of one answer as it passes, until it is longer than any that is remembered."""

    __slots__ = ("_parts", "_size", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self._parts: list[bytes] | None = []
        self._size = 0

    def add(self, part: bytes) -> None:
        if self._parts is None:
            return
        self._parts.append(part)
        self._size += len(part)
        if self._size > LARGEST:
            self.forget()

    def forget(self) -> None:
        self._parts = None

    def whole(self) -> bytes | None:
        """None when it is not to be remembered."""
        return b"".join(self._parts) if self._parts is not None else None


class Answers:
    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Remembered] = OrderedDict()
        self.size = 0  # bytes

    def get(self, key: bytes, now: float, seconds: int) -> Remembered | None:
        found = self._kept.get(key)
        if found is None:
            return None
        if now - found.at >= seconds:
            self._forget(key)
            return None
        self._kept.move_to_end(key)
        return found

    def put(self, key: bytes, one: Remembered) -> None:
        if len(one.body) > LARGEST:
            return
        if key in self._kept:
            self._forget(key)
        self._kept[key] = one
        self.size += _size(one)
        while self.size > BYTES:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: bytes) -> None:
        self.size -= _size(self._kept.pop(key))


def _size(one: Remembered) -> int:
    return len(one.body) + sum(len(name) + len(value) for name, value in one.headers) + 500
