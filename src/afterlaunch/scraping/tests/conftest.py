from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock, settings
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.signals import tables
from afterlaunch.telemetry.tests.places import place, places  # noqa: F401


@pytest.fixture
def store(place: Path | str) -> Iterator[stores.Store]:  # noqa: F811
    made = stores.open_store(place)
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
