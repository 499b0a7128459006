"""The configuration in force: one immutable snapshot, indexed, read once per call.

A snapshot that does not verify, parse or resolve is refused and the old one stays; a lower epoch is never applied.
A credential that is missing here does not refuse a snapshot: that would also keep a rollback out. Calls that need it
are answered 502 `credential-missing`, and /readyz names it.
"""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from afterlaunch.contracts.budgets import DIMENSIONS
from afterlaunch.contracts.snapshot import Arm, BadSnapshot, Key, Route, Snapshot, Upstream, key_digest, unseal
from afterlaunch.gateway.guarding.rules import Guard, guard_of
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.spending.scopes import Counted
from afterlaunch.gateway.spending.shares import Shares
from afterlaunch.gateway.upstream import Origin
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
KEEP = 10
REMEMBERED = 10_000  # combinations of facts whose budgets are looked up once
Facts = tuple[str | None, ...]


@dataclass(frozen=True)
class Target:
    """An upstream with what is worked out once. `prefix` is the path before `/v1`; `secret` None: missing, or
    passthrough."""

    upstream: Upstream
    origin: Origin
    prefix: str
    passthrough: bool
    secret: bytes | None


class Place(NamedTuple):
    """Where an attempt may go. `model` None: the caller's own. `larger_context`: only for what was too long
    elsewhere."""

    target: Target
    model: str | None
    larger_context: bool = False


class Configuration:
    """A verified snapshot with its look-ups."""

    def __init__(self, snapshot: Snapshot, shared_key: bytes, shares: Shares | None = None) -> None:
        self.snapshot = snapshot
        self._shares = shares
        self.epoch = snapshot.epoch
        self.routes = {route.name: route for route in snapshot.routes}
        self.guards: dict[str, Guard] = {route.name: guard_of(route.guard) for route in snapshot.routes if route.guard}
        self._keys = {key.id: key for key in snapshot.keys}
        self._proven: dict[str, Key] = {}
        self._shared_key = shared_key
        self._places: dict[tuple[str, str], list[Place]] = {}
        named = {name for budget in snapshot.budgets for name in budget.scope}
        self._told_apart = [place for place, name in enumerate(DIMENSIONS) if name in named]
        self._counted: dict[Facts, Counted | None] = {}
        self._targets = {upstream.name: _target(upstream) for upstream in snapshot.upstreams}

    def missing_credentials(self) -> list[str]:
        return sorted(n for n, t in self._targets.items() if not t.passthrough and t.secret is None)

    def target(self, upstream: str) -> Target:
        return self._targets[upstream]

    def places(self, route: Route, arm: Arm) -> list[Place]:
        """The arm's upstream and the route's fallbacks, those whose credential the gateway holds. Raises Refusal when
        it holds none."""
        found = self._places.get((route.name, arm.name))
        if found is None:
            found = self._places[route.name, arm.name] = self._held(route, arm)
        if not found:
            raise Refusal(502, "credential-missing", f"The gateway holds no credential for upstream {arm.upstream}.")
        return found

    def _held(self, route: Route, arm: Arm) -> list[Place]:
        wanted = [Place(self._targets[arm.upstream], arm.model)]
        wanted += [
            Place(self._targets[one.upstream], one.model or arm.model, one.larger_context)
            for one in route.handling.resilience.fallbacks
        ]
        held = [one for one in wanted if one.target.passthrough or one.target.secret is not None]
        return held if any(not one.larger_context for one in held) else []

    def counted(self, facts: Facts) -> Counted | None:
        """The budgets that a call with these facts is counted in, None without any. `facts`: values of DIMENSIONS, in
        their order."""
        if not self.snapshot.budgets:
            return None
        facts = tuple(facts[place] for place in self._told_apart)
        try:
            return self._counted[facts]
        except KeyError:
            pass
        if len(self._counted) >= REMEMBERED:
            self._counted.clear()
        call = dict(zip((DIMENSIONS[place] for place in self._told_apart), facts, strict=True))
        asked = [(budget, budget.counter(call)) for budget in self.snapshot.budgets]
        pairs = [(budget, counter) for budget, counter in asked if counter is not None]
        found = self._counted[facts] = Counted(pairs, self._shares) if pairs else None
        return found

    def authenticate(self, token: str) -> Key:
        """Raises Refusal 401. Compared in constant time; a token that has passed is known for as long as this
        configuration is in force."""
        if key := self._proven.get(token):
            refuse_expired(key)
            return key
        parts = token.split("_", 2)
        key = self._keys.get(parts[1]) if len(parts) == 3 and parts[0] == "al" else None
        if key is None or not hmac.compare_digest(key.digest, key_digest(parts[2], self._shared_key)):
            raise Refusal(401, "key-unknown", "This is no valid Afterlaunch caller key.")
        if key.revoked:
            raise Refusal(401, "key-revoked", "This caller key has been revoked.")
        refuse_expired(key)
        self._proven[token] = key
        return key

    def route(self, key: Key, named: str | None) -> Route:
        """The named route, else the key's default. Raises Refusal 403; an unknown route looks like a forbidden one."""
        if named is None:
            if not key.routes:
                raise Refusal(403, "route-not-allowed", "This key has no route.")
            return self.routes[key.routes[0]]
        if named not in key.routes:
            raise Refusal(403, "route-not-allowed", "This key may not use the route that was named.")
        return self.routes[named]


