"""What routes carry: shares of those who waited, shadows beside, and a share that is not what was set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.overview.live_routes import live
from afterlaunch.routes.actions import ArmValues, put_route, put_upstream
from afterlaunch.routes.models import Route
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span

LOCAL = automation("test")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    made = stores.open_store(tmp_path / "t.duckdb")
    yield made
    stores.close_store()


@pytest.fixture
def route(db: None) -> Route:
    client = Client.objects.create(slug="acme", name="Acme", created_at=clock.now())
    system = System.objects.create(client=client, key="desk", name="Desk", first_seen_at=clock.now())
    put_upstream(LOCAL, "openai", "https://api.openai.com", "openai", "env:KEY")
    return put_route(LOCAL, "answers", system, ArmValues("openai"))


def tell(store: Any, **arms: int) -> None:
    spans: list[Any] = []
    for arm, count in arms.items():
        for _ in range(count):
            number = len(spans) + 1
            told = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "afterlaunch.route": "answers"}
            one = span({**told, "gen_ai.response.model": "gpt-4o", "afterlaunch.arm": arm}, number=number, trace=number)
            one.start_time_unix_nano = clock.now_ns() - 60 * 10**9
            one.end_time_unix_nano = one.start_time_unix_nano + 10**9
            spans.append(one)
    store.commit([normalise(body(*spans), PROTOBUF, "acme", clock.now_ns()).table])


def test_shares_are_of_those_who_waited(store: Any, route: Route) -> None:
    tell(store, baseline=90, candidate=10, shadow=50)
    Route.objects.filter(pk=route.pk).update(share=1_000)
    [one] = live(Route.objects.select_related("system__client"), None, clock.now())
    assert [(arm.arm, arm.part) for arm in one.arms] == [("baseline", 0.9), ("candidate", 0.1), ("shadow", None)]
    assert one.calls == 100 and one.sent == 0.1 and not one.apart


def test_the_share_that_is_set_stands_beside_the_candidate(store: Any, route: Route) -> None:
    tell(store, baseline=90, candidate=10)
    Route.objects.filter(pk=route.pk).update(share=5_000)
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/settings/gateway").content.decode()
    baseline, candidate = page.split("arm%3Abaseline")[1].split("arm%3Acandidate")
    assert '<span class="trouble">50.0% set</span>' in candidate and "set" not in baseline.split("</tr>")[0]


def test_a_candidate_that_still_answers_after_its_share_is_gone(store: Any, route: Route) -> None:
    tell(store, baseline=50, candidate=50)
    [one] = live(Route.objects.select_related("system__client"), None, clock.now())
    assert one.apart and one.sent == 0.5
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/settings/gateway").content.decode()
    assert "a candidate still answers" in page and "arm%3Acandidate" in page
    assert live(Route.objects.select_related("system__client"), frozenset(), clock.now())[0].arms == []


def test_without_telemetry_the_page_says_that_it_does_not_know(route: Route) -> None:
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/settings/gateway").content.decode()
    assert "not known" in page and "answers" in page
