"""What people see on the overview, the systems and the settings, and what strangers do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.accounts.models import Client, Grant, Token, User
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.settings import reload
from afterlaunch.overview.rules import worst
from afterlaunch.telemetry import store as stores

pytestmark = pytest.mark.django_db
PAGES = ("/", "/systems", "/calls", "/spend", "/settings", "/settings/gateway")


@pytest.fixture(autouse=True)
def telemetry(tmp_path: Path) -> Iterator[None]:
    stores.open_store(tmp_path / "t.duckdb")
    yield
    stores.close_store()


def signed_in(user: User) -> Browser:
    browser = Browser()
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return browser


def person(role: str, slug: str) -> User:
    client, _ = Client.objects.get_or_create(slug=slug, defaults={"name": slug, "created_at": clock.now()})
    user = User.objects.create_user(f"{role}@{slug}.example")
    Grant.objects.create(user=user, role=role, client=client)
    return user


def system(client: str = "north", key: str = "assistant") -> System:
    note_sightings([Sighting(client, key, "prod", frozenset({("model", "gpt-4o", "a")}))], clock.now())
    return System.objects.get(client__slug=client, key=key)


def test_with_no_data_the_overview_says_how_to_point_an_application_here() -> None:
    said = signed_in(first_administrator()).get("/").content.decode()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http" in said and "OPENAI_BASE_URL=http" in said


def test_a_disk_that_fills_up_is_told_to_those_who_run_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    administrator = signed_in(first_administrator())
    assert "The disk of the telemetry store" not in administrator.get("/").content.decode()
    monkeypatch.setenv("AFTERLAUNCH_DISK_BUDGET_GB", "0.0000001")
    reload()
    try:
        said = administrator.get("/").content.decode()
        assert "The disk of the telemetry store" in said and "Senders are turned away" in said
        assert "The disk of the telemetry store" not in signed_in(person("viewer", "south")).get("/").content.decode()
    finally:
        monkeypatch.undo()
        reload()


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_is_shown_nothing_of_a_clients_systems(page: str) -> None:
    one = system(key="secret-assistant")
    browser = signed_in(person("viewer", "south"))
    assert "secret-assistant" not in browser.get(page).content.decode()
    assert browser.get(one.get_absolute_url()).status_code == 404


def test_an_operator_adopts_a_system_and_a_viewer_may_not() -> None:
    one = system()
    form = {"name": "The assistant", "tier": "enterprise", "posture": "governed", "time_zone": "Europe/Berlin",
            "latency_p95_ms": "2000"}  # fmt: skip
    assert signed_in(person("viewer", "north")).post(one.get_absolute_url(), form).status_code == 403
    assert signed_in(person("operator", "north")).post(one.get_absolute_url(), form).status_code == 302
    one.refresh_from_db()
    assert (one.name, one.latency_p95_ms, one.adopted_at is not None) == ("The assistant", 2000, True)


def test_a_system_that_sends_nothing_is_added_and_only_the_house_makes_clients() -> None:
    boss = signed_in(first_administrator())
    assert "Add a system that sends no telemetry yet" in boss.get("/systems").content.decode()
    assert boss.post("/systems/add", {"client": "acme", "key": "shop"}).status_code == 302
    made = System.objects.get()
    assert (made.client.slug, made.key, made.adopted_at is None) == ("acme", "shop", False)
    assert "house" not in boss.get("/oncall").content.decode() and "acme" in boss.get("/oncall").content.decode()
    operator = signed_in(person("operator", "acme"))
    assert operator.post("/systems/add", {"client": "acme", "key": "till", "name": "Tills"}).status_code == 302
    assert operator.post("/systems/add", {"client": "new-one", "key": "till"}).status_code == 404
    assert (
        signed_in(person("responder", "acme")).post("/systems/add", {"client": "acme", "key": "x"}).status_code == 403
    )
    assert boss.post("/systems/add", {"client": "Not A Slug", "key": "x"}).status_code == 400
    assert boss.post("/systems/add", {"client": "fresh", "key": ""}).status_code == 400
    assert sorted(Client.objects.values_list("slug", flat=True)) == ["acme"] and System.objects.count() == 2


def test_a_tokens_secret_is_shown_once() -> None:
    browser = signed_in(first_administrator())
    made = browser.post("/settings/tokens", {"name": "collector", "role": "ingest", "client": ""}).content.decode()
    assert "alt_" in made and Token.objects.get().name == "collector"
    assert made.count("alt_") > browser.get("/settings").content.decode().count("alt_")


def test_secrets_of_the_server_are_never_shown() -> None:
    said = signed_in(first_administrator()).get("/settings/server").content.decode()
    assert "AFTERLAUNCH_SECRET_KEY" in said and "(secret)" in said


@pytest.mark.parametrize("page", ["/", "/systems"])
def test_ten_systems_cost_no_more_queries_than_one(page: str) -> None:
    browser = signed_in(first_administrator())
    counted = []
    for number in (1, 10):
        for one in range(number):
            system("north", f"assistant-{one}")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            browser.get(page)
        counted.append(len(queries))
    assert counted[0] == counted[1] <= 24


def test_scripts_of_others_are_refused() -> None:
    assert "script-src 'self'" in signed_in(first_administrator()).get("/")["Content-Security-Policy"]


def test_health_that_nobody_assessed_is_not_ok() -> None:
    assert worst([]) == worst(["not_assessed"]) == "not_assessed"
    assert (worst(["ok", "warning"]), worst(["warning", "breach"])) == ("warning", "breach")
