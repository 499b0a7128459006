"""Deeds on accounts. Secrets are returned once and kept as digests."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from afterlaunch.accounts.models import Client, Grant, SignInLink, Token, User
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import Invalid, NotFound, NotSignedIn

LINK_LIFE = timedelta(hours=24)
HOUSE = "house"  # the client that telemetry without a client belongs to


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def house_client() -> Client:
    """The operator's own client; made at first need."""
    client, _ = Client.objects.get_or_create(slug=HOUSE, defaults={"name": "In-house", "created_at": clock.now()})
    return client


def client_by_slug(actor: Actor, slug: str) -> Client:
    """A client that the actor may see; NotFound otherwise, so that strangers can't probe."""
    seen = actor.sees()
    if seen is not None and slug not in seen:
        raise NotFound(f"There is no client {slug!r}.")
    try:
        return Client.objects.get(slug=slug)
    except Client.DoesNotExist:
        raise NotFound(f"There is no client {slug!r}.") from None


@transaction.atomic
def create_token(actor: Actor, name: str, role: str, client: Client | None) -> tuple[Token, str]:
    """Make a token; the second value is the secret, shown once."""
    actor.require(Role.ADMIN, client.slug if client else None)
    if role not in {r.value for r in Role}:
        raise Invalid(f"There is no role {role!r}.", "Use one of: " + ", ".join(r.value for r in Role))
    if not name.strip():
        raise Invalid("A token needs a name.", "Name it after the program that will use it.")
    secret = "alt_" + secrets.token_urlsafe(32)
    token = Token.objects.create(
        name=name.strip(),
        digest=digest(secret),
        hint=secret[:8],
        role=role,
        client=client,
        created_at=clock.now(),
        created_by=actor.name,
    )
    record(
        actor, "token.created", f"token/{token.pk}", client.slug if client else None, {"name": token.name, "role": role}
    )
    return token, secret


@transaction.atomic
def revoke_token(actor: Actor, token: Token) -> None:
    """From now on the token opens nothing. Revoking twice changes nothing."""
    actor.require(Role.ADMIN, token.client.slug if token.client else None)
    if Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=clock.now()):
        record(
            actor,
            "token.revoked",
            f"token/{token.pk}",
            token.client.slug if token.client else None,
            {"name": token.name},
        )


def actor_of_token(secret: str) -> Actor:
    """Raises NotSignedIn for an unknown or revoked token. The look-up is by digest, so timing tells nothing."""
    token = Token.objects.select_related("client").filter(digest=digest(secret), revoked_at=None).first()
    if token is None:
        raise NotSignedIn(
            "This token is unknown or revoked.", "Make one with: afterlaunch token create --name … --role …"
        )
    now = clock.now()
    stale = now - timedelta(minutes=1)
    Token.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=stale), pk=token.pk).update(last_used_at=now)
    return Actor(
        "token", token.name, (Held(Role(token.role), token.client.slug if token.client else None),), token_id=token.pk
    )


def actor_of_user(user: User) -> Actor:
    """Reads the person's grants: one query. Somebody who was switched off may do nothing, by no way in."""
    if not user.is_active:
        return Actor("person", str(user), (), user_id=user.pk)
    grants = Grant.objects.filter(user=user).select_related("client")
    held = tuple(Held(Role(grant.role), grant.client.slug if grant.client else None) for grant in grants)
    return Actor("person", str(user), held, user_id=user.pk)


@transaction.atomic
def first_administrator() -> User:
    """The person behind the first sign-in link."""
    existing = User.objects.filter(grants__role=Role.ADMIN, grants__client=None, is_active=True).order_by("pk").first()
    if existing:
        return existing
    user = User.objects.create_user(email="admin@localhost", name="Administrator", is_staff=True, is_superuser=True)
    Grant.objects.create(user=user, role=Role.ADMIN, client=None)
    return user


def sign_in_link(user: User) -> str:
    """The secret part of a one-time sign-in link, valid for 24 hours."""
    secret = secrets.token_urlsafe(32)
    SignInLink.objects.create(
        digest=digest(secret), user=user, expires_at=clock.now() + clock.lease(LINK_LIFE.total_seconds())
    )
    return secret


def use_sign_in_link(secret: str) -> User:
    """Consume it: the conditional update lets exactly one request win."""
    now = clock.now()
    used = SignInLink.objects.filter(digest=digest(secret), used_at=None, expires_at__gt=now).update(used_at=now)
    if not used:
        raise NotSignedIn("This sign-in link has been used or has expired.", "Make a new one with: afterlaunch sign-in")
    return SignInLink.objects.select_related("user").get(digest=digest(secret)).user