def refuse_expired(key: Key) -> None:
    """Raises Refusal 401."""
    if key.expires_at is not None and clock.seconds() >= key.expires_at:
        raise Refusal(401, "key-expired", "This caller key has expired.")


def _target(upstream: Upstream) -> Target:
    parts = urlsplit(upstream.base_url.rstrip("/").removesuffix("/v1"))
    secure = parts.scheme == "https"
    return Target(
        upstream=upstream,
        origin=Origin(secure, parts.hostname or "", parts.port or (443 if secure else 80)),
        prefix=parts.path.rstrip("/"),
        passthrough=upstream.credential == "passthrough",
        secret=_secret(upstream.credential),
    )


def _secret(reference: str) -> bytes | None:
    """What could not stand in one header is no secret: a file of two lines would say more than one."""
    kind, _, name = reference.partition(":")
    text = ""
    if kind == "env":
        text = os.environ.get(name, "")
    elif kind == "file":
        try:
            text = Path(name).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return None
    return text.encode() if text and text.isascii() and text.isprintable() else None


class Holder:
    """Holds the configuration in force and keeps the last good ones on disk."""

    def __init__(self, folder: Path, shared_key: Callable[[], bytes]) -> None:
        self._folder = folder
        self._key = shared_key
        self.shares: Shares | None = None  # of limits that gateways share, once there is somebody to ask for them
        self.current: Configuration | None = None
        self.refused: dict[str, int] = {}
        self.last_refusal = ""

    @property
    def epoch(self) -> int:
        return self.current.epoch if self.current else 0

    def start(self) -> None:
        """Take the newest one on disk that verifies."""
        for file in sorted(self._folder.glob("snapshot-*.json"), reverse=True):
            if self.take(file.read_bytes(), keep=False):
                log.info("started from the configuration of epoch %s on disk", self.epoch)
                return

    def take(self, sealed: bytes, keep: bool = True) -> bool:
        """Apply a sealed snapshot; False when it is refused, with the reason logged and counted."""
        try:
            shared = self._key()
            snapshot = unseal(sealed, shared)
            if snapshot.epoch <= self.epoch:
                raise BadSnapshot(f"epoch {snapshot.epoch} is not above {self.epoch}")
            fresh = Configuration(snapshot, shared, self.shares)
        except (BadSnapshot, OSError, ValueError) as problem:
            self.last_refusal = str(problem)
            self.refused[type(problem).__name__] = self.refused.get(type(problem).__name__, 0) + 1
            log.error("a configuration was refused: %s", problem)
            return False
        self.current = fresh
        if keep:
            self._keep(snapshot.epoch, sealed)
        return True

    def _keep(self, epoch: int, sealed: bytes) -> None:
        """Temporary file, fsync, rename, fsync of the folder; ten stay. A full disk does not stop a rollback."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self._folder / f"snapshot.{os.getpid()}.tmp"
            with open(temporary, "wb") as out:
                out.write(sealed)
                out.flush()
                os.fsync(out.fileno())
            temporary.rename(self._folder / f"snapshot-{epoch:012d}.json")
            self._sync_folder()
            for old in sorted(self._folder.glob("snapshot-*.json"))[:-KEEP]:
                old.unlink(missing_ok=True)
        except OSError as problem:
            self.refused["disk"] = self.refused.get("disk", 0) + 1
            log.error("epoch %s is in force but could not be kept on disk: %s", epoch, problem)

    def _sync_folder(self) -> None:
        if os.name != "posix":
            return
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
