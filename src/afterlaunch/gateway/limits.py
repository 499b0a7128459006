"""Requests and tokens in a minute, by key, tenant and route, for all workers of one gateway.

Each limit is a bucket that holds a minute's worth and fills evenly (the generic cell rate algorithm: one number per
bucket, the time at which it is full again). A request is let in while its bucket holds one; tokens are taken when they
are known, so a bucket may go below empty by what was under way, and nothing is let in until it has filled again.
The
buckets lie in a file that the workers share: 65,536 of them, with locks. When all places of a bucket are taken, the
fullest of them is given up.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from afterlaunch.contracts.handling import Limits
from afterlaunch.contracts.snapshot import Key, Route
from afterlaunch.gateway.protocols import Refusal

try:
    import fcntl
except ImportError:  # Windows: one worker only
    fcntl = None  # type: ignore[assignment]

PLACES = 65_536
NEIGHBOURS = 8
MINUTE = 60.0
_ROW = struct.Struct("<Qd")


class Scope(NamedTuple):
    """`name` is unique among all that is limited, like "key/k1"."""

    kind: str
    name: str
    limits: Limits


class Exceeded(NamedTuple):
    """`what`: requests or tokens; `limit` in a minute; `wait`: seconds until one is let in."""

    scope: Scope
    what: str
    limit: int
    wait: float

    def refusal(self) -> Refusal:
        kind, wait = self.scope.kind, max(1, int(self.wait) + 1)
        said = f"This {kind} may use {self.limit} {self.what} in a minute. Try again in {wait} s."
        return Refusal(429, f"{kind}-{self.what}-limit", said, retry_after=wait)


def scopes_of(key: Key, route: Route, tenant: str | None) -> list[Scope]:
    """What limits a call."""
    handling = route.handling
    found = [Scope("key", f"key/{key.id}", key.limits)] if key.limits else []
    if handling.tenant_limits and tenant:
        found.append(Scope("tenant", f"tenant/{route.name}/{tenant}", handling.tenant_limits))
    if handling.limits:
        found.append(Scope("route", f"route/{route.name}", handling.limits))
    return found


class Buckets:
    """`file` None: of this process alone."""

    def __init__(self, file: Path | None = None) -> None:
        self._descriptor = -1
        if file is None or fcntl is None:
            self._rows = mmap.mmap(-1, PLACES * _ROW.size)
        else:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            os.ftruncate(self._descriptor, PLACES * _ROW.size)
            self._rows = mmap.mmap(self._descriptor, PLACES * _ROW.size)
        self._keys: dict[tuple[str, str], int] = {}

    def close(self) -> None:
        self._rows.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def enter(self, scopes: list[Scope]) -> Exceeded | None:
        """Takes one request of every scope, or of none."""
        now = time.monotonic()
        taken: list[tuple[str, float]] = []
        for scope in scopes:
            requests, tokens = scope.limits.requests, scope.limits.tokens
            if tokens and (full := self._add(scope.name, "tokens", 0.0, now)) >= now + MINUTE:
                self._give_back(taken, now)
                return Exceeded(scope, "tokens", tokens, full - now - MINUTE)
            if requests:
                step = MINUTE / requests
                full = self._add(scope.name, "requests", step, now, now + MINUTE + 1e-6)
                if full > now + MINUTE + 1e-6:
                    self._give_back(taken, now)
                    return Exceeded(scope, "requests", requests, full - now - MINUTE)
                taken.append((scope.name, step))
        return None

    def spend(self, scopes: list[Scope], tokens: int) -> None:
        now = time.monotonic()
        for scope in scopes:
            if scope.limits.tokens:
                self._add(scope.name, "tokens", MINUTE * tokens / scope.limits.tokens, now)

    def _give_back(self, taken: list[tuple[str, float]], now: float) -> None:
        for name, step in taken:
            self._add(name, "requests", -step, now)

    def _add(self, name: str, what: str, seconds: float, now: float, at_most: float = float("inf")) -> float:
        """When the bucket is full again after this; above `at_most` nothing is taken."""
        key = self._key(name, what)
        first = (key % (PLACES - NEIGHBOURS)) * _ROW.size
        with self._locked(first):
            at, full = self._find(key, first)
            full = max(full, now) + seconds
            if full <= at_most:
                _ROW.pack_into(self._rows, at, key, full)
            return full

    def _find(self, key: int, first: int) -> tuple[int, float]:
        """The place of this bucket, or the one to give up for it: an empty bucket is one that is full again."""
        spare, least = first, float("inf")
        for at in range(first, first + NEIGHBOURS * _ROW.size, _ROW.size):
            whose, full = _ROW.unpack_from(self._rows, at)
            if whose == key:
                return at, full
            if full < least:
                spare, least = at, full
        return spare, 0.0

    def _key(self, name: str, what: str) -> int:
        found = self._keys.get((name, what))
        if found is None:
            if len(self._keys) > 4 * PLACES:
                self._keys.clear()
            digest = hashlib.blake2b(f"{what} {name}".encode(), digest_size=8).digest()
            found = self._keys[name, what] = int.from_bytes(digest, "little") or 1
        return found

    @contextmanager
    def _locked(self, first: int) -> Iterator[None]:
        """Neighbourhoods overlap, so the lock covers all of it."""
        if self._descriptor < 0:
            yield
            return
        size = NEIGHBOURS * _ROW.size
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, size, first)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, size, first)
