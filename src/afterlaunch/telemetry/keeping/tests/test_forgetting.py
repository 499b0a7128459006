"""What is older than it may be goes; content before numbers, sums last."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from afterlaunch.ground import clock
from afterlaunch.telemetry.keeping.forgetting import forget
from afterlaunch.telemetry.keeping.rules import Decision, Rules
from afterlaunch.telemetry.store import Store

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def told(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in store.query(sql)]


def test_content_goes_before_the_numbers_of_its_span(store: Store, send: Any) -> None:
    for days in (200, 40, 10):
        send("north", ago(days), {})
    forget(store, Rules(), NOW)
    found = told(store, "select input_text, in_uncached from spans order by start_ns")
    assert found == [(None, 10), ("hush", 10)]
    assert told(store, "select count(*) from calls") == [(3,)]
    forget(store, Rules(), NOW + timedelta(days=500))
    assert told(store, "select (select count(*) from spans) + (select count(*) from calls)") == [(0,)]


def test_a_client_has_days_of_its_own(store: Store, send: Any) -> None:
    rules = Rules(
        [((None, ""), Decision(days={"logs": 20})), (("north", ""), Decision(days={"content": 2, "logs": 90}))]
    )
    for client in ("north", "south"):
        send(client, ago(30), {}, log={})
        send(client, ago(5), {}, log={})
    forget(store, rules, NOW)
    assert told(store, "select client, count(input_text) from spans group by client order by client") == [
        ("north", 0),
        ("south", 2),
    ]
    assert told(store, "select client, count(*) from records group by client order by client") == [
        ("north", 2),
        ("south", 1),
    ]


def test_minutes_go_once_hours_and_days_hold_them_and_sums_stay(store: Store, send: Any) -> None:
    send("north", ago(300), {}, {})
    forget(store, Rules(), NOW)
    if not store.engine.shared:
        assert told(store, "select count(*) > 0 from sums_minute") == [(True,)]  # not added up yet
    store.upkeep(clock.to_ns(NOW))
    forget(store, Rules(), NOW)
    assert told(store, "select count(*) from sums_minute") == [(0,)]
    assert told(store, "select sum(calls)::bigint, sum(in_uncached)::bigint from sums_day") == [(2, 20)]


def test_forgetting_again_changes_nothing(store: Store, send: Any) -> None:
    send("north", ago(100), {}, log={})
    assert forget(store, Rules(), NOW)
    assert forget(store, Rules(), NOW) == {}


def test_room_is_used_again(store: Store, send: Any) -> None:
    if store.engine.shared:
        pytest.skip("a server gives room back by itself, later")

    def held() -> int:
        store.engine.query("checkpoint")
        return store.engine.bytes_used() - store.engine.bytes_free()

    for _ in range(15):
        send("north", ago(50), *({"input.value": secrets.token_hex(3_000)} for _ in range(200)))
    before = held()
    forget(store, Rules(), NOW)
    assert held() < before / 2
