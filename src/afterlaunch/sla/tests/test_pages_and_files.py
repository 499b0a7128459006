from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import User
from afterlaunch.app.configuration.apply import apply, export, parse, to_yaml
from afterlaunch.calendars.actions import calendar_of
from afterlaunch.ground.actors import Role
from afterlaunch.ground.clock import FixedClock
from afterlaunch.sla.duties import watch_clocks
from afterlaunch.sla.models import SlaPolicy
from afterlaunch.sla.tests.conftest import World

FILE = """
apiVersion: afterlaunch/v1
kind: BusinessCalendar
metadata: {client: acme, name: business-hours}
spec:
  zone: Europe/Berlin
  windows: [{days: [mon, tue, wed, thu, fri], start: "08:00", end: "18:00"}]
  country: DE
  closures: [2026-12-24]
  half_days: [{date: 2026-12-31, windows: [{start: "08:00", end: "12:00"}]}]
---
apiVersion: afterlaunch/v1
kind: SlaPolicy
metadata: {client: acme, tier: standard}
spec:
  response:
    P1: {kind: duration, in_hours: 20m, off_hours: 1h, counting: elapsed}
    P2: {kind: business_days, days: 1, counting: business}
    P3: {kind: batch_slot, slot: {weekday: mon, time: "10:00"}, counting: business}
---
apiVersion: afterlaunch/v1
kind: Support
metadata: {client: acme, system: helpdesk}
spec:
  posture: escalation
  handover: {after: 30m, counting: elapsed, unless: resolved}
  contacts: Desk 12
  address: "+49 30 1234"
"""


@pytest.fixture
def browser(world: World) -> Browser:
    world.person("op", Role.OPERATOR)
    made = Browser()
    made.force_login(User.objects.get(email="op@example.test"), backend="django.contrib.auth.backends.ModelBackend")
    return made


def test_files_make_it_so_once_and_are_exported_as_they_were_applied(world: World) -> None:
    local = world.person("root", Role.ADMIN, None)
    assert {one.kind for one in apply(local, parse(FILE, "f"))} == {"BusinessCalendar", "SlaPolicy", "Support"}
    assert apply(local, parse(FILE, "f")) == []
    mine = [one for one in export() if one.kind.name in ("BusinessCalendar", "SlaPolicy", "Support")]
    assert apply(local, parse(to_yaml(mine), "g")) == []
    assert SlaPolicy.objects.count() == 1 and calendar_of(world.client).country == "DE"


def test_the_clocks_page_explains_it_and_the_list_has_the_nearest_first(
    world: World, browser: Browser, fixed: FixedClock
) -> None:
    later, row = world.start(severity="P3", topic="thing/2"), world.start()
    watch_clocks(fixed.advance(60))
    listed = browser.get("/sla").content.decode()
    assert listed.index(f"/sla/clocks/{row.pk}") < listed.index(f"/sla/clocks/{later.pk}")
    assert "will breach in 29 min: nobody acknowledged" in listed
    page = browser.get(f"/sla/clocks/{row.pk}").content.decode()
    assert "The calendar business-hours was open: Tue 3 Mar 2026 10:00 + 30 min" in page
    assert "shipped-1" in page and "Zone data" in page


def test_the_matrix_is_edited_tried_and_saved_as_a_new_version(world: World, browser: Browser) -> None:
    given = {
        f"response-{name}-{field}": value
        for name in ("P1", "P2", "P3")
        for field, value in (("kind", "duration"), ("in_hours", "1h"), ("off_hours", "3h"), ("counting", "elapsed"))
    }
    tried = browser.post(
        "/sla/acme/preview", {**given, "tier": "standard", "severity": "P1", "opened": "2026-03-03T10:00"}
    )
    assert "Tue 3 Mar 2026 10:00 + 1 h" in tried.content.decode() and not SlaPolicy.objects.exists()
    wrong = browser.post("/sla/acme/preview", {**given, "response-P1-counting": "", "opened": "2026-03-03T10:00"})
    assert "no way of counting" in wrong.content.decode()
    assert browser.post("/sla/acme/policy/standard", given).status_code == 302
    assert SlaPolicy.objects.get().version == 1
    shown = browser.get("/sla/acme").content.decode()
    assert "1 h in business hours, 3 h off hours" in shown


def test_business_hours_are_edited_in_lines_and_tried_before(world: World, browser: Browser) -> None:
    given = {"zone": "Europe/Berlin", "windows": "mon-thu 08:00-18:00\nfri 08:00-14:00", "country": "DE",
             "closures": "2026-12-24", "half_days": "2026-12-31 08:00-12:00", "extra_days": ""}  # fmt: skip
    tried = browser.post("/sla/acme/preview", {**given, "severity": "P1", "opened": "2026-12-31T12:30"})
    assert "was closed" in tried.content.decode()
    assert browser.post("/sla/acme/calendar", given).status_code == 302
    page = browser.get("/sla/acme").content.decode()
    assert "mon-thu 08:00-18:00" in page and "version 1" in page
    wrong = browser.post("/sla/acme/calendar", {**given, "windows": "moonday 08:00-18:00"})
    assert wrong.status_code == 400


def test_a_pause_and_its_end_are_buttons(world: World, browser: Browser, fixed: FixedClock) -> None:
    row = world.start("update")
    assert browser.post(f"/sla/clocks/{row.pk}/pause", {"reason": "vendor"}).status_code == 302
    fixed.advance(timedelta(hours=1))
    assert "stands still" in browser.get(f"/sla/clocks/{row.pk}").content.decode()
    assert browser.post(f"/sla/clocks/{row.pk}/resume").status_code == 302
    row.refresh_from_db()
    assert row.deadline is not None and row.promised is not None
    assert row.deadline - row.promised == timedelta(hours=1)


def test_the_support_page_says_what_is_missing(world: World, browser: Browser) -> None:
    address = f"/systems/{world.system.pk}/support"
    assert "It has no address to page." in browser.get(address).content.decode()
    given = {"posture": "escalation", "after": "20m", "counting": "business", "calendar": "business-hours",
             "unless": "contained", "address": "https://pager.example/helpdesk", "contacts": "Desk 12"}  # fmt: skip
    assert browser.post(address, given).status_code == 302
    page = browser.get(address).content.decode()
    assert "has not contained 20m after the detection" in page and "no address" not in page
