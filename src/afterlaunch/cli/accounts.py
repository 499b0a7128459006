"""`token` and `sign-in`: local administration on the data folder."""

from __future__ import annotations

import sys

import typer

from afterlaunch.cli.output import answer, fail, plainly, say, with_data

token = typer.Typer(no_args_is_help=True, help="API tokens.")


@token.command("create")
@plainly
def create(
    name: str = typer.Option(..., help="What will use it."),
    role: str = typer.Option(..., help="viewer, ingest, responder, operator or admin."),
    client: str | None = typer.Option(None, help="Slug of the only client it is for. Default: all clients."),
    data: str | None = typer.Option(None, "--data", help="Data folder. Default: AFTERLAUNCH_DATA."),
    json: bool = typer.Option(False, "--json", help="Answer with one JSON document."),
) -> None:
    """Make a token and print it, once, alone on stdout."""
    with_data(data)
    from afterlaunch.accounts.actions import client_by_slug, create_token
    from afterlaunch.ground.actors import automation

    local = automation("local administrator")
    row, secret = create_token(local, name, role, client_by_slug(local, client) if client else None)
    if json:
        answer({"id": row.pk, "name": row.name, "role": row.role, "client": client, "token": secret})
    else:
        say(f"Token {row.name!r}, role {row.role}, for {client or 'all clients'}. It is not shown again.")
        sys.stdout.write(secret + "\n")


@plainly
def sign_in(
    email: str | None = typer.Option(None, help="Whose link. Default: the first administrator's."),
    data: str | None = typer.Option(None, "--data", help="Data folder. Default: AFTERLAUNCH_DATA."),
) -> None:
    """Print a one-time sign-in link, alone on stdout."""
    with_data(data)
    from afterlaunch.accounts.actions import first_administrator, sign_in_link
    from afterlaunch.accounts.models import User
    from afterlaunch.ground.settings import settings

    user = User.objects.filter(email=email.lower()).first() if email else first_administrator()
    if user is None:
        fail(f"Nobody has the address {email}.", "Invite them first: Settings, People.")
    sys.stdout.write(f"{settings().public_url}/sign-in/{sign_in_link(user)}\n")
