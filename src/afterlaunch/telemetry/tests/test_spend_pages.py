"""Spend by a dimension of many values is answered page by page, and no row is told twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.ground import clock
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span

TENANTS = 25


def call(number: int) -> Any:
    told: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-4o",
    }
    told |= {"tenant.id": f"t-{number:02d}", "gen_ai.usage.input_tokens": 1_000 * (number // 5 + 1)}
    one = span({**told, "gen_ai.usage.output_tokens": 0}, number=number + 1, trace=number + 1)
    one.start_time_unix_nano = clock.now_ns() - 600 * 10**9
    one.end_time_unix_nano = one.start_time_unix_nano + 10**9
    return one


@pytest.mark.django_db
def test_spend_by_many_tenants_comes_in_pages_the_dearest_first(tmp_path: Path) -> None:
    store = stores.open_store(tmp_path / "t.duckdb")
    store.commit([normalise(body(*(call(number) for number in range(TENANTS))), PROTOBUF, "acme", 0).table])
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    start = (clock.now() - timedelta(hours=1)).isoformat()
    asked = {"group_by": "tenant", "from": start, "to": clock.now().isoformat(), "limit": "10"}
    rows, cursor = [], "0"
    for _ in range(3):
        page = browser.get("/api/v1/spend", {**asked, "cursor": cursor}).json()
        assert page["row_count"] == TENANTS
        rows += page["rows"]
        cursor = str(page["cursor"])
    assert cursor == "None" and len({row["tenant"] for row in rows}) == len(rows) == TENANTS
    costs = [float(row["cost_usd"]) for row in rows]
    assert costs == sorted(costs, reverse=True)
    whole = browser.get("/api/v1/spend", {**asked, "limit": "1000"}).json()
    assert whole["rows"] == rows and whole["cursor"] is None
    stores.close_store()
