"""What was reserved and settled, added up by day for the server: once, whatever comes late or twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from afterlaunch.gateway.spending.daybook import Daybook
from afterlaunch.gateway.spending.records import Settled, Wanted
from afterlaunch.gateway.spending.store import Store
from afterlaunch.gateway.tests.house import Canned, house, until
from afterlaunch.gateway.tests.test_budgets import ANSWER, BODY, CARD, COST, budgeted, money
from afterlaunch.gateway.tests.test_forwarding import call

AT = 1_790_000_000  # 2026-09-21
NOW = 1_000.0


def facts(nano: int | None = 500) -> dict[str, Any]:
    return {"client": "acme", "provider": "openai", "model": "gpt-5", "reserved": (AT, 100, nano)}


def reserve(store: Store, call: str, nano: int | None = 500) -> None:
    store.reserve(call, 1, [Wanted("b", "", 0, 500, None)], NOW + 60, orjson.dumps(facts(nano)), NOW)


def settle(store: Store, call: str, state: str = "exact", nano: int | None = 400, tokens: int = 80) -> None:
    told = facts() | {"tokens": {"input": tokens, "output": 0}, "nano": nano}
    store.settle(call, 1, Settled({"b": nano or 0}, state, orjson.dumps(told)), NOW)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "budgets.sqlite3")


@pytest.fixture
def book(tmp_path: Path) -> Daybook:
    return Daybook(tmp_path / "budgets.sqlite3", tmp_path / "days.sqlite3")


def only(book: Daybook) -> dict[str, Any]:
    (row,) = book.changed(0)
    return {name: value for name, value in row.items() if value and name != "at"}


def test_each_attempt_is_added_once(store: Store, book: Daybook) -> None:
    assert book.read(NOW) == 0, "no ledger yet"
    for call_id in ("a", "b"):
        reserve(store, call_id)
        settle(store, call_id)
    assert (book.read(NOW), book.read(NOW)) == (2, 0)
    assert only(book) == {
        "day": "2026-09-21", "client": "acme", "provider": "openai", "model": "gpt-5", "attempts": 2,
        "reserved_tokens": 200, "reserved_nano": 1_000, "settled_tokens": 160, "settled_nano": 800,
    }  # fmt: skip


def test_what_expired_stands_at_its_reservation_until_news_comes(store: Store, book: Daybook) -> None:
    reserve(store, "a")
    assert store.expire(NOW + 61) == 1
    book.read(NOW)
    told = only(book)
    assert (told["expired"], told["expired_tokens"], told["expired_nano"]) == (1, 100, 500)
    assert "settled_nano" not in told
    settle(store, "a")
    book.read(NOW)
    told = only(book)
    assert "expired" not in told and (told["attempts"], told["settled_tokens"], told["settled_nano"]) == (1, 80, 400)


def test_money_that_one_side_does_not_know_is_compared_on_neither(store: Store, book: Daybook) -> None:
    reserve(store, "a", None)
    settle(store, "a", nano=None)
    reserve(store, "b")
    settle(store, "b", "estimated", nano=None)
    reserve(store, "c")
    settle(store, "c", "unknown")
    book.read(NOW)
    told = only(book)
    assert (told["unpriced"], told["reserved_nano"], told["unknown_nano"]) == (2, 500, 500)
    assert (told["settled_tokens"], told["estimated"], told["unknown"]) == (160, 1, 1) and "settled_nano" not in told


def test_the_server_hears_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afterlaunch.gateway.spending.days.PERIOD", 0.05)
    monkeypatch.setenv("PROVIDER_SECRET", "sk-of-the-house")
    with house(tmp_path) as of:
        of.server.cards["gpt-4o"] = CARD
        of.provider.answer = lambda _: Canned([ANSWER])
        budgeted(of, money(10**9))
        assert call(of, BODY)[0] == 200
        until(lambda: any(row["settled_nano"] == COST for row in of.server.days), 6)
        assert (of.server.days[-1]["settled_tokens"], of.server.days[-1]["client"]) == (150, "acme")
