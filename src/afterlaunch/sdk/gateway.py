"""Calls through the gateway: which arm a unit gets, and the headers that make a call countable."""

from __future__ import annotations

import json
import os
import urllib.parse
import urllib.request
from dataclasses import dataclass

from .evaluations import reference
from .stamps import ATTRIBUTES, held

_SAID = ("session", "user", "tenant", "transaction", "agent", "route")


@dataclass(frozen=True)
class Assignment:
    """`prompt_version` and `model` are None where the arm leaves them to the application."""

    arm: str
    prompt_version: str | None
    model: str | None
    epoch: int


def headers(
    session: str | None = None,
    user: str | None = None,
    tenant: str | None = None,
    transaction: str | None = None,
    agent: str | None = None,
    route: str | None = None,
) -> dict[str, str]:
    """For `extra_headers` (or `default_headers`) of the provider's SDK, towards the gateway: what is given here, else
    what `context` holds, and the current trace. Values are percent-encoded where HTTP needs it."""
    within = held()
    given = dict(zip(_SAID, (session, user, tenant, transaction, agent, route), strict=True))
    said = {name: value or within.get(ATTRIBUTES[name]) for name, value in given.items()}
    told = {f"afterlaunch-{name}": urllib.parse.quote(value, safe=_PLAIN) for name, value in said.items() if value}
    where = reference()
    return told | {"traceparent": where} if where else told


_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def assignment(
    route: str, unit: str, gateway: str | None = None, key: str | None = None, timeout: float = 2.0
) -> Assignment:
    """The arm that a call with this unit gets now: the value of the first of the route's units that the call carries.

    Gateway and key default to AFTERLAUNCH_GATEWAY_URL and AFTERLAUNCH_KEY. Raises OSError when the gateway cannot be
    reached or refuses: keep the prompt you have.
    """
    base = (gateway or os.environ.get("AFTERLAUNCH_GATEWAY_URL", "http://127.0.0.1:8701")).rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise ValueError(f"the gateway's address must be http or https, not {base!r}")
    query = urllib.parse.urlencode({"route": route, "unit": unit})
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        f"{base}/afterlaunch/v1/assignment?{query}",
        headers={"afterlaunch-key": key or os.environ.get("AFTERLAUNCH_KEY", "")},
    )
    with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
        told = json.load(answer)
    return Assignment(told["arm"], told["prompt_version"], told["model"], told["epoch"])
