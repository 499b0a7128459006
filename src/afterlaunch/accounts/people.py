"""Deeds on clients, people and what they may do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import Invalid


def check_zone(name: str) -> str:
    """An IANA zone name; Invalid otherwise."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"{name!r} is no IANA time zone.", "For example: Europe/Berlin") from None
    return name


@transaction.atomic
def put_client(actor: Actor, slug: str, name: str, time_zone: str = "UTC") -> Client:
    """Make a client, or rename it. Only an administrator of the house."""
    actor.require(Role.ADMIN, None)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", slug):
        raise Invalid(f"{slug!r} is no slug for a client.", "Small letters, digits and -, at most 60.")
    values = {"name": name.strip() or slug, "time_zone": check_zone(time_zone)}
    client, _ = Client.objects.update_or_create(
        slug=slug, defaults=values, create_defaults={**values, "created_at": clock.now()}
    )
    record(actor, "client.put", f"client/{slug}", slug, values)
    return client


@transaction.atomic
def put_person(actor: Actor, email: str, name: str, held: Sequence[Held], time_zone: str = "") -> User:
    """Make a person, or alter name, zone and roles: `held` replaces what they held.

    Nobody gives roles that they could not give one by one: it takes an administrator of each client concerned.
    """
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid(f"{email!r} is no e-mail address.") from None
    user = User.objects.filter(email=email.lower()).first()
    before = [] if user is None else list(Grant.objects.filter(user=user).select_related("client"))
    for grant in before:
        actor.require(Role.ADMIN, grant.client.slug if grant.client else None)
    for one in held:
        actor.require(Role.ADMIN, one.client)
    if not held:
        actor.require(Role.ADMIN, None)
    if user is None:
        user = User.objects.create_user(email, name)
    user.name, user.time_zone = name, check_zone(time_zone) if time_zone else ""
    user.save(update_fields=["name", "time_zone"])
    _replace_grants(user, held)
    details = {"roles": sorted(f"{one.role.value}:{one.client or '*'}" for one in held)}
    record(actor, "person.put", f"person/{user.pk}", None, details)
    return user


def _replace_grants(user: User, held: Sequence[Held]) -> None:
    Grant.objects.filter(user=user).delete()
    clients = {client.slug: client for client in Client.objects.filter(slug__in=[h.client for h in held if h.client])}
    for one in held:
        if one.client and one.client not in clients:
            raise Invalid(f"There is no client {one.client!r}.", "Make it first.")
        Grant.objects.create(user=user, role=one.role.value, client=clients[one.client] if one.client else None)
