"""`up` and `serve`: start processes."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import socket
import sys
from enum import StrEnum

import typer

from afterlaunch.cli.output import fail, plainly, say, with_data

DATA = typer.Option(None, "--data", help="Folder of the embedded stores. Default: AFTERLAUNCH_DATA.")


class Kind(StrEnum):
    WEB = "web"
    INGEST = "ingest"
    ENGINE = "engine"
    GATEWAY = "gateway"


def _flags(data: str | None, host: str, port: int, gateway_host: str, gateway_port: int) -> None:
    """Put flags where settings are read from, so that child processes agree."""
    values = {
        "AFTERLAUNCH_DATA": data,
        "AFTERLAUNCH_HOST": host,
        "AFTERLAUNCH_PORT": str(port),
        "AFTERLAUNCH_GATEWAY_HOST": gateway_host,
        "AFTERLAUNCH_GATEWAY_PORT": str(gateway_port),
    }
    os.environ.update({name: value for name, value in values.items() if value is not None})


def _end_cleanly_on_sigterm() -> None:
    """uvicorn raises the signal again once it has stopped; unhandled it would end us before the stores are closed and
    leave the gateway running without a parent."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def _need_free(host: str, port: int, flag: str) -> None:
    """Before anything is started or promised: a clear word when somebody else listens there."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as problem:
        hint = f"Another program may listen there, or another Afterlaunch. Choose another port with {flag}."
        fail(f"Port {port} of {host} cannot be used: {problem.strerror or problem}.", hint, code=2)


def _need_grpc_free(host: str) -> None:
    from afterlaunch.ground.settings import settings

    if port := int(settings()["GRPC_PORT"]):
        _need_free(host, port, "AFTERLAUNCH_GRPC_PORT")


@plainly
def up(
    data: str | None = DATA,
    host: str = typer.Option("127.0.0.1", envvar="AFTERLAUNCH_HOST", help="Address to listen on."),
    port: int = typer.Option(8700, envvar="AFTERLAUNCH_PORT", help="Port of the server."),
    gateway_port: int = typer.Option(8701, envvar="AFTERLAUNCH_GATEWAY_PORT", help="Port of the gateway."),
    with_gateway: bool = typer.Option(True, "--gateway/--no-gateway", help="Whether a gateway runs beside it."),
) -> None:
    """Start the server and the gateway on embedded stores, until stopped."""
    gc.disable()  # until all is loaded: the server turns it on
    _flags(data, host, port, host, gateway_port)
    _need_free(host, port, "--port")
    if with_gateway:
        _need_free(host, gateway_port, "--gateway-port")
    with_data(None)
    _need_grpc_free(host)
    from afterlaunch.app.gateway_process import GatewayProcess
    from afterlaunch.app.server import Server, first_sign_in_link, gateway_credentials
    from afterlaunch.ground.settings import settings

    gateway_credentials()
    server = Server(host, port)
    gateway = GatewayProcess(host, gateway_port) if with_gateway else None
    if gateway:
        gateway.start()
    beside = f"   gateway  http://{host}:{gateway_port}" if gateway else ""
    say(f"Afterlaunch  {settings().public_url}{beside}   data  {settings().data}")
    link = first_sign_in_link()
    again = "afterlaunch sign-in" + (f" --data {shlex.quote(data)}" if data else "")
    say(f"Sign in once with  {link}" if link else f"Sign in as before; a new link: {again}")
    sys.stderr.flush()
    _end_cleanly_on_sigterm()
    try:
        server.run()
    finally:
        if gateway:
            gateway.stop()


@plainly
def serve(
    kind: Kind,
    data: str | None = DATA,
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int | None = typer.Option(None, help="Port to listen on. Default: the setting of that process."),
    workers: int | None = typer.Option(None, min=1, max=64, help="Processes of the gateway. Default: its setting, 1."),
) -> None:
    """Start one kind of process, beside others on the same PostgreSQL and ClickHouse: web (pages and API), ingest (OTLP
    and remote write), engine (duties), or the gateway, which needs neither store."""
    if data:
        os.environ["AFTERLAUNCH_DATA"] = data
    from afterlaunch.ground.settings import reload

    chosen = reload()
    if kind is Kind.GATEWAY:
        from afterlaunch.gateway.serve import main

        main(host, port or int(chosen["GATEWAY_PORT"]), workers or max(int(chosen["GATEWAY_WORKERS"]), 1))
        return
    gc.disable()  # until all is loaded: the server turns it on
    from afterlaunch.app.roles import Role, need_shared_stores

    role = Role(kind)
    need_shared_stores(role)
    _flags(None, host, port or int(chosen["PORT"]), chosen.text("GATEWAY_HOST"), int(chosen["GATEWAY_PORT"]))
    with_data(None)
    from afterlaunch.app.server import Server, gateway_credentials

    if role is Role.WEB:
        gateway_credentials()
    _end_cleanly_on_sigterm()
    Server(host, port or int(chosen["PORT"]), role).run()
