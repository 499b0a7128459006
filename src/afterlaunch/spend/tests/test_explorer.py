"""The spend explorer: any grouping, beside the time before, and why it differs; page, API and file agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.ground import clock
from afterlaunch.spend import explorer_pages
from afterlaunch.spend.drivers import FACTORS
from afterlaunch.spend.explorer import BY, Explorer
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.search import Search

HOUR = 3600 * 10**9
TENANTS = explorer_pages.SHOWN + 30


def call(number: int, ago_ns: int, model: str, tenant: str, tokens: int, user: str = "") -> Any:
    told = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": model}
    told |= {"gen_ai.agent.name": "triage", "tenant.id": tenant} | ({"user.id": user} if user else {})
    counts = {"gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": 10}
    one = span({**told, **counts}, number=number, trace=number)
    one.start_time_unix_nano = clock.now_ns() - ago_ns
    one.end_time_unix_nano = one.start_time_unix_nano + 10**9
    return one


@pytest.fixture
def browser(tmp_path: Path, db: None) -> Iterator[Browser]:
    now = clock.now_ns()
    spans = [call(number, 600 * 10**9, "gpt-4o", f"t-{number:04d}", number * 1000) for number in range(1, TENANTS + 1)]
    spans += [call(5_000 + number, 26 * HOUR, "gpt-4o-mini", "t-0001", 1000, "u") for number in range(40)]
    store = stores.open_store(tmp_path / "t.duckdb")
    store.commit([normalise(body(*spans), PROTOBUF, None, now).table])
    made = Browser()
    made.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    yield made
    stores.close_store()


def test_of_many_tenants_the_page_shows_those_that_cost_the_most(browser: Browser) -> None:
    page = browser.get("/spend", {"group_by": "tenant", "range": "24h"}).content.decode()
    assert f"t-{TENANTS:04d}" in page and ">t-0002<" not in page
    assert "30 more in the files" in page


def test_page_api_and_file_hold_the_same_and_drivers_add_up(browser: Browser) -> None:
    found = browser.get("/api/v1/spend/explorer", {"group_by": "model", "range": "24h"}).json()
    rows = {row["model"]: row for row in found["rows"]}
    assert rows["gpt-4o"]["calls"] == TENANTS and rows["gpt-4o-mini"]["calls"] == 0
    told = found["drivers"]
    parts = sum((Decimal(told[name]) for name in FACTORS), Decimal(0))
    assert parts == Decimal(told["difference_usd"]) == Decimal(told["now_usd"]) - Decimal(told["before_usd"])
    assert Decimal(told["now_usd"]) == Decimal(rows["gpt-4o"]["cost_usd"])
    assert Decimal(told["before_usd"]) == Decimal(rows["gpt-4o-mini"]["cost_before_usd"]) > 0
    answer: Any = browser.get("/api/v1/spend/explorer", {"group_by": "model", "range": "24h", "format": "csv"})
    text = b"".join(answer.streaming_content).decode()
    assert rows["gpt-4o"]["cost_usd"] in text and text.startswith('"model","share"')
    page = browser.get("/spend", {"range": "24h"}).content.decode()
    assert "Why it differs" in page and "which models, routes and agents are called" in page


def test_two_dimensions_people_and_purposes(browser: Browser) -> None:
    ask = {"range": "7d"}
    two = browser.get("/api/v1/spend/explorer", {"group_by": "agent,model", **ask}).json()["rows"]
    assert {(row["agent"], row["model"]) for row in two} == {("triage", "gpt-4o"), ("triage", "gpt-4o-mini")}
    users = browser.get("/api/v1/spend/explorer", {"group_by": "user", **ask}).json()["rows"]
    assert {row["user"]: row["calls"] for row in users} == {"u": 40, None: TENANTS}
    purposes = browser.get("/api/v1/spend/explorer", {"group_by": "purpose", **ask}).json()["rows"]
    assert [(row["purpose"], row["calls"]) for row in purposes] == [("production", TENANTS + 40)]
    narrowed = browser.get("/api/v1/spend/explorer", {"group_by": "model", "q": "tenant:t-0001", **ask}).json()
    assert sum(row["calls"] for row in narrowed["rows"]) == 41
    for name in BY:
        assert browser.get("/spend", {"group_by": name, **ask}).status_code == 200


def test_older_links_and_wrong_ones(browser: Browser) -> None:
    assert browser.get("/spend?by=tenant&range=24h").headers["Location"] == "/spend?range=24h&group_by=tenant"
    for wrong in ("colour", "model,model", "user,model", "a,b,c"):
        assert browser.get("/spend", {"group_by": wrong}).status_code == 400
    assert browser.get("/spend", {"measure": "love"}).status_code == 400


@pytest.mark.django_db
def test_an_empty_installation_says_what_to_do(tmp_path: Path) -> None:
    stores.open_store(tmp_path / "t.duckdb")
    made = Browser()
    made.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = made.get("/spend").content.decode()
    assert "Nothing was spent in this time" in page and "Why it differs" not in page
    stores.close_store()


def test_bars_are_of_days_and_of_weeks_where_there_are_too_many(browser: Browser) -> None:
    zone, end = ZoneInfo("Europe/Berlin"), datetime(2026, 11, 18, 12, tzinfo=UTC)
    for days, step, bars in ((30, 1, 31), (365, 7, 53)):
        ask = Asked("/spend", "", end - timedelta(days=days), end, Search(), None, {})
        begins = [at.astimezone(zone) for at, _ in Explorer(ask, ["model"]).over_time(zone, "cost")]
        assert begins[0] == ask.start and len(begins) == bars
        assert all((at.hour, at.minute) == (0, 0) for at in begins[1:])  # whatever the clocks were set to
        assert step == 1 or {at.weekday() for at in begins[1:]} == {0}
