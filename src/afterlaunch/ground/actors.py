"""Roles and who acts. Pure: no framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from afterlaunch.ground.errors import NotAllowed


class Role(StrEnum):
    """`ingest` may only send telemetry; the others include each the one before."""

    INGEST = "ingest"
    VIEWER = "viewer"
    RESPONDER = "responder"
    OPERATOR = "operator"
    ADMIN = "admin"


_RANK = {Role.VIEWER: 1, Role.RESPONDER: 2, Role.OPERATOR: 3, Role.ADMIN: 4}


@dataclass(frozen=True)
class Held:
    """A role held for one client (its slug), or for all when `client` is None."""

    role: Role
    client: str | None


@dataclass(frozen=True)
class Actor:
    """Who does a deed: a person, a token, or an automation of ours. Permission is asked of it, in the action."""

    kind: Literal["person", "token", "automation"]
    name: str
    roles: tuple[Held, ...] = field(default=())
    user_id: int | None = None
    token_id: int | None = None

    def may(self, role: Role | str, client: str | None) -> bool:
        """Whether the actor holds `role` (or a higher one) for `client`; None asks for all clients."""
        wanted = Role(role)
        return any(self._covers(held, wanted) and held.client in (None, client) for held in self.roles)

    @staticmethod
    def _covers(held: Held, wanted: Role) -> bool:
        if wanted is Role.INGEST:
            return held.role in (Role.INGEST, Role.ADMIN)
        return held.role is not Role.INGEST and _RANK[held.role] >= _RANK[wanted]

    def require(self, role: Role | str, client: str | None) -> None:
        """Raise NotAllowed unless `may`."""
        if not self.may(role, client):
            where = f"for client {client!r}" if client else "for all clients"
            raise NotAllowed(f"This needs the role {Role(role).value} {where}.", "Ask an administrator for the role.")

    def sees(self) -> frozenset[str] | None:
        """Slugs of the clients whose facts the actor may read; None means all."""
        readable = [held for held in self.roles if held.role is not Role.INGEST]
        if any(held.client is None for held in readable):
            return None
        return frozenset(held.client for held in readable if held.client is not None)


def automation(name: str) -> Actor:
    """An actor of our own: the engine, a policy. It may do everything; what it does is evidence like any deed."""
    return Actor("automation", name, (Held(Role.ADMIN, None),))
