"""The limits of a system's infrastructure on its form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.estate.limits import LIMITS
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.telemetry import store as stores


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[None]:
    stores.open_store(tmp_path / "t.duckdb")
    yield
    stores.close_store()


@pytest.mark.django_db
def test_the_form_of_a_system_keeps_what_was_typed() -> None:
    now = clock.now()
    acme = Client.objects.create(slug="acme", name="Acme", created_at=now)
    note_sightings([Sighting("acme", "support", "prod")], now)
    system = System.objects.get(client=acme)
    user = User.objects.create_user("owner@acme.example", "Owner")
    Grant.objects.create(user=user, role="operator", client=acme)
    browser = Browser()
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    form = {"name": "Support", "tier": "standard", "posture": "pilot", "time_zone": "UTC"}
    limits = {row.name: "" for row in LIMITS} | {"cpu_above": "90", "gpu_below": "off"}
    assert browser.post(f"/systems/{system.pk}", {**form, **limits}).status_code == 302
    system.refresh_from_db()
    assert system.infrastructure == {"cpu_above": 0.9, "gpu_below": None}
    text = browser.get(f"/systems/{system.pk}").content.decode()
    assert 'value="90 %"' in text and 'value="off"' in text
    assert browser.post(f"/systems/{system.pk}", form).status_code == 302, "a form without the limits leaves them"
    system.refresh_from_db()
    assert system.infrastructure == {"cpu_above": 0.9, "gpu_below": None}
    assert browser.post(f"/systems/{system.pk}", {**form, "cpu_above": "much"}).status_code == 400
