"""Whose call it is: what is said once holds for every span that starts within, in this process.

Kept in OpenTelemetry's context and written on the spans. Not in its baggage: that would go out with every request, to
model providers too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

from opentelemetry import context as current
from opentelemetry import trace

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
    """For `with`, or above a function. What is None stays as it was outside; what an instrumentation says of a span
    itself stands, for the spans below it too."""
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
    said = ({**held(), **given}, trace.get_current_span())
    token = current.attach(current.set_value(KEY, said))
    try:
        yield
    finally:
        current.detach(token)


def _said(within: current.Context | None) -> tuple[Mapping[str, str], trace.Span]:
    """What was said last, and the span it was said in. An instrumentation may start spans in a context of its own:
    then what is said in the current one."""
    found = current.get_value(KEY, within) or current.get_value(KEY)
    return cast("tuple[Mapping[str, str], trace.Span]", found or ({}, trace.INVALID_SPAN))


def held() -> Mapping[str, str]:
    """The attributes that hold here."""
    return _said(None)[0]


def stamps(within: current.Context | None) -> Mapping[str, str]:
    """The attributes of a span that starts in this context: what is nearest, what was said or what its parent has.

    A parent that started later than that was said carries it already, unless it knew better: the agent that took over.
    """
    said, place = _said(within)
    parent = trace.get_current_span(within)
    if parent is place:
        return said
    its: Mapping[str, str] = getattr(parent, "attributes", None) or {}
    return {**said, **{name: its[name] for name in ATTRIBUTES.values() if name in its}}
