from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from afterlaunch.ground import settings
from afterlaunch.probes.tests.conftest import World, fixed, world  # noqa: F401
from afterlaunch.status_pages.actions import Part, put_page
from afterlaunch.status_pages.models import StatusPage
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.signals import tables


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[stores.Store]:
    made = stores.open_store(tmp_path / "telemetry.duckdb")
    tables.prepare(made)
    yield made
    stores.close_store()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("AFTERLAUNCH_STATUS_FOLDER", str(tmp_path / "status"))
    settings.reload()
    yield tmp_path / "status"
    monkeypatch.undo()
    settings.reload()


@pytest.fixture
def page(world: World) -> StatusPage:  # noqa: F811
    from afterlaunch.ground.actors import automation

    parts = [Part("helpdesk", "Answers", "prod"), Part("helpdesk", "Sandbox", "test")]
    return put_page(automation("test"), world.client, "acme", "Acme status", parts, public=True, policy="publish")
