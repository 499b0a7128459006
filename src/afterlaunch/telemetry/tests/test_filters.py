"""Filters of spend and latency: exact, for every group, and never part of the statement."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.telemetry import store
from afterlaunch.telemetry.columns import DIMENSIONS
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.test_queries import END, INJECTIONS, START, body

pytestmark = pytest.mark.django_db
ADDRESSES = ("/api/v1/spend", "/api/v1/latency")


@pytest.fixture(scope="module")
def opened(module_place: Path | str) -> Iterator[store.Store]:
    made = store.open_store(module_place)
    made.commit([normalise(body(1), "application/x-protobuf", None, 0).table])
    yield made
    store.close_store()


def asker(client: str | None) -> Any:
    owner = Client.objects.create(slug=client, name=client, created_at=clock.now()) if client else None
    _, secret = create_token(automation("test"), "reader", "viewer", owner)

    def ask(address: str, **query: str) -> Any:
        times = {"from": START.isoformat(), "to": END.isoformat()}
        return Browser().get(address, {**times, **query}, headers={"authorization": f"Bearer {secret}"})

    return ask


def total(answer: Any) -> int:
    assert answer.status_code == 200, answer.content
    return sum(row.get("calls", row.get("count")) for row in answer.json()["rows"])


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_group_can_be_asked_for_by_its_value(opened: store.Store, address: str) -> None:
    ask = asker(None)
    everything = total(ask(address))
    for name in DIMENSIONS:
        rows = ask(address, group_by=name).json()["rows"]
        told = {row[name]: row.get("calls", row.get("count")) for row in rows if row[name]}
        for value, calls in told.items():
            assert total(ask(address, **{name: value})) == calls, (name, value)
    assert 0 < total(ask(address, tenant="t1", client="acme")) < everything


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_looks_like_a_statement_is_a_value_that_nothing_has(opened: store.Store, address: str) -> None:
    ask = asker(None)
    before = total(ask(address))
    for name, text in list(product(DIMENSIONS, INJECTIONS))[:: 5 if opened.engine.shared else 1]:
        assert total(ask(address, **{name: text})) == 0, (name, text)
        assert ask(address, group_by=f"model,{text}").status_code == 400
        assert ask(address, **{f"{name} {text}": "x"}).status_code == 200, "a name that is none of ours is nothing"
    assert total(ask(address)) == before


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_filter_never_shows_more_than_the_actor_sees(opened: store.Store, address: str) -> None:
    ask = asker("globex")
    assert total(ask(address, client="acme")) == 0 < total(ask(address, client="globex"))
