"""The server as one object: stores, engine, pages, API and ingest. `up` and `serve` start it, tests can too."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "afterlaunch.app.django_settings")

import django
import uvicorn
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import get_resolver

from afterlaunch.app.roles import Role, need_shared_stores
from afterlaunch.ground.settings import settings

if TYPE_CHECKING:
    from afterlaunch.engine.duties import Engine

Progress = Callable[[str], None]
MIGRATING = 0x61667465726C6175  # PostgreSQL's lock while the schema changes


def prepare(progress: Progress) -> None:
    """Make the data folder, bring the database up to date, collect static files. Safe to repeat."""
    settings().data.mkdir(parents=True, exist_ok=True, mode=0o700)
    Path(settings().data / "static").mkdir(exist_ok=True)
    django.setup()
    if not _steps_to_migrate():
        return
    with _one_at_a_time():
        if steps := _steps_to_migrate():
            progress(f"Preparing the database ({steps} steps)")
            call_command("migrate", interactive=False, verbosity=0)


def _steps_to_migrate() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Of several processes that start together one migrates; the others find it done."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", [MIGRATING])
        try:
            yield
        finally:
            cursor.execute("select pg_advisory_unlock(%s)", [MIGRATING])


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
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
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


class _Uvicorn(uvicorn.Server):
    """Calls `listening` once it listens; then `read` is set."""

    def __init__(self, config: uvicorn.Config, read: asyncio.Event, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self.read, self._listening = read, listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await asyncio.to_thread(self._listening)
            self.read.set()


class Server:
    """Everything that listens on the server's port, plus the engine, as far as it is part of the role. `run` blocks
    until stopped. Raises WrongSetting."""

    def __init__(self, host: str, port: int, role: Role = Role.ALL) -> None:
        need_shared_stores(role)
        from afterlaunch.app import health
        from afterlaunch.app.asgi import Application, assemble
        from afterlaunch.app.hot import open_stores
        from afterlaunch.datasets import doors as datasets
        from afterlaunch.labels import doors as labels
        from afterlaunch.predictions import doors as predictions
        from afterlaunch.receivers import doors
        from afterlaunch.receivers.asgi import Receivers

        self._stores = open_stores(host, role)
        self._role = role
        self._engine: Engine | None = None
        health.this = health.Process(role, f"{socket.gethostname()}:{os.getpid()}")
        received: list[tuple[Callable[[str], bool], Application]] = []
        if role.receives:
            alerts = Receivers(int(settings().number("RECEIVERS_MAX_BODY_KB") * 1024))
            most = int(settings().number("PREDICTIONS_MAX_BODY_MB") * 2**20)
            named = "AFTERLAUNCH_PREDICTIONS_MAX_BODY_MB"
            rows = Receivers(most, predictions.answer, setting=named)
            told = Receivers(most, labels.answer, setting=named)
            received = [(doors.serves, alerts), (predictions.serves, rows), (labels.serves, told)]
            self._stores.closers += [alerts.close, rows.close, told.close]
            tables = Receivers(
                int(settings().number("DATA_CHECK_MAX_BODY_MB") * 2**20),
                datasets.answer,
                setting="AFTERLAUNCH_DATA_CHECK_MAX_BODY_MB",
            )
            received.append((datasets.serves, tables))
            self._stores.closers.append(tables.close)
        read = asyncio.Event()
        config = uvicorn.Config(
            assemble(self._stores.hot, role.has_pages, received, read),
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            log_config=None,  # ours, which keeps secrets out
            lifespan="off",
            timeout_graceful_shutdown=5,
            server_header=False,
        )
        self._uvicorn = _Uvicorn(config, read, self._begin)

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
            gc.unfreeze()

    def _begin(self) -> None:
        """Pages and duties take a while to read; telemetry, alerts and predictions are taken meanwhile."""
        get_resolver().url_patterns  # noqa: B018 - it reads them
        if self._role.has_engine:
            from afterlaunch.app import health
            from afterlaunch.app.duties import DUTIES
            from afterlaunch.engine.duties import Engine

            self._engine = Engine(DUTIES, health.this.holder, settings().number("ENGINE_PERIOD"))
            self._engine.start()
            connection.close()
        gc.freeze()  # what is loaded stays: it is not looked through again and again
        gc.enable()

    def _serve(self) -> None:
        try:
            self._uvicorn.run()
        finally:
            if self._engine:
                self._engine.stop()

    def stop(self) -> None:
        self._uvicorn.should_exit = True
