"""Whose call it is: what is said once holds for every span that starts within, in this process.

Kept in OpenTelemetry's context and written on the spans. Not in its baggage: that would go out with every request, to
model providers too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

from opentelemetry import context as current

from .scope import Scope

KEY = "afterlaunch-context"  # a fixed one, which both names of this package share
ATTRIBUTES = {
    "tenant": "tenant.id",
    "user": "user.id",
    "session": "session.id",
    "agent": "gen_ai.agent.name",
    "route": "afterlaunch.route",
    "prompt_name": "gen_ai.prompt.name",
    "prompt_version": "gen_ai.prompt.version",
    "transaction": "afterlaunch.transaction",
}


def context(
    *,
    tenant: object = None,
    user: object = None,
    session: object = None,
    agent: object = None,
    route: object = None,
    prompt_name: object = None,
    prompt_version: object = None,
    transaction: object = None,
) -> Scope[None]:
    """For `with`, or above a function. What is None stays as it was outside; an attribute that an instrumentation
    sets by itself stands."""
    told = {
        "tenant": tenant,
        "user": user,
        "session": session,
        "agent": agent,
        "route": route,
        "prompt_name": prompt_name,
        "prompt_version": prompt_version,
        "transaction": transaction,
    }
    given = {ATTRIBUTES[name]: str(value) for name, value in told.items() if value is not None and value != ""}
    return Scope(lambda: _within(given))


@contextmanager
def _within(given: Mapping[str, str]) -> Iterator[None]:
    token = current.attach(current.set_value(KEY, {**held(), **given}))
    try:
        yield
    finally:
        current.detach(token)


def held(within: current.Context | None = None) -> Mapping[str, str]:
    """Attributes that hold here. An instrumentation may start spans in a context of its own: then the current one."""
    return cast(Mapping[str, str], current.get_value(KEY, within) or current.get_value(KEY) or {})
