from __future__ import annotations

import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.guard.actions import put_queue
from afterlaunch.routes.actions import ArmValues, put_route, put_upstream
from afterlaunch.routes.models import Route

HOUSE = automation("house")


@pytest.fixture
def route(db: None) -> Route:
    """The route `answers` of the client acme, with an approval queue `desk`."""
    client = Client.objects.create(slug="acme", name="Acme", created_at=clock.now())
    note_sightings([Sighting("acme", "desk", "prod")], clock.now())
    put_upstream(HOUSE, "open", "https://api.example.org", "openai")
    put_queue(HOUSE, client, "desk", None)
    system = System.objects.select_related("client").get(key="desk")
    return put_route(HOUSE, "answers", system, ArmValues("open"))
