"""What addresses that take bodies have in common: who sends, for which environment, and an answer whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import DatabaseError

from afterlaunch.accounts.actions import actor_of_token
from afterlaunch.accounts.auth import bearer
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import AfterlaunchError, Invalid, NotSignedIn, Unavailable
from afterlaunch.receivers.wire import Answer, Request, refusal


def answered(request: Request, take: Callable[[Request], Answer], what: str, log: logging.Logger) -> Answer:
    """Never raises: whatever goes wrong is an answer that says whether to send it again."""
    try:
        return take(request)
    except AfterlaunchError as problem:
        return refusal(problem)
    except DatabaseError:
        log.exception("the database did not take %s", what)
        return refusal(Unavailable("The database does not answer.", "Send it again.", 10))


def sender_of(request: Request) -> Actor:
    """Raises NotSignedIn."""
    secret = bearer(request.headers.get("authorization", ""))
    if secret is None:
        raise NotSignedIn("What is sent here needs a token.", "Authorization: Bearer TOKEN")
    return actor_of_token(secret)


def environment_of(request: Request) -> str:
    """Raises Invalid."""
    environment = asked_one(request, "environment") or "prod"
    if len(environment) > 60 or not environment.isprintable():
        raise Invalid("An environment's name has 1 to 60 characters.")
    return environment


def asked_one(request: Request, name: str) -> str:
    """The first of that name in the address, or nothing. Raises Invalid."""
    try:
        found = request.asked(name)
    except ValueError as problem:
        raise Invalid("The address has too many parameters.") from problem
    return found[0] if found else ""


def instant_of(text: Any, name: str) -> datetime:
    """Raises Invalid."""
    try:
        at = datetime.fromisoformat(text)
    except (ValueError, TypeError) as problem:
        raise Invalid(f"{name!r} is not RFC 3339.") from problem
    if at.tzinfo is None:
        raise Invalid(f"{name!r} has no zone.", "For example 2026-03-01T00:00:00Z")
    return at
