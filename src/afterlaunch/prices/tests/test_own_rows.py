"""Own rows and percentages of a client before the bundled table."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal

import pytest

from afterlaunch.prices.book import Book, Discount, Own
from afterlaunch.prices.oneshot import one
from afterlaunch.prices.rows import Amount, Row, Source, Tie, Times, best, ties
from afterlaunch.prices.table import rates

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINE = Source("override", "acme 1")


def row(name: str, usd: str, times: Times | None = None, **when: str) -> Row:
    prices = {"input": Amount(Decimal(usd)), "output": Amount(Decimal(usd) * 4)}
    return Row(name, prices, MINE, times or Times(), when)


def test_the_row_with_most_matching_conditions_wins_and_a_tie_is_an_error() -> None:
    plain, flex = row("plain", "1"), row("flex", "0.5", service_tier="flex")
    night = row("night", "0.2", Times(daily=(time(22), time(6))))
    assert best([plain, flex], {"service_tier": "flex"}, AT) == flex
    assert best([plain, flex], {}, AT) == plain
    assert best([plain, night], {}, AT.replace(hour=23)) == best([plain, night], {}, AT.replace(hour=5)) == night
    assert ties([plain, flex, night]) == [(flex, night)]
    with pytest.raises(Tie):
        best([flex, night], {"service_tier": "flex"}, AT.replace(hour=23))


def test_rows_of_other_times_do_not_meet() -> None:
    until, since = row("old", "1", Times(ends=AT)), row("new", "2", Times(starts=AT))
    assert ties([until, since]) == []
    assert best([until, since], {}, AT) == since and best([until, since], {}, AT.replace(hour=11)) == until


def test_an_own_row_stands_before_the_table_and_says_so() -> None:
    book = Book((Own("openai", "gpt-4o", row("contract", "1")), Own("acme", r"house-\d+b", row("gpu", "0.1"), True)))
    asked = {"provider": "openai", "model": "gpt-4o", "time": AT.isoformat()}
    made = one({**asked, "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0}}, book)
    assert made["total"] == "1" and made["source"]["override"] and made["source"]["row"] == "contract"
    assert rates("acme", "house-70b", AT, book=book) and not rates("acme", "house-70b-x", AT, book=book)


def test_a_percentage_comes_off_every_price_and_the_models_stands_for_the_providers() -> None:
    book = Book(
        discounts=(Discount("d1", "openai", "", Decimal("7.5")), Discount("d2", "openai", "gpt-5", Decimal(50)))
    )
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "service_tier": "default"}
    asked = {"provider": "openai", "time": AT.isoformat(), "usage": usage}
    assert one({**asked, "model": "gpt-4o"}, book)["total"] == "2.3125"
    assert one({**asked, "model": "gpt-5"}, book)["total"] == "0.625"
    found = rates("openai", "gpt-4o", AT, book=book)
    assert found is not None and found.tiers[0].pico["input"] == 2_312_500 and "d1 -7.5%" in found.name
