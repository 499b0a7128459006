from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock, settings
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.signals import tables


@pytest.fixture
def store(tmp_path: Path) -> Iterator[stores.Store]:
    made = stores.open_store(tmp_path / "t.duckdb")
    tables.prepare(made)
    yield made
    stores.close_store()


@pytest.fixture
def acme(db: None) -> Client:
    return Client.objects.create(slug="acme", name="Acme", created_at=clock.now())


@pytest.fixture
def loopback_allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AFTERLAUNCH_OUTBOUND_ALLOW", "127.0.0.0/8")
    settings.reload()
    yield
    monkeypatch.undo()
    settings.reload()
