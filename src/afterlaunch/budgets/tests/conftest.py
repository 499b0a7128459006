from __future__ import annotations

import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.estate.models import System
from afterlaunch.ground import clock


@pytest.fixture
def desk(db: None) -> System:
    """The only system of the client acme."""
    Client.objects.create(slug="acme", name="Acme", created_at=clock.now())
    note_sightings([Sighting("acme", "desk", "prod")], clock.now())
    return System.objects.select_related("client").get(key="desk")
