from __future__ import annotations

from django.test import Client as Browser

from afterlaunch.ground.clock import FixedClock
from afterlaunch.incidents.tests.conftest import World


def test_the_countdown_runs_on_the_products_clock(world: World, fixed: FixedClock) -> None:
    incident = world.incident()
    fixed.advance(3600)
    browser = Browser()
    browser.force_login(world.admin, backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get(f"/incidents/{incident.pk}").content.decode()
    assert "due in <strong>1.0 h" in page or "due in <strong>60 min" in page or "due in <strong>1 h" in page
    assert "The earlier of the two counts." in page and "off hours" in page
