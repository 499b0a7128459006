"""Real answers of real providers: what they cost by the published table, and what their buckets sum to."""

from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from tests.real_input import real

from afterlaunch.prices.book import BUNDLED
from afterlaunch.prices.oneshot import one
from afterlaunch.prices.table import rates
from afterlaunch.prices.told import count

GOLD_TIME = "2026-03-01T12:00:00Z"
"""Before the aliases of Mistral's moved on; the file itself tells no times."""
APART = {  # (row, who is said to have answered): why
    (214, "google"): "the table since tells Google's long-context tier",
    (215, "google"): "the table since tells Google's long-context tier",
    (352, "azure"): "the cache writes of the body are priced; the gold's Azure reading left them out",
    (1202, "azure"): "the cache writes of the body are priced; the gold's Azure reading left them out",
    (1517, "mistral"): "an alias: the price changed on 2025-12-02, before the time that is asked for here",
}


def lines(path: str) -> Iterator[dict[str, Any]]:
    with gzip.open(real(path)) as found:
        yield from map(orjson.loads, found)


def gold() -> Iterator[tuple[dict[str, Any], str, set[Decimal]]]:
    """(row, provider, published sums): one for each provider that could have sent the body."""
    for row in lines("data/usage-price-gold/usages.jsonl.gz"):
        sums: defaultdict[str, set[Decimal]] = defaultdict(set)
        for reading in row["extracted"]:
            for made in reading["extractors"]:
                if "input_price" in made:
                    sums[made["provider_id"]].add(Decimal(made["input_price"]) + Decimal(made["output_price"]))
        for provider, published in sums.items():
            yield row, provider, published


def test_every_published_price_comes_out_to_the_last_digit() -> None:
    asked, apart = 0, {}
    for row, provider, published in gold():
        asked += 1
        made = one({"provider": provider, "model": row["model"], "time": GOLD_TIME, "usage": row["body"]})
        known = [Decimal(line["amount"]) for line in made["lines"] if line["amount"] and line["unit"] != "web_searches"]
        if sum(known, Decimal(0)) not in published:
            apart[row["idx"], provider] = made["total"]
    assert asked == 1_470 and apart.keys() == APART.keys()


def test_columns_and_decimals_agree_on_every_published_call() -> None:
    """Ingest counts in whole numbers, the command in decimals: the same nano-USD."""
    at, compared = datetime.fromisoformat(GOLD_TIME), 0
    for row, provider, _ in gold():
        made = one({"provider": provider, "model": row["model"], "time": GOLD_TIME, "usage": row["body"]})
        found = rates(provider, row["model"], at)
        if found is None or made["total"] is None or made["overlays"] or "web_searches" in made["units"]:
            continue
        inputs = sum(n or 0 for name, n in made["buckets"].items() if name.startswith("in_"))
        tier = max((tier for tier in found.tiers if inputs > tier.above), key=lambda tier: tier.above)
        kinds = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_other", "input", "output")
        told = zip((*kinds, "reasoning"), made["buckets"].values(), strict=True)
        pico = sum((tier.pico[kind] or 0) * (n or 0) for kind, n in told)
        assert -(-pico // 1000) == made["total_nano"], (row["idx"], provider)
        compared += 1
    assert compared > 1_300


def test_buckets_of_recorded_answers_are_what_the_provider_said() -> None:
    """What the buckets sum to is the provider's own total; where it cannot be, it is marked."""
    found: Counter[str] = Counter()
    for told in lines("data/llm-wire-cassettes/wire.jsonl.gz"):
        if not told["provider_usage"]:
            continue
        objects = [one["value"] for one in told["provider_usage"]]
        last = objects[-1]
        made = count(objects, told["provider"])
        total = next((last[name] for name in ("total_tokens", "totalTokens", "totalTokenCount") if name in last), None)
        parts = sum(n or 0 for n in made.buckets.values())
        assert all(n is None or n >= 0 for n in made.buckets.values())
        if made.buckets["in_uncached"] is None or made.buckets["out_visible"] is None:
            found["not told"] += 1
        elif total is None:
            found["no total"] += 1
        elif parts == total:
            found["adds up"] += 1
        else:
            assert "total_mismatch" in made.flags
            found["marked"] += 1
    assert found == {"adds up": 1_227, "no total": 265, "marked": 4, "not told": 16}


@pytest.mark.parametrize("model", ["claude-sonnet-4-5-20250929", "gpt-4o-mini", "gemini-2.5-flash"])
def test_the_stored_row_is_named_by_table_version_and_model(model: str) -> None:
    maker = {"c": "anthropic", "g": "openai"}[model[0]] if "gemini" not in model else "google"
    found = BUNDLED.find(maker, model, datetime.fromisoformat(GOLD_TIME))
    assert found is not None and found.name.startswith("genai-prices 0.2.") and found.names[0].startswith(f"{maker}/")
