"""A client's prices from the form to the stored call, and the past priced anew: shown, approved, carried out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.prices import in_force as lookup
from afterlaunch.prices.book import BUNDLED
from afterlaunch.pricing import in_force
from afterlaunch.pricing.actions import book_of, books, put_entry, rows_in_force, version_of
from afterlaunch.spend import repricing
from afterlaunch.spend.models import Repricing
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.queries import windows
from afterlaunch.telemetry.repricing import reprice
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span

pytestmark = pytest.mark.django_db
DISCOUNT = {"name": "contract", "provider": "openai", "percent": "20", "owner": "Finance", "reason": "Contract 4711"}
NANO = 10**9


def person(role: Role, client: str = "acme") -> Actor:
    return Actor("person", "Ada", (Held(role, client),))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[stores.Store]:
    yield stores.open_store(tmp_path / "t.duckdb")
    stores.close_store()
    lookup.tell(lambda client: BUNDLED)


@pytest.fixture
def acme() -> Client:
    return Client.objects.create(slug="acme", name="Acme", created_at=clock.now())


def call(store: stores.Store, number: int, client: str, hours_ago: int = 1) -> Any:
    told = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-5"}
    one = span(
        {**told, "gen_ai.usage.input_tokens": 800_000, "gen_ai.usage.output_tokens": 0}, number=number, trace=number
    )
    one.start_time_unix_nano = clock.now_ns() - hours_ago * 3600 * NANO
    one.end_time_unix_nano = one.start_time_unix_nano + NANO
    store.commit([normalise(body(one), PROTOBUF, client, 0).table])


def cost(client: str) -> int:
    end = clock.now() + timedelta(hours=1)
    return sum(row.cost_nano for row in windows(end - timedelta(days=3), end, [], frozenset({client})))


def test_calls_are_priced_by_the_table_in_force_when_they_come_each_client_by_its_own(
    store: stores.Store, acme: Client
) -> None:
    in_force.watch(books)
    call(store, 1, "acme")
    put_entry(person(Role.OPERATOR), acme, DISCOUNT)
    in_force.changed()
    call(store, 2, "acme")
    call(store, 3, "other")
    assert (cost("acme"), cost("other")) == (1_800_000_000, 1_000_000_000)
    names = {row["price"] for row in store.query("select price from calls")}
    assert names == {"genai-prices 0.2.3 openai/gpt-5", "genai-prices 0.2.3 acme/1 openai/gpt-5 + contract -20%"}


def test_the_past_moves_only_when_a_person_approves_and_goes_on_where_it_stopped(
    store: stores.Store, acme: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, hours_ago in enumerate((30, 20, 10), 1):
        call(store, number, "acme", hours_ago)
    call(store, 9, "other", 10)
    put_entry(person(Role.OPERATOR), acme, DISCOUNT)
    now = clock.now()
    run = repricing.propose(person(Role.OPERATOR), acme, now - timedelta(days=2), now, "the contract began earlier")
    assert (run.calls, run.changed, run.old_nano, run.new_nano) == (3, 3, 3 * NANO, 2_400_000_000)
    assert cost("acme") == 3 * NANO
    with pytest.raises(Conflict):
        repricing.propose(person(Role.OPERATOR), acme, now - timedelta(days=2), now, "again")
    with pytest.raises(NotAllowed):
        repricing.decide(person(Role.OPERATOR), run, True)
    repricing.decide(person(Role.ADMIN), run, True)
    monkeypatch.setattr(repricing, "SECONDS_A_CYCLE", -1.0)
    repricing.work(now)
    assert Repricing.objects.get().state == Repricing.RUNNING and cost("acme") == 3 * NANO
    first = int(clock.to_ns(now - timedelta(hours=30)) // (3600 * NANO))
    reprice(store, str(run.pk), "acme", first, book_of(acme, run.version))
    assert cost("acme") == 2_800_000_000, "killed between the change and its note"
    monkeypatch.setattr(repricing, "SECONDS_A_CYCLE", 60.0)
    repricing.work(now)
    done = Repricing.objects.get()
    assert (done.state, done.finished_at, cost("acme"), cost("other")) == (Repricing.DONE, now, 2_400_000_000, NANO)
    assert (done.old_nano, done.new_nano) == (3 * NANO, 2_400_000_000), "both sums stay"
    with pytest.raises(Conflict):
        repricing.decide(person(Role.ADMIN), done, False)


def test_a_proposal_is_of_a_past_that_can_be_priced(store: stores.Store, acme: Client) -> None:
    now = clock.now()
    for since, until, reason in (
        (now - timedelta(days=200), now, "x"),
        (now, now - timedelta(days=1), "x"),
        (now - timedelta(days=1), now, " "),
    ):
        with pytest.raises(Invalid):
            repricing.propose(person(Role.OPERATOR), acme, since, until, reason)
    with pytest.raises(NotAllowed):
        repricing.propose(person(Role.RESPONDER), acme, now - timedelta(days=1), now, "x")
    made = repricing.propose(person(Role.OPERATOR), acme, now - timedelta(days=1), now, "x")
    with pytest.raises(NotFound):
        repricing.by_id(person(Role.ADMIN, "other"), made.pk)
    put_entry(person(Role.OPERATOR), acme, DISCOUNT)
    with pytest.raises(Conflict):
        repricing.decide(person(Role.ADMIN), made, True)


def test_a_table_is_previewed_with_its_effect_on_thirty_days_and_taken_from_the_page(
    store: stores.Store, acme: Client
) -> None:
    call(store, 1, "acme")
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    given = {
        "table": "vendor",
        "text": "name,provider,model,prices.input,prices.output\ng,openai,gpt-5,2,8\n",
        "reason": "x",
    }
    page = browser.post("/spend/prices/acme/import", given).content.decode()
    assert "$1.60" in page and "$1.00" in page and version_of(acme) == 0
    assert browser.post("/spend/prices/acme/import", {**given, "confirm": "1"}).status_code == 302
    assert [row.source for row in rows_in_force(acme)] == ["vendor"]
    form = {"name": "own", "provider": "acme", "model": "m", "prices": "input 1\noutput 2", "owner": "A", "reason": "x"}
    assert browser.post("/spend/prices/acme/save", form).status_code == 302
    wrong = browser.post("/spend/prices/acme/save", {**form, "prices": "input x"}).content.decode()
    assert "is no number" in wrong and 'value="own"' in wrong, "what was given stays in the form"


def test_the_page_tells_where_a_second_table_disagrees_with_the_clients_prices(
    store: stores.Store, acme: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(store, 1, "acme")
    put_entry(person(Role.OPERATOR), acme, DISCOUNT)
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    told = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1.25e-06}
    file = BytesIO(orjson.dumps({"gpt-4o-mini": told, "gpt-5": told}))
    file.name = "prices.json"
    page = browser.post("/spend/prices/acme/compare", {"file": file}).content.decode()
    assert "equal prices in both: 0; that differ: 2;" in page
    assert page.index("openai/gpt-5") < page.index("openai/gpt-4o-mini")  # what is used comes first
    monkeypatch.setattr("afterlaunch.spend.prices_pages.SHOWN", 1)
    file.seek(0)
    page = browser.post("/spend/prices/acme/compare", {"file": file}).content.decode()
    assert "openai/gpt-4o-mini" not in page and "1 more:" in page
    refused = browser.post("/spend/prices/acme/compare", {"file": BytesIO(b"{}")}).content.decode()
    assert "No entry names a litellm_provider" in refused
    assert "There is no file" in browser.post("/spend/prices/acme/compare").content.decode()
