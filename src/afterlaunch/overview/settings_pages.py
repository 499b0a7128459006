"""Settings, tokens and people."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.accounts.actions import client_by_slug, create_token, revoke_token, sign_in_link
from afterlaunch.accounts.models import Client, Grant, Token, User
from afterlaunch.accounts.people import put_person
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.ground.settings import SETTINGS, settings
from afterlaunch.look.requests import Request


def _clients(actor: Actor) -> QuerySet[Client]:
    seen = actor.sees()
    return Client.objects.all() if seen is None else Client.objects.filter(slug__in=seen)


def _tokens(actor: Actor) -> QuerySet[Token]:
    seen = actor.sees()
    rows = Token.objects.select_related("client")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def _people(actor: Actor) -> QuerySet[User]:
    """With the roles that the actor may know of: those for other clients are not told."""
    seen = actor.sees()
    grants = Grant.objects.select_related("client")
    if seen is not None:
        grants = grants.filter(Q(client=None) | Q(client__slug__in=seen))
    rows = User.objects.prefetch_related(Prefetch("grants", grants)).order_by("email")
    return rows if seen is None else rows.filter(Q(grants__client__slug__in=seen) | Q(pk=actor.user_id)).distinct()


def _keys_page(request: Request, **shown: Any) -> HttpResponse:
    actor = request.actor
    context = {
        "tokens": _tokens(actor),
        "people": _people(actor),
        "clients": _clients(actor),
        "roles": [role.value for role in Role],
        "whole_house": actor.sees() is None,
        "may": any(held.role is Role.ADMIN for held in actor.roles),
        **shown,
    }
    response = render(request, "overview/settings.html", context)
    response["Cache-Control"] = "no-store"
    return response


@require_safe
def front(request: Request) -> HttpResponse:
    return _keys_page(request)


def _chosen_client(request: Request) -> Client | None:
    slug = request.POST.get("client", "")
    return client_by_slug(request.actor, slug) if slug else None


@require_POST
def token_create(request: Request) -> HttpResponse:
    """The answer itself shows the secret, once; nothing keeps it."""
    given = request.POST
    token, secret = create_token(request.actor, given.get("name", ""), given.get("role", ""), _chosen_client(request))
    return _keys_page(request, made=token, secret=secret)


@require_POST
def token_revoke(request: Request, pk: int) -> HttpResponse:
    token = _tokens(request.actor).filter(pk=pk).first()
    if token is None:
        raise NotFound(f"There is no token {pk}.")
    revoke_token(request.actor, token)
    messages.success(request, f"The token {token.name} opens nothing any more.")
    return redirect("/settings")


@require_POST
def person_invite(request: Request) -> HttpResponse:
    """Makes a new person with one role, and a link that signs them in once, shown once."""
    given, client = request.POST, _chosen_client(request)
    if given.get("role", "") not in {role.value for role in Role if role is not Role.INGEST}:
        raise Invalid("Choose a role.")
    request.actor.require(Role.ADMIN, client.slug if client else None)
    email = given.get("email", "").strip()
    if User.objects.filter(email=email.lower()).exists():
        raise Conflict("This person is here already.", "Alter roles with the API or a configuration file.")
    held = [Held(Role(given["role"]), client.slug if client else None)]
    person = put_person(request.actor, email, given.get("name", "").strip(), held)
    return _keys_page(request, invited=person, link=f"{settings().public_url}/sign-in/{sign_in_link(person)}")


@require_safe
def server(request: Request) -> HttpResponse:
    """Every setting; it takes sight of the whole house. Secrets are only said to be set or not."""
    request.actor.require(Role.VIEWER, None)
    chosen = settings()
    rows = []
    for row in SETTINGS:
        value = chosen[row.name.removeprefix("AFTERLAUNCH_")]
        shown = ", ".join(value) if isinstance(value, tuple) else str(value)
        rows.append({"row": row, "shown": ("set" if shown else "not set") if row.secret else shown})
    return render(request, "overview/server.html", {"rows": rows})
