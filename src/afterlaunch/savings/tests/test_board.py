"""From telemetry to a recommendation, a decision, and what trial and ledger show; page and API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.accounts.models import Client
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.savings import actions, gathering
from afterlaunch.savings.facts import Terms
from afterlaunch.savings.models import Recommendation
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.signals import tables
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span

ME = automation("test")
MINUTE = 60 * 10**9


def call(number: int, ago_ns: int, **more: Any) -> Any:
    told: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-4o",
    }
    told |= {"gen_ai.usage.input_tokens": 3_000, "gen_ai.usage.output_tokens": 100, "afterlaunch.route": "support"}
    told |= more
    one = span(told, number=number, trace=number)
    one.start_time_unix_nano = clock.now_ns() - ago_ns
    one.end_time_unix_nano = one.start_time_unix_nano + 10**9
    return one


@pytest.fixture
def store(tmp_path: Path, db: None) -> Iterator[Any]:
    made = stores.open_store(tmp_path / "t.duckdb")
    tables.prepare(made)
    yield made
    stores.close_store()


def tell(store: Any, *spans: Any) -> None:
    store.commit([normalise(body(*spans), PROTOBUF, "acme", clock.now_ns()).table])


@pytest.fixture
def client(db: None) -> Client:
    return Client.objects.create(slug="acme", name="Acme", created_at=clock.now())


def repeated(count: int = 400, **more: Any) -> list[Any]:
    text = '[{"role":"user","parts":[{"type":"text","content":"What are your hours?"}]}]'
    return [call(n, n * MINUTE, **{"gen_ai.input.messages": text, **more}) for n in range(1, count + 1)]


def test_found_decided_and_told_by_page_and_api(store: Any, client: Client) -> None:
    tell(store, *repeated())
    now = clock.now()
    assert actions.find(client, now) > 0
    by_kind = {row.kind: row for row in Recommendation.objects.all()}
    assert by_kind["response_caching"].state == "not_assessed" and by_kind["batch"].state == "not_assessed"
    assert by_kind["model_swap"].state == "not_assessed"
    bar = Terms("correct", 0.9, patience_hours=48, freshness_minutes=60, candidates=(("openai", "gpt-4o-mini"),))
    actions.say_terms(ME, client, "desk", "support", bar)
    actions.find(client, now)
    row = Recommendation.objects.get(kind="response_caching")
    assert row.state == "projected" and row.middle_nano and row.low_nano is not None
    assert Recommendation.objects.get(kind="batch").state == "projected"
    assert "0 of 30 scores" in Recommendation.objects.get(target="gpt-4o-mini").missing
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/spend/savings").content.decode()
    assert "Answer repeated questions" in page and "Not assessed" in page
    assert browser.post(f"{row.path}/decline", {"reason": ""}, follow=True).content.decode().count("Say why") == 1
    assert browser.post(f"{row.path}/accept").status_code == 302
    told = browser.get(f"/api/v1/savings/{row.pk}").json()
    assert told["state"] == "accepted" and Decimal(told["saving_usd"]) * 10**9 == row.middle_nano
    assert browser.get(row.path).status_code == 200
    assert Entry.objects.filter(deed="saving.accepted").count() == 1
    actions.find(client, now)  # what was decided stays so
    assert Recommendation.objects.get(pk=row.pk).state == "accepted"


def test_a_trial_verifies_and_the_ledger_realises(store: Any, client: Client) -> None:
    tell(store, *repeated())
    actions.say_terms(ME, client, "desk", "support", Terms("correct", 0.9, candidates=(("openai", "gpt-4o-mini"),)))
    now = clock.now()
    actions.find(client, now)
    row = Recommendation.objects.get(target="gpt-4o-mini")
    actions.decide(ME, row, accept=True)
    Recommendation.objects.filter(pk=row.pk).update(decided_at=now - timedelta(hours=3))
    small = {"gen_ai.response.model": "gpt-4o-mini-2024-07-18", "afterlaunch.arm": "shadow"}  # as providers answer
    tell(store, *[call(1_000 + n, n * MINUTE, **small) for n in range(1, 60)])
    actions.work(now, [])
    row = Recommendation.objects.get(pk=row.pk)
    assert row.state == "in_shadow" and "share" not in row.measured
    tell(store, *[call(2_000 + n, n * MINUTE, **{"afterlaunch.arm": "baseline"}) for n in range(1, 150)])
    tell(store, *[call(3_000 + n, n * MINUTE, **small) for n in range(1, 100)])
    actions.work(now, [])
    row = Recommendation.objects.get(pk=row.pk)
    assert row.state == "verified" and row.measured["by"] == "shadow"
    assert row.measured["share"] == pytest.approx(0.94, abs=0.01)  # 0.15 and 0.60 against 2.50 and 10.00
    assert row.measured["share_nano"] == pytest.approx(0.94 * row.figures["month_nano"], rel=0.02)
    actions.go_live(ME, row, now - timedelta(days=4))
    tell(store, *[call(4_000 + n, 5 * 1440 * MINUTE + n) for n in range(1, 150)])
    actions.work(now, [])
    assert Recommendation.objects.get(pk=row.pk).measured["by"] == "ledger"


def test_what_is_found_no_longer_is_gone_and_comes_back(store: Any, client: Client) -> None:
    tell(store, *repeated())
    actions.find(client, clock.now())
    later = clock.now() + timedelta(days=40)
    actions.find(client, later)
    assert set(Recommendation.objects.values_list("state", flat=True)) == {"gone"}
    actions.find(client, clock.now())
    assert "not_assessed" in Recommendation.objects.values_list("state", flat=True)


def test_nothing_yet_says_what_is_looked_at(store: Any, client: Client) -> None:
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    assert "Nothing to recommend yet" in browser.get("/spend/savings").content.decode()
    assert "No route yet" in browser.get("/spend/savings/terms/acme").content.decode()
    browser.post("/spend/savings/look", {"client": "acme"})
    wrong = {"metric": "correct", "minimum": "", "candidates": "mini"}
    said = browser.post("/spend/savings/terms/acme/save", wrong, follow=True).content.decode()
    assert "no provider/model" in said and not client.route_terms.exists()


def test_what_a_shadow_answered_for_nobody_is_no_use_and_no_proof_of_something_else(store: Any, client: Client) -> None:
    long = {"gen_ai.usage.output_tokens": 4_000}
    tell(store, *repeated(600), *[call(700 + n, n * MINUTE, **long) for n in range(1, 7)])
    tell(store, *[call(2_000 + n, n * MINUTE, **{"afterlaunch.arm": "shadow"}) for n in range(1, 400)])
    now = clock.now()
    assert sum(one.calls for one in gathering.uses("acme", now, {})) == 606
    actions.find(client, now)
    row = Recommendation.objects.get(kind="output_limit")
    actions.decide(ME, row, accept=True)
    Recommendation.objects.filter(pk=row.pk).update(decided_at=now - timedelta(hours=8))
    other = {"gen_ai.response.model": "gpt-4o-mini", "afterlaunch.arm": "candidate"}
    tell(store, *[call(4_000 + n, n * MINUTE, **{"afterlaunch.arm": "baseline"}) for n in range(1, 150)])
    tell(store, *[call(5_000 + n, n * MINUTE, **other) for n in range(1, 150)])
    actions.work(now, [])
    # the shadow of the same model cost as much as the baseline; the cheaper candidate is another model
    assert Recommendation.objects.get(pk=row.pk).state == "in_shadow"
