"""The page of spend stays a page, whoever spends."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.ground import clock
from afterlaunch.telemetry import pages
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span

COUNT = pages.SHOWN_GROUPS + 30


@pytest.mark.django_db
def test_of_many_tenants_the_page_shows_those_that_cost_the_most(tmp_path: Path) -> None:
    now = clock.now_ns()
    spans = []
    for number in range(1, COUNT + 1):
        told = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-4o"}
        counts = {"gen_ai.usage.input_tokens": number * 1000, "gen_ai.usage.output_tokens": 1}
        one = span({**told, **counts, "tenant.id": f"tenant-{number:04d}"}, number=number, trace=number)
        one.start_time_unix_nano = now - 60 * 10**9
        one.end_time_unix_nano = now - 59 * 10**9
        spans.append(one)
    store = stores.open_store(tmp_path / "t.duckdb")
    store.commit([normalise(body(*spans), PROTOBUF, None, now).table])
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/spend", {"by": "tenant"}).content.decode()
    assert page.count("?tenant=tenant-") == pages.SHOWN_GROUPS and "30 more" in page
    assert f"tenant-{COUNT:04d}" in page and "tenant-0001" not in page
    stores.close_store()
