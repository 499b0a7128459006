"""What the head of a request decides under one configuration: made once, and used again for every request of the
connection that repeats it."""

from __future__ import annotations

from afterlaunch.contracts.snapshot import Key, Route
from afterlaunch.gateway.configuration import Configuration, Target
from afterlaunch.gateway.limits import scopes_of
from afterlaunch.gateway.report import About
from afterlaunch.gateway.request import Asked, assign, credential_headers, tenant_of
from afterlaunch.gateway.upstream import request_head

_IDENTITY = (b"accept-encoding", b"identity")


class Admission:
    """`facts`: in the order of `contracts.budgets.DIMENSIONS`; `told`: the header that tells the caller its arm.
    Raises Refusal."""

    __slots__ = (
        "_heads",
        "about",
        "asked",
        "assignment",
        "configuration",
        "counted",
        "facts",
        "guard",
        "key",
        "limited",
        "places",
        "route",
        "tenant",
        "told",
    )

    def __init__(self, configuration: Configuration, asked: Asked, key: Key, route: Route) -> None:
        self.configuration, self.asked, self.key, self.route = configuration, asked, key, route
        self.tenant = tenant_of(key, asked)
        self.assignment = assign(route, key, asked)
        said = asked.said
        agent = key.agent or said.get("agent") or route.agent
        told = (said.get("user"), said.get("session"), said.get("transaction"))
        self.facts = (route.client, route.system, route.environment, route.name, self.tenant, agent, key.id, *told)
        self.guard = configuration.guards.get(route.name)
        self.limited = scopes_of(key, route, self.tenant)
        self.counted = configuration.counted(self.facts)
        self.places = configuration.places(route, self.assignment.arm)
        self.told = (b"afterlaunch-arm", self.assignment.arm.name.encode())
        self.about = About(asked, key, route, self.assignment, self.tenant, configuration.epoch)
        self._heads: dict[str, bytes] = {}

    def head(self, target: Target) -> bytes:
        """Of the request as it goes to this upstream, without its length."""
        name = target.upstream.name
        found = self._heads.get(name)
        if found is None:
            asked = self.asked
            credentials = credential_headers(asked, target.upstream.provider, target.passthrough, target.secret or b"")
            path = target.prefix + asked.path + ("?" + asked.query if asked.query else "")
            headers = [*asked.forward, _IDENTITY, *credentials]
            found = request_head(target.origin, asked.method, path.encode("latin-1"), headers)
            self._heads[name] = found
        return found
