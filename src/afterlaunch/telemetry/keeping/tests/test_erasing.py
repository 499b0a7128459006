"""Erasing a user, a session or a tenant: nothing that names them is left, neighbours stay, and it can be proved."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed
from afterlaunch.telemetry.keeping import erasing, erasures
from afterlaunch.telemetry.lander import as_bytes
from afterlaunch.telemetry.store import Store

pytestmark = pytest.mark.django_db
ENGINE = automation("engine")
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def north() -> Client:
    return Client.objects.create(slug="north", name="North", created_at=clock.now())


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in store.query(sql)]


def test_whole_traces_of_a_user_go_and_neighbours_stay(store: Store, send: Any, north: Client) -> None:
    send("north", NOW, {"user.id": "erika"}, {"agent": "child without a user"}, log={"user.id": "erika"})
    send("north", NOW, {"user.id": "erika"}, {"user.id": "max"})
    send("north", NOW, {"user.id": "max"}, log={"user.id": "max"})
    send("south", NOW, {"user.id": "erika"}, log={"user.id": "erika"})
    assert erasures.preview(ENGINE, north, "user", "erika") == {
        "spans": 2, "calls": 2, "records": 1, "points": 1, "dead_letter": 0,
    }  # fmt: skip
    asked = erasures.ask(ENGINE, north, "user", "erika", "erika")
    erasures.work(NOW)
    assert rows(store, 'select client, "user", count(*) from spans group by all order by all') == [
        ("north", "max", 2),
        ("south", "erika", 1),
    ]
    assert rows(store, "select client, count(*) from records group by all order by all") == [("north", 1), ("south", 1)]
    proof = erasures.check(ENGINE, asked.pk, "erika")
    assert proof["nothing_left"] is True and proof["subject_matches"] is True
    assert erasures.check(ENGINE, asked.pk, "max")["nothing_left"] is None


def test_the_record_proves_it_without_a_name(store: Store, send: Any, north: Client) -> None:
    send("north", NOW, {"session.id": "s-17"})
    erasures.ask(ENGINE, north, "session", "s-17", "s-17")
    erasures.work(NOW)
    asked, done = (bytes(one.body) for one in Entry.objects.filter(deed__startswith="erasure.").order_by("index"))
    assert b"s-17" not in asked + done
    details = orjson.loads(done)["details"]
    assert details["rows"] == {"spans": 1, "calls": 1, "records": 0, "points": 0, "dead_letter": 0, "traces": 1}
    assert len(details["traces_sha256"]) == 64
    row = erasures.erasures_seen_by(ENGINE)[0]
    assert row.value == "" and row.done_at == NOW


def test_the_sums_of_a_tenant_stay_under_another_name(store: Store, send: Any, north: Client) -> None:
    send("north", NOW, {"tenant.id": "acme"})
    send("north", NOW, {"tenant.id": "other"})
    send("south", NOW, {"tenant.id": "acme"})
    erasures.ask(ENGINE, north, "tenant", "acme", "acme")
    erasures.work(NOW)
    counted = (
        "select client, tenant, sum(calls)::bigint from sums_minute join series on series = id"
        " group by all order by all"
    )
    assert rows(store, counted) == [("north", "erased", 1), ("north", "other", 1), ("south", "acme", 1)]
    send("north", NOW, {"tenant.id": "acme"})  # who sends on counts anew
    assert rows(store, counted)[0] == ("north", "acme", 1)
    erasures.ask(ENGINE, north, "tenant", "acme", "acme")
    erasures.work(NOW)
    assert rows(store, counted)[0] == ("north", "erased", 2)


def test_rows_of_dead_letters_go_too(store: Store, send: Any, north: Client) -> None:
    send("north", NOW, {"user.id": "erika"}, {"user.id": "max"})
    store.bury(1, "north", "poison", as_bytes(store.engine.arrow("select * exclude (seq) from spans")))
    erasures.ask(ENGINE, north, "user", "erika", "erika")
    erasures.work(NOW)
    subject = erasing.Subject("north", "user", "max")
    assert erasing.left(store, subject)["dead_letter"] == 1


def test_what_was_begun_goes_on(store: Store, send: Any, north: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "AT_ONCE", 2)
    for _ in range(5):
        send("north", NOW, {"user.id": "erika"})
    asked = erasures.ask(ENGINE, north, "user", "erika", "erika")
    for _ in range(4):
        erasures.work(NOW, seconds=0)
    asked.refresh_from_db()
    assert asked.done_at == NOW and asked.counts["traces"] == 5


def test_only_an_administrator_erases_and_only_what_is_confirmed(store: Store, north: Client) -> None:
    for held in (Held(Role.OPERATOR, "north"), Held(Role.ADMIN, "south")):
        with pytest.raises(NotAllowed):
            erasures.ask(Actor("person", "p", (held,)), north, "user", "x", "x")
    with pytest.raises(Invalid):
        erasures.ask(ENGINE, north, "user", "x", "y")
    with pytest.raises(Invalid):
        erasures.ask(ENGINE, north, "model", "x", "x")
    erasures.ask(ENGINE, north, "user", "x", "x")
    with pytest.raises(Conflict):
        erasures.ask(ENGINE, north, "user", "x", "x")
