"""`key`: caller keys of the gateway, by local administration on the data folder."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import typer

from afterlaunch.cli.output import answer, fail, plainly, say, with_data

key = typer.Typer(no_args_is_help=True, help="Caller keys of the gateway.")
DATA = typer.Option(None, "--data", help="Data folder. Default: AFTERLAUNCH_DATA.")
JSON = typer.Option(False, "--json", help="Answer with one JSON document.")


def _until(text: str | None) -> datetime | None:
    """RFC 3339, or a date alone: its first instant in UTC."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no time.", "For example: 2027-01-31 or 2027-01-31T12:00:00Z", code=2)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


@key.command("create")
@plainly
def create(
    name: str = typer.Option(..., help="What will use it."),
    route: str = typer.Option(..., help="Its route; of several, the one for calls that name none."),
    more: list[str] = typer.Option([], "--more", help="A further route of the same client; may be repeated."),
    tenant: str = typer.Option("", help="The only tenant that its calls are booked on."),
    agent: str = typer.Option("", help="The agent that its calls are counted for."),
    expires: str | None = typer.Option(
        None, help="From when it is refused: 2027-01-31, or with a time. Default: never."
    ),
    data: str | None = DATA,
    json: bool = JSON,
) -> None:
    """Make a caller key and print it, once, alone on stdout. Gateways take it within a second."""
    with_data(data)
    from afterlaunch.ground.actors import automation
    from afterlaunch.routes.actions import create_key, route_by_name

    local = automation("local administrator")
    routes = [route_by_name(local, one) for one in (route, *more)]
    row, secret = create_key(local, name, routes[0], tenant, agent, routes[1:], _until(expires))
    if json:
        answer({"id": row.key_id, "name": row.name, "route": route, "expires_at": _told(row.expires_at), "key": secret})
    else:
        ends = f"until {_told(row.expires_at)}" if row.expires_at else "without an end"
        say(f"Caller key {row.name!r} for route {route}, {ends}. It is not shown again.")
        sys.stdout.write(secret + "\n")


@key.command("list")
@plainly
def list_keys(data: str | None = DATA, json: bool = JSON) -> None:
    """Caller keys, without their secrets."""
    with_data(data)
    from afterlaunch.ground.actors import automation
    from afterlaunch.routes.actions import keys_seen_by

    rows = [
        {
            "id": row.key_id,
            "name": row.name,
            "client": row.client.slug,
            "route": row.default_route.name,
            "state": row.state or "good",
            "expires_at": _told(row.expires_at),
        }
        for row in keys_seen_by(automation("local administrator"))
    ]
    if json:
        answer({"keys": rows})
        return
    for told in rows:
        sys.stdout.write("  ".join(str(told[name] or "-") for name in told) + "\n")
    if not rows:
        say("No caller key yet. Make one: afterlaunch key create --name NAME --route ROUTE")


@key.command("revoke")
@plainly
def revoke(key_id: str = typer.Argument(help="As `key list` shows it."), data: str | None = DATA) -> None:
    """Within a second no gateway takes it any more."""
    with_data(data)
    from afterlaunch.ground.actors import automation
    from afterlaunch.routes.actions import key_by_id, revoke_key

    local = automation("local administrator")
    row = key_by_id(local, key_id)
    revoke_key(local, row)
    say(f"The key {row.name!r} opens nothing any more.")


def _told(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
