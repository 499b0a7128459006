"""Who is behind a request: a bearer token or a session. One place for pages and API."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.http import HttpRequest

from afterlaunch.accounts.actions import actor_of_token, actor_of_user
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import NotSignedIn

if TYPE_CHECKING:

    class ActorRequest(HttpRequest):
        actor: Actor


def bearer(header: str) -> str | None:
    scheme, _, secret = header.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def actor_of(request: HttpRequest) -> Actor:
    """The actor behind a request, read once and kept on it. Raises NotSignedIn."""
    known = getattr(request, "_actor", None)
    if known is None:
        header = request.headers.get("Authorization", "")
        if header:
            secret = bearer(header)
            if secret is None:
                raise NotSignedIn(
                    "The Authorization header is not a bearer token.", "Send: Authorization: Bearer TOKEN"
                )
            known = actor_of_token(secret)
        elif request.user.is_authenticated:
            known = actor_of_user(request.user)
        else:
            raise NotSignedIn("Sign in, or send a token.", "Authorization: Bearer TOKEN")
        request._actor = known  # type: ignore[attr-defined]
    return cast(Actor, known)
