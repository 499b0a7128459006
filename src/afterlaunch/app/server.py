"""The server as one object: stores, engine, pages, API and ingest. `up` and `serve` start it, tests can too."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "afterlaunch.app.django_settings")

import django
import uvicorn
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from afterlaunch.ground.settings import settings

Progress = Callable[[str], None]


def prepare(progress: Progress) -> None:
    """Make the data folder, bring the database up to date, collect static files. Safe to repeat."""
    settings().data.mkdir(parents=True, exist_ok=True, mode=0o700)
    Path(settings().data / "static").mkdir(exist_ok=True)
    django.setup()
    plan = MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes())
    if plan:
        progress(f"Preparing the database ({len(plan)} steps)")
        call_command("migrate", interactive=False, verbosity=0)


def gateway_credentials() -> None:
    """Make the gateway's token and key at first start; both are kept in the data folder, readable by us alone."""
    from afterlaunch.accounts.actions import create_token
    from afterlaunch.ground.actors import automation
    from afterlaunch.routes.snapshot import shared_key

    shared_key()
    file = settings().data / "gateway" / "token"
    if settings().text("GATEWAY_TOKEN") or file.exists():
        return
    _, secret = create_token(automation("first start"), "gateway", "ingest", None)
    temporary = file.with_name(f"token.{secrets.token_hex(4)}")
    temporary.touch(mode=0o600)
    temporary.write_text(secret)
    temporary.rename(file)


def first_sign_in_link() -> str | None:
    """A link for the administrator until somebody has signed in once."""
    from afterlaunch.accounts.actions import first_administrator, sign_in_link
    from afterlaunch.accounts.models import User

    if User.objects.exclude(last_login=None).exists():
        return None
    return f"{settings().public_url}/sign-in/{sign_in_link(first_administrator())}"


class Server:
    """Everything that listens on the server's port, plus the engine. `run` blocks until stopped."""

    def __init__(self, host: str, port: int, with_engine: bool = True) -> None:
        from afterlaunch.app.asgi import assemble
        from afterlaunch.app.duties import DUTIES
        from afterlaunch.app.hot import open_stores
        from afterlaunch.engine.duties import Engine

        self._stores = open_stores(host)
        holder = f"{socket.gethostname()}:{os.getpid()}"
        period = settings().number("ENGINE_PERIOD")
        self._engine = Engine(DUTIES, holder, period) if with_engine else None
        config = uvicorn.Config(
            assemble(self._stores.hot),
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            log_config=None,  # ours, which keeps secrets out
            lifespan="off",
            timeout_graceful_shutdown=5,
            server_header=False,
        )
        self._uvicorn = uvicorn.Server(config)

    @property
    def started(self) -> bool:
        return self._uvicorn.started

    def run(self) -> None:
        """Serve until SIGINT, SIGTERM or `stop`; then end the engine and close the stores, in that order."""
        try:
            self._stores.listen()
            self._serve()
        finally:
            self._stores.close()

    def _serve(self) -> None:
        if self._engine:
            self._engine.start()
        try:
            self._uvicorn.run()
        finally:
            if self._engine:
                self._engine.stop()

    def stop(self) -> None:
        self._uvicorn.should_exit = True
