"""The past priced anew: what it would change, the change, and that it happens once."""

from __future__ import annotations

from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.prices.book import BUNDLED, Book, Discount
from afterlaunch.telemetry import repricing
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.queries import windows
from afterlaunch.telemetry.store import close_store, open_store
from afterlaunch.telemetry.tests.telling import AT, PROTOBUF, body, span

HALF = Book(discounts=(Discount("contract", "openai", "", Decimal(50)),), version="house/1")
DAY = clock.from_ns(AT).astimezone(UTC)
WHOLE = (DAY - timedelta(days=2), DAY + timedelta(days=2))


def told(number: int, hours: int, **more: str | bool) -> Any:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-5"}
    counts = {"gen_ai.usage.input_tokens": 1_000_000, "gen_ai.usage.output_tokens": 0}
    made = span({**attributes, **counts, **more}, number=number, trace=number)
    made.start_time_unix_nano = AT + hours * 3600 * 10**9
    made.end_time_unix_nano = made.start_time_unix_nano + 10**9
    return made


def test_the_past_is_priced_anew_once_and_the_span_keeps_its_first_cost(place: Path | str) -> None:
    store = open_store(place)
    unknown = span({"gen_ai.operation.name": "chat", "gen_ai.provider.name": "acme"}, number=9, trace=9)
    spans = [told(1, 0), told(2, 0), told(3, 5, **{"gen_ai.request.batch": True}), unknown]
    store.commit([normalise(body(*spans), PROTOBUF, None, 0).table])
    before = windows(*WHOLE, ["client"])[0]
    assert (before.cost_nano, before.calls, before.calls_unknown_cost) == (3_750_000_000, 4, 1)

    found = repricing.effect(store.engine, "house", *WHOLE, HALF)
    total = found.by["2026-03", "gpt-5"]
    assert (total.calls, total.changed, total.old_nano, total.new_nano) == (3, 3, 3_750_000_000, 1_875_000_000)
    assert found.whole.new_unknown == 1 and windows(*WHOLE, ["client"])[0].cost_nano == before.cost_nano

    hours = repricing.hours(store.engine, "house", *WHOLE)
    assert [repricing.reprice(store, "1", "house", hour, HALF) for hour in hours] == [2, 1]
    assert [repricing.reprice(store, "1", "house", hour, HALF) for hour in hours] == [0, 0], (
        "the same again changes nothing"
    )
    after = windows(*WHOLE, ["client"])[0]
    assert (after.cost_nano, after.calls, after.calls_unknown_cost) == (1_875_000_000, 4, 1)
    assert after.buckets == before.buckets
    prices = {row["price"] for row in store.query("select price from calls where price is not null")}
    assert all("house/1" in price and "contract -50%" in price for price in prices)
    (kept,) = store.query("select sum(cost_nano)::bigint as cost from spans")
    assert kept["cost"] == before.cost_nano

    assert sum(repricing.reprice(store, "2", "house", hour, BUNDLED) for hour in hours) == 3
    assert windows(*WHOLE, ["client"])[0].cost_nano == before.cost_nano
    assert repricing.hours(store.engine, "other", *WHOLE) == []
    close_store()
