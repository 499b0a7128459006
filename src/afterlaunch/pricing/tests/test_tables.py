"""A client's own prices: who may set them, what is refused, and what a version keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.models import Entry as Evidence
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import AfterlaunchError, Invalid, NotAllowed, NotFound
from afterlaunch.prices.oneshot import one
from afterlaunch.pricing import in_force
from afterlaunch.pricing.actions import (
    book_of,
    books,
    plan,
    put_entry,
    read_table,
    rows_in_force,
    take,
    version_of,
    withdraw,
)
from afterlaunch.pricing.rules import read_entry

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 1, tzinfo=UTC)
DISCOUNT = {"name": "contract", "provider": "openai", "percent": "10", "owner": "Finance", "reason": "Contract 4711"}
ROW = {"name": "gpu", "provider": "acme", "model": "house-70b", "owner": "Platform", "reason": "Own GPUs"}
ROW |= {"prices": {"input": "0.1", "output": {"base": "0.4", "above": {"200000": "0.8"}}}}  # type: ignore[dict-item]


def someone(role: Role, client: str) -> Actor:
    return Actor("person", "Ada", (Held(role, client),))


@pytest.fixture
def acme() -> Client:
    return Client.objects.create(slug="acme", name="Acme", created_at=AT)


@pytest.fixture
def other() -> Client:
    return Client.objects.create(slug="other", name="Other", created_at=AT)


def cost(client: Client, provider: str, model: str, version: int | None = None) -> Any:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
    asked = {"provider": provider, "model": model, "time": "2026-11-01T00:00:00Z", "usage": usage}
    return one(asked, book_of(client, version))["total"]


def test_a_discount_and_a_row_of_ones_own_price_one_clients_calls_only(acme: Client, other: Client) -> None:
    operator = someone(Role.OPERATOR, "acme")
    assert put_entry(operator, acme, DISCOUNT) == 1 and put_entry(operator, acme, ROW) == 2
    assert (cost(acme, "openai", "gpt-4o"), cost(other, "openai", "gpt-4o")) == ("2.25", "2.5")
    assert (cost(acme, "acme", "house-70b"), cost(other, "acme", "house-70b")) == ("0.1", None)
    assert set(books()) == {"acme"} and books()["acme"].version == "acme/2"


def test_what_is_superseded_or_withdrawn_stays_on_record_and_an_old_version_prices_as_it_did(acme: Client) -> None:
    operator = someone(Role.OPERATOR, "acme")
    put_entry(operator, acme, DISCOUNT)
    put_entry(operator, acme, {**DISCOUNT, "percent": "50"})
    withdraw(operator, acme, "contract", "It ran out.")
    told = [cost(acme, "openai", "gpt-4o", version) for version in (0, 1, 2, 3)]
    assert told == ["2.5", "2.25", "1.25", "2.5"] and rows_in_force(acme) == []
    assert acme.price_entries.count() == 3
    assert Evidence.objects.filter(client="acme", deed__startswith="prices.").count() == 3
    with pytest.raises(NotFound):
        withdraw(operator, acme, "contract", "again")


def test_the_same_again_makes_no_version(acme: Client) -> None:
    operator = someone(Role.OPERATOR, "acme")
    assert put_entry(operator, acme, ROW) == put_entry(operator, acme, ROW) == version_of(acme) == 1


@pytest.mark.parametrize("role", [Role.VIEWER, Role.RESPONDER])
def test_only_operators_of_the_client_set_prices(acme: Client, role: Role) -> None:
    for stranger in (someone(role, "acme"), someone(Role.ADMIN, "other")):
        with pytest.raises(NotAllowed):
            put_entry(stranger, acme, ROW)
        with pytest.raises(NotAllowed):
            withdraw(stranger, acme, "gpu", "x")


def test_an_imported_table_is_shown_as_a_difference_and_replaces_its_last_state(acme: Client) -> None:
    operator = someone(Role.OPERATOR, "acme")
    put_entry(operator, acme, ROW)
    text = "name,provider,model,prices.input,prices.output\na,acme,house-7b,0.01,0.02\nb,acme,house-13b,0.02,0.04\n"
    first = plan(operator, acme, read_table(text, "vendor", "Ada", "list of November"), "vendor")
    assert [(one.name, one.what) for one in first.differences] == [("a", "new"), ("b", "new")]
    assert version_of(acme) == 1, "nothing takes effect before it is confirmed"
    take(operator, first)
    text = '[{"name": "a", "provider": "acme", "model": "house-7b", "prices": {"input": "0.02", "output": "0.02"}}]'
    second = plan(operator, acme, read_table(text, "vendor", "Ada", "list of December"), "vendor")
    assert [(one.name, one.what) for one in second.differences] == [("a", "changed"), ("b", "gone")]
    take(operator, second)
    assert {row.name: row.source for row in rows_in_force(acme)} == {"a": "vendor", "gpu": "override"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""},
        {"prices": {}},
        {"percent": "5"},
        {"prices": {"input": "-1"}},
        {"prices": {"tokens": "1"}},
        {"prices": {"input": "NaN"}},
        {"currency": "EUR"},
        {"from": "2026-01-01T00:07:00Z"},
        {"from": "2026-02-01", "until": "2026-01-01"},
        {"daily": "24:00-01:00"},
        {"conditions": {"mood": "good"}},
        {"model": "(", "pattern": True},
        {"more": 1},
    ],
)
def test_a_wrong_entry_is_refused_with_a_reason(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        read_entry({**ROW, **wrong})


def test_two_rows_that_price_the_same_call_are_refused(acme: Client) -> None:
    operator = someone(Role.OPERATOR, "acme")
    put_entry(operator, acme, {**ROW, "until": "2026-12-01"})
    put_entry(operator, acme, {**ROW, "name": "gpu-2", "from": "2026-12-01"})
    with pytest.raises(Invalid):
        put_entry(operator, acme, {**ROW, "name": "gpu-3", "from": "2026-11-30"})
    put_entry(operator, acme, {**ROW, "name": "gpu-3", "from": "2026-11-30", "conditions": {"processing": "batch"}})
    put_entry(operator, acme, DISCOUNT)
    with pytest.raises(Invalid):
        put_entry(operator, acme, {**DISCOUNT, "name": "contract-2"})


def test_an_entry_comes_back_as_it_was_written(acme: Client) -> None:
    told = {**ROW, "from": "2026-01-01T00:00:00Z", "daily": "22:00-06:00", "conditions": {"processing": "batch"}}
    put_entry(someone(Role.OPERATOR, "acme"), acme, told)
    assert rows_in_force(acme)[0].entry.document() == told
    assert rows_in_force(acme)[0].entry.percent is None and isinstance(read_entry(DISCOUNT).percent, Decimal)


def test_ingest_holds_the_last_books_when_they_cannot_be_read() -> None:
    told: list[Any] = [{}, AfterlaunchError("gone")]

    def read() -> Any:
        found = told.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    watched = in_force.Watched(read)
    assert watched.of("acme").version == ""
    in_force.changed()
    assert watched.of("acme").version == "" and not told
